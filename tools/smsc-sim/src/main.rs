//! `smsc-sim`: simulates SMPP message centres, as many as are asked for, on one thread.

mod answer;
mod args;
mod bind;
mod centre;
mod control;
mod counters;
mod deliver;
mod fault;
mod message;
mod outgoing;
mod session;
mod sim;
mod take;

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use clap::error::ErrorKind;
use serde_json::json;
use wire::{Error, Framing, Net};

use crate::args::Args;
use crate::sim::Sim;

/// Between two progress lines.
const PROGRESS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let args = Args::parse();
    let addresses = args.addresses().unwrap_or_else(|error| {
        use clap::CommandFactory;
        Args::command().error(ErrorKind::MissingRequiredArgument, error).exit()
    });
    match run(args, &addresses) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("smsc-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args, addresses: &[std::net::SocketAddr]) -> Result<(), Error> {
    if let Some(cpu) = args.cpu {
        wire::pin(cpu)?;
    }
    let mut net = Net::new().map_err(|error| Error::io("cannot use epoll", &error))?;
    let control = args.control;
    let mut sim = Sim::new(args, addresses, net.now());
    for instance in 0..sim.centres.len() {
        let address = sim.centres[instance].address;
        sim.listen(&mut net, instance)
            .map_err(|error| Error::io(format_args!("cannot listen on {address}"), &error))?;
    }
    let control = control.map(|address| {
        net.listen(address, Framing::Lines)
            .map_err(|error| Error::io(format_args!("cannot listen on {address}"), &error))
    });
    let control = control.transpose()?.map(|(_, address)| address.to_string());
    let listen: Vec<_> = sim.centres.iter().map(|centre| centre.address.to_string()).collect();
    print_line(&json!({"ready": true, "listen": listen, "control": control}).to_string());
    serve(&mut net, &mut sim)?;
    summary(&mut sim)
}

/// Until a signal or `quit`.
fn serve(net: &mut Net, sim: &mut Sim) -> Result<(), Error> {
    let mut progress = Progress::new(net.now());
    while !net.stopping() && !sim.quitting {
        let mut due = sim.next_due(net.now());
        if !sim.args.quiet {
            due = Some(due.map_or(progress.next, |due| due.min(progress.next)));
        }
        net.turn(sim, due).map_err(|error| Error::io("waiting for sockets", &error))?;
        sim.tick(net);
        if !sim.args.quiet && net.now() >= progress.next {
            progress.print(sim, net.now());
        }
    }
    net.flush(sim);
    Ok(())
}

struct Progress {
    start: Instant,
    last: Instant,
    next: Instant,
    received: u64,
}

impl Progress {
    fn new(now: Instant) -> Self {
        Self { start: now, last: now, next: now + PROGRESS, received: 0 }
    }

    fn print(&mut self, sim: &mut Sim, now: Instant) {
        let total = sim.total();
        let rate = (total.received - self.received) as f64 / (now - self.last).as_secs_f64();
        eprintln!(
            "smsc-sim {:5.0}s  binds {}  messages {} ({rate:.0}/s)  outstanding {}  \
             receipts {}/{}  mo {}/{}",
            (now - self.start).as_secs_f64(),
            total.binds,
            total.received,
            total.outstanding,
            total.receipts_acknowledged,
            total.receipts_sent,
            total.mo_acknowledged,
            total.mo_sent,
        );
        self.received = total.received;
        self.last = now;
        self.next = now + PROGRESS;
    }
}

fn summary(sim: &mut Sim) -> Result<(), Error> {
    let stats = sim.stats(0..sim.centres.len());
    if let Some(path) = &sim.args.json_file {
        std::fs::write(path, format!("{stats}\n"))
            .map_err(|error| Error::io(format_args!("cannot write {}", path.display()), &error))?;
    }
    if sim.args.json {
        print_line(&stats.to_string());
    } else {
        let total = sim.total();
        eprintln!(
            "smsc-sim: {} messages, {} accepted, {} answered; receipts {} sent, {} acknowledged; \
             mobile originated {} sent, {} acknowledged; {} binds, {} refused",
            total.received,
            total.accepted,
            total.answered,
            total.receipts_sent,
            total.receipts_acknowledged,
            total.mo_sent,
            total.mo_acknowledged,
            total.binds_total,
            total.binds_refused,
        );
    }
    Ok(())
}

/// A closed stdout is no reason to stop.
fn print_line(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
