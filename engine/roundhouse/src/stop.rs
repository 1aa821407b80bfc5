//! `roundhouse stop`.

use std::time::Duration;

use control::Client;

use crate::args::StopArgs;
use crate::check::control_socket;
use crate::failure::Failure;
use crate::print;

/// Longest wait that is accepted: a week.
const WAIT_MAX: u64 = 7 * 24 * 3600;

pub(crate) fn run(args: &StopArgs) -> Result<(), Failure> {
    let mut client = Client::connect(&control_socket(&args.target)?)?;
    client.stop()?;
    if client.wait_gone(Duration::from_secs(args.wait.min(WAIT_MAX)))? {
        return print("stopped\n");
    }
    Err(Failure::Runtime(format!("the process has not gone within {} s", args.wait)))
}
