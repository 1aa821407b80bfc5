//! Runs worlds: `sim --seeds 1000 [--from S]`, `sim --seed S --trace`, `sim --planted`.

use sim::World;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

const HELP: &str = "\
Runs seeded worlds of two real routers, clients and message centres, and checks them.

  sim --seeds N [--from S]  runs the worlds S to S+N-1 (S is 0 unless given)
  sim --seed S [--trace]    runs one world; --trace prints its last steps
  sim --planted             plants each known bug and runs worlds until it is found
                            (needs a build with RUSTFLAGS=\"--cfg planted\")

Exit code: 0 when all is well, 1 when a world failed or a planted bug was not found, 2 for a wrong
command line.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    let has = |name: &str| args.iter().any(|arg| arg == name);
    std::panic::set_hook(Box::new(|_| {}));
    if has("--planted") {
        planted()
    } else if let Some(seed) = value("--seed") {
        one(seed, has("--trace"))
    } else if let Some(seeds) = value("--seeds") {
        many(value("--from").unwrap_or(0), seeds)
    } else {
        eprintln!("{HELP}");
        ExitCode::from(if has("--help") { 0 } else { 2 })
    }
}

/// A world's end: steps and PDUs, or what went wrong with its last steps.
fn run(seed: u64) -> Result<(u64, u64), (String, Vec<String>)> {
    match catch_unwind(AssertUnwindSafe(|| World::new(seed).run())) {
        Ok(outcome) => match outcome.fault {
            None => Ok((outcome.steps, outcome.pdus)),
            Some(words) => Err((words, outcome.last)),
        },
        Err(panic) => {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            Err((format!("panic: {}", words.unwrap_or_default()), Vec::new()))
        }
    }
}

fn one(seed: u64, trace: bool) -> ExitCode {
    match run(seed) {
        Ok((steps, pdus)) => {
            println!("seed {seed}: {steps} steps, {pdus} PDUs, clean");
            ExitCode::SUCCESS
        }
        Err((words, last)) => {
            explain(seed, &words, if trace { &last } else { &[] });
            ExitCode::FAILURE
        }
    }
}

fn many(from: u64, seeds: u64) -> ExitCode {
    let started = Instant::now();
    let (mut steps, mut pdus, mut told) = (0, 0, 0);
    for (done, seed) in (from..from + seeds).enumerate() {
        match run(seed) {
            Ok((more_steps, more_pdus)) => {
                steps += more_steps;
                pdus += more_pdus;
            }
            Err((words, last)) => {
                explain(seed, &words, &last);
                return ExitCode::FAILURE;
            }
        }
        if started.elapsed().as_secs() > told {
            told = started.elapsed().as_secs();
            eprint!("\rsim: {} of {seeds} seeds", done + 1);
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    eprintln!();
    println!(
        "{seeds} seeds from {from} clean: {steps} steps, {pdus} PDUs in {seconds:.1} s, \
         {:.0} worlds a minute",
        seeds as f64 * 60.0 / seconds
    );
    ExitCode::SUCCESS
}

fn explain(seed: u64, words: &str, last: &[String]) {
    println!("\nseed {seed} failed: {words}");
    for step in last {
        println!("    {step}");
    }
    println!("run it again: sim --seed {seed} --trace");
}

#[cfg(planted)]
fn planted() -> ExitCode {
    use router::planted::{Bug, plant};
    let mut found_all = true;
    for bug in Bug::ALL {
        plant(Some(bug));
        let found = (0..20_000_u64).find_map(|seed| run(seed).err().map(|end| (seed, end.0)));
        match &found {
            Some((seed, words)) => println!("{bug:?}: found by seed {seed}: {words}"),
            None => println!("{bug:?}: NOT found in 20000 seeds"),
        }
        found_all &= found.is_some();
    }
    plant(None);
    if found_all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(not(planted))]
fn planted() -> ExitCode {
    eprintln!("sim: --planted needs a build with RUSTFLAGS=\"--cfg planted\"");
    ExitCode::from(2)
}
