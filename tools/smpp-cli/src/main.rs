//! `smpp-cli`: SMPP from a shell.

mod args;
mod client;
mod show;
mod text;

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use codec::build::{CancelSm, QuerySm, ReplaceSm, SubmitSm, append_header_only};
use codec::{CommandId, CommandStatus, Pdu, Tag};
use serde_json::{Map, Value};
use wire::{Credentials, Error, append_bind};

use crate::args::{Args, Cancel, Command, Listen, Query, Replace, Send, Session};
use crate::client::Client;

/// The longest text in short_message; longer ones go into message_payload.
const SHORT_MESSAGE_MAX: usize = 254;
/// registered_delivery that asks for a receipt of success or failure.
const RECEIPT: u8 = 1;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("smpp-cli: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<bool, Error> {
    let session = &args.session;
    let mut client = Client::connect(session.connect, session.timeout)?;
    let who = Credentials {
        system_id: session.system_id.clone(),
        password: session.password.clone(),
        system_type: session.system_type.clone(),
        version: session.interface_version,
        range: session.address_range.clone(),
    };
    let show_bind = matches!(args.command, Command::Bind | Command::Listen(_));
    let response =
        client.request(|out, sequence| append_bind(out, session.bind, sequence, &who))?;
    let (ok, object) = judge(&response)?;
    if show_bind || !ok {
        print(session, &object);
    }
    if !ok {
        return Ok(false);
    }
    let done = match &args.command {
        Command::Bind => Ok(true),
        Command::Send(options) => send(&mut client, session, options),
        Command::Query(options) => query(&mut client, session, options),
        Command::Cancel(options) => cancel(&mut client, session, options),
        Command::Replace(options) => replace(&mut client, session, options),
        Command::Listen(options) => listen(&mut client, session, options),
    };
    // The answer is known; an unbind that goes wrong changes nothing about it.
    let _ = client.request(|out, sequence| {
        append_header_only(out, CommandId::UNBIND, CommandStatus::ESME_ROK, sequence);
    });
    client.flush();
    done
}

/// Whether a response is positive, and what it says.
fn judge(response: &[u8]) -> Result<(bool, Map<String, Value>), Error> {
    let pdu = Pdu::new_checked(response).map_err(|malformed| Error::new(malformed.to_string()))?;
    let positive = pdu.command_status().is_ok() && pdu.command_id() != CommandId::GENERIC_NACK;
    Ok((positive, show::describe(pdu)))
}

/// A closed stdout is no reason to stop.
fn print(session: &Session, object: &Map<String, Value>) {
    let line =
        if session.json { serde_json::json!(object).to_string() } else { show::words(object) };
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

fn send(client: &mut Client, session: &Session, options: &Send) -> Result<bool, Error> {
    let (data_coding, text) = text::encode(&options.text, options.data_coding);
    let long = text.len() > SHORT_MESSAGE_MAX;
    if long && !session.interface_version.takes_tlvs() {
        let length = text.len();
        return Err(Error::new(format!(
            "the text has {length} octets; 3.3 takes at most {SHORT_MESSAGE_MAX}"
        )));
    }
    if text.len() > usize::from(u16::MAX) {
        return Err(Error::new("the text has more than 65535 octets"));
    }
    let payload = [(Tag::MESSAGE_PAYLOAD, &text[..])];
    let message = SubmitSm {
        source: options.from.view(),
        destination: options.to.view(),
        registered_delivery: if options.receipt || options.wait { RECEIPT } else { 0 },
        data_coding,
        short_message: if long { &[] } else { &text },
        tlvs: if long { &payload } else { &[] },
        ..SubmitSm::default()
    };
    let response = client.request(|out, sequence| {
        message.append(out, sequence);
    })?;
    let (ok, object) = judge(&response)?;
    print(session, &object);
    if !ok || !options.wait {
        return Ok(ok);
    }
    let id = object.get("message_id").cloned().unwrap_or_default();
    wait_for_receipt(client, session, &id, Instant::now() + options.wait_limit)
}

fn wait_for_receipt(
    client: &mut Client,
    session: &Session,
    id: &Value,
    deadline: Instant,
) -> Result<bool, Error> {
    while let Some(arrived) = client.arrived(Some(deadline))? {
        let (_, object) = judge(&arrived)?;
        print(session, &object);
        if object.get("receipt") == Some(&Value::Bool(true)) && object.get("message_id") == Some(id)
        {
            let state = object.get("message_state").and_then(Value::as_str);
            let text = object.get("text").and_then(Value::as_str).unwrap_or_default();
            match state {
                Some("ENROUTE" | "SCHEDULED") => continue,
                Some(state) => return Ok(state == "DELIVERED"),
                None => return Ok(text.contains("stat:DELIVRD")),
            }
        }
    }
    Err(Error::new("no receipt in time"))
}

fn query(client: &mut Client, session: &Session, options: &Query) -> Result<bool, Error> {
    let request = QuerySm { message_id: options.id.as_bytes(), source: options.from.view() };
    ask(client, session, |out, sequence| request.append(out, sequence))
}

fn cancel(client: &mut Client, session: &Session, options: &Cancel) -> Result<bool, Error> {
    let request = CancelSm {
        message_id: options.id.as_bytes(),
        source: options.from.view(),
        destination: options.to.view(),
        ..CancelSm::default()
    };
    ask(client, session, |out, sequence| request.append(out, sequence))
}

fn replace(client: &mut Client, session: &Session, options: &Replace) -> Result<bool, Error> {
    let (_, text) = text::encode(&options.text, None);
    if text.len() > SHORT_MESSAGE_MAX {
        let length = text.len();
        return Err(Error::new(format!(
            "the text has {length} octets; replace_sm takes at most {SHORT_MESSAGE_MAX}"
        )));
    }
    let request = ReplaceSm {
        message_id: options.id.as_bytes(),
        source: options.from.view(),
        registered_delivery: if options.receipt { RECEIPT } else { 0 },
        short_message: &text,
        ..ReplaceSm::default()
    };
    ask(client, session, |out, sequence| request.append(out, sequence))
}

fn ask(
    client: &mut Client,
    session: &Session,
    append: impl FnOnce(&mut Vec<u8>, u32) -> usize,
) -> Result<bool, Error> {
    let response = client.request(|out, sequence| {
        append(out, sequence);
    })?;
    let (ok, object) = judge(&response)?;
    print(session, &object);
    Ok(ok)
}

fn listen(client: &mut Client, session: &Session, options: &Listen) -> Result<bool, Error> {
    let end = options.duration.map(|duration| Instant::now() + duration);
    let mut next_enquire = Instant::now() + options.enquire_link;
    let mut count = 0;
    while options.count.is_none_or(|limit| count < limit) {
        let deadline = end.map_or(next_enquire, |end| end.min(next_enquire));
        if let Some(arrived) = client.arrived(Some(deadline))? {
            let (_, object) = judge(&arrived)?;
            print(session, &object);
            count += 1;
        } else if client.stopping() || end.is_some_and(|end| Instant::now() >= end) {
            break;
        } else {
            client.request(|out, sequence| {
                let (command, ok) = (CommandId::ENQUIRE_LINK, CommandStatus::ESME_ROK);
                append_header_only(out, command, ok, sequence);
            })?;
            next_enquire = Instant::now() + options.enquire_link;
        }
    }
    eprintln!("smpp-cli: {count} delivered");
    Ok(true)
}
