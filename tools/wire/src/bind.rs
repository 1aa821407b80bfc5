//! Binding.

use codec::{Builder, CommandId, CommandStatus, InterfaceVersion};

use crate::OwnedAddress;

/// What a session may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindMode {
    /// The ESME sends.
    Transmitter,
    /// The ESME receives.
    Receiver,
    /// Both.
    Transceiver,
}

impl BindMode {
    /// The mode that a bind request asks for.
    pub fn of(command: CommandId) -> Option<Self> {
        match command {
            CommandId::BIND_TRANSMITTER => Some(Self::Transmitter),
            CommandId::BIND_RECEIVER => Some(Self::Receiver),
            CommandId::BIND_TRANSCEIVER => Some(Self::Transceiver),
            _ => None,
        }
    }

    /// The request that asks for the mode.
    pub fn command(self) -> CommandId {
        match self {
            Self::Transmitter => CommandId::BIND_TRANSMITTER,
            Self::Receiver => CommandId::BIND_RECEIVER,
            Self::Transceiver => CommandId::BIND_TRANSCEIVER,
        }
    }

    /// Whether the ESME may submit.
    pub fn sends(self) -> bool {
        self != Self::Receiver
    }

    /// Whether the ESME takes deliveries.
    pub fn receives(self) -> bool {
        self != Self::Transmitter
    }
}

/// Who binds, and as what.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The account.
    pub system_id: String,
    /// Its password.
    pub password: String,
    /// The kind of system.
    pub system_type: String,
    /// The version to speak.
    pub version: InterfaceVersion,
    /// The addresses that the ESME serves.
    pub range: OwnedAddress,
}

/// Appends a bind request.
pub fn append_bind(out: &mut Vec<u8>, mode: BindMode, sequence: u32, who: &Credentials) {
    Builder::new(out, mode.command(), CommandStatus::ESME_ROK, sequence)
        .c_str(who.system_id.as_bytes())
        .c_str(who.password.as_bytes())
        .c_str(who.system_type.as_bytes())
        .u8(who.version.0)
        .address(who.range.view())
        .finish();
}
