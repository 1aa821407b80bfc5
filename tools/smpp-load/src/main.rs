//! `smpp-load`: generates SMPP load and checks every response, on one thread.

mod args;
mod bind;
mod check;
mod load;
mod measure;
mod mismatch;
mod receipts;
mod report;
mod template;
mod token;

use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use wire::{Error, Net};

use crate::args::Args;
use crate::load::{Load, Phase};
use crate::report::Progress;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = args.check() {
        Args::command().error(ErrorKind::ArgumentConflict, error).exit();
    }
    match run(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("smpp-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<bool, Error> {
    if let Some(cpu) = args.cpu {
        wire::pin(cpu)?;
    }
    let mut net = Net::new().map_err(|error| Error::io("cannot use epoll", &error))?;
    let mut load = Load::new(args, net.now());
    let mut progress = Progress::new(net.now());
    load.tick(&mut net)?;
    while load.phase != Phase::Done {
        let due = load.next_due(net.now()).map_or(progress.next, |due| due.min(progress.next));
        net.turn(&mut load, Some(due)).map_err(|error| Error::io("waiting for sockets", &error))?;
        load.tick(&mut net)?;
        if net.now() >= progress.next {
            progress.print(&mut load, net.now());
        }
    }
    load.measure.take_interval();
    if load.args.json {
        let mut stdout = std::io::stdout().lock();
        // A closed stdout changes nothing about the result.
        let _ = writeln!(stdout, "{}", report::json(&load)).and_then(|()| stdout.flush());
    } else {
        eprintln!("{}", report::text(&load));
    }
    Ok(load.is_well())
}
