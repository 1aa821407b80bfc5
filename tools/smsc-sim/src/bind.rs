//! Sessions come and go.

use codec::build::{BindResponse, append_header_only};
use codec::{Bind, BindCaps, CommandId, CommandStatus, Pdu};
use wire::{BindMode, ConnId, Net};

use crate::session::Bound;
use crate::sim::Sim;

/// The longest system_id and password that are read.
const CAPS: BindCaps = BindCaps { system_id: 255, password: 255 };

impl Sim {
    /// Answers a bind, at once whatever the latency is.
    pub fn bind(&mut self, net: &mut Net, conn: ConnId, mode: BindMode, pdu: Pdu<'_>) {
        let Some(session) = self.session_mut(conn) else { return };
        let instance = session.instance;
        let status = match self.bind_verdict(conn, instance, pdu) {
            Ok((bind, account)) => {
                self.bound(net, conn, mode, &bind, account, pdu.sequence_number());
                return self.drain(net, instance, account);
            }
            Err(status) => status,
        };
        self.centres[instance].counters.binds_refused += 1;
        if let Some(out) = net.out(conn) {
            append_header_only(out, mode.command().response(), status, pdu.sequence_number());
        }
    }

    fn bind_verdict<'a>(
        &mut self,
        conn: ConnId,
        instance: usize,
        pdu: Pdu<'a>,
    ) -> Result<(Bind<'a>, usize), CommandStatus> {
        if self.session_mut(conn).is_some_and(|session| session.bound.is_some()) {
            return Err(CommandStatus::ESME_RALYBND);
        }
        let centre = &mut self.centres[instance];
        if let Some(status) = centre.policy.refuse {
            return Err(status);
        }
        let bind = Bind::parse(pdu, CAPS).map_err(|malformed| {
            centre.counters.malformed += 1;
            malformed.status()
        })?;
        let differs = |expected: &Option<String>, found: &[u8]| {
            expected.as_ref().is_some_and(|expected| expected.as_bytes() != found)
        };
        if differs(&self.args.system_id, bind.system_id) {
            return Err(CommandStatus::ESME_RINVSYSID);
        }
        if differs(&self.args.password, bind.password) {
            return Err(CommandStatus::ESME_RINVPASWD);
        }
        let binds = usize::try_from(centre.counters.binds).unwrap_or(usize::MAX);
        if self.args.max_binds.is_some_and(|max| binds >= max) {
            return Err(self.args.max_binds_status);
        }
        let account = centre.account(bind.system_id).ok_or(CommandStatus::ESME_RBINDFAIL)?;
        Ok((bind, account))
    }

    fn bound(
        &mut self,
        net: &mut Net,
        conn: ConnId,
        mode: BindMode,
        bind: &Bind<'_>,
        account: usize,
        sequence: u32,
    ) {
        let own = self.args.interface_version;
        let version = own.min(bind.interface_version);
        let Some(session) = self.session_mut(conn) else { return };
        session.bound = Some(Bound { mode, version, account });
        let instance = session.instance;
        let centre = &mut self.centres[instance];
        *bind_counter(&mut centre.counters, mode) += 1;
        centre.counters.binds += 1;
        centre.counters.binds_total += 1;
        if mode.receives() {
            centre.receivers.push(conn);
            centre.accounts[account].receivers.push(conn);
        }
        if let Some(out) = net.out(conn) {
            let system_id = format!("{}{}", self.args.name, centre.letters);
            let response = BindResponse {
                command_id: mode.command().response(),
                system_id: system_id.as_bytes(),
                sc_interface_version: version.takes_tlvs().then_some(own),
            };
            response.append(out, sequence);
        }
    }

    /// Answers an unbind and closes.
    pub fn unbind(&mut self, net: &mut Net, conn: ConnId, sequence: u32) {
        let Some(session) = self.session_mut(conn) else { return };
        let instance = session.instance;
        self.centres[instance].counters.unbinds += 1;
        if let Some(out) = net.out(conn) {
            let ok = CommandStatus::ESME_ROK;
            append_header_only(out, CommandId::UNBIND_RESP, ok, sequence);
        }
        self.unbound(conn);
        net.close(conn);
    }

    /// Takes a session out of the bound ones.
    pub fn unbound(&mut self, conn: ConnId) {
        let Some(session) = self.session_mut(conn) else { return };
        let instance = session.instance;
        let Some(bound) = session.bound.take() else { return };
        let centre = &mut self.centres[instance];
        centre.counters.binds -= 1;
        *bind_counter(&mut centre.counters, bound.mode) -= 1;
        centre.forget_receiver(conn, bound.account);
    }
}

fn bind_counter(counters: &mut crate::counters::Counters, mode: BindMode) -> &mut u64 {
    match mode {
        BindMode::Transmitter => &mut counters.binds_transmitter,
        BindMode::Receiver => &mut counters.binds_receiver,
        BindMode::Transceiver => &mut counters.binds_transceiver,
    }
}
