//! What a PDU and an idle bind cost. Figures, no judgement: run with `--ignored --nocapture`, on a
//! quiet machine, in a release profile.

mod harness;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use codec::build::{BindResponse, MessageIdResponse, SubmitSm};
use codec::{Address, CommandId, Cut};
use harness::{Cores, Peer};
use router::settings::Limits;

const CLIENTS: usize = 50;
const WINDOW: u32 = 10;
const ROUNDS: u32 = 4_000;
const CENTRES: usize = 4;
const IDLE: usize = 5_000;

/// CPU time of the thread of core 0, nanoseconds.
fn core_cpu() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").expect("tasks");
    let paths = tasks.map(|task| task.expect("a task").path());
    let named = |path: &std::path::PathBuf| {
        fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "core-0")
    };
    let path = paths.into_iter().find(named).expect("core 0");
    let stat = fs::read_to_string(path.join("schedstat")).expect("its times");
    stat.split(' ').next().and_then(|it| it.parse().ok()).expect("a number")
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("a number")
}

/// Answers whatever one read brings with one write.
fn centre(mut stream: TcpStream) {
    stream.set_nodelay(true).expect("no delay");
    let mut read = Vec::new();
    let mut buffer = vec![0; 65_536];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        read.extend_from_slice(&buffer[..n]);
        let mut out = Vec::new();
        let mut rest = &read[..];
        while let Cut::Frame { pdu, rest: behind } = codec::cut(rest, 1 << 16) {
            rest = behind;
            let (command_id, number) = (pdu.command_id().response(), pdu.sequence_number());
            if pdu.command_id() == CommandId::SUBMIT_SM {
                MessageIdResponse { command_id, message_id: b"0a1b2c3d", tlvs: &[] }
                    .append(&mut out, number);
            } else if !pdu.command_id().is_response() {
                BindResponse { command_id, system_id: b"centre", sc_interface_version: None }
                    .append(&mut out, number);
            }
        }
        let left = rest.len();
        read.drain(..read.len() - left);
        if stream.write_all(&out).is_err() {
            return;
        }
    }
}

fn client(mut peer: Peer) {
    let destination = Address { ton: 1, npi: 1, digits: b"4917012345" };
    let submit = SubmitSm { destination, short_message: &[b'x'; 100], ..Default::default() };
    let mut number = 2;
    let mut out = Vec::new();
    for _ in 0..ROUNDS {
        out.clear();
        for _ in 0..WINDOW {
            submit.append(&mut out, number);
            number += 1;
        }
        peer.write(&out);
        for _ in 0..WINDOW {
            peer.read().expect("readable").expect("a response");
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn of_a_pdu() {
    let listeners: Vec<_> =
        (0..CENTRES).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    let addresses: Vec<_> =
        listeners.iter().map(|listener| listener.local_addr().expect("it")).collect();
    for listener in listeners {
        thread::spawn(move || centre(listener.accept().expect("a connection").0));
    }
    let cores = Cores::start(1, &addresses, Limits::default());
    cores.wait_until("bound", |reports| reports[0].server_sessions == CENTRES as u32);
    let peers: Vec<_> = (0..CLIENTS).map(|_| Peer::bind(cores.address)).collect();
    let (before, since) = (core_cpu(), std::time::Instant::now());
    let threads: Vec<_> =
        peers.into_iter().map(|peer| thread::spawn(move || client(peer))).collect();
    threads.into_iter().for_each(|thread| thread.join().expect("done"));
    let (cpu, wall) = (core_cpu() - before, since.elapsed());
    let pdus = u64::from(ROUNDS * WINDOW) * CLIENTS as u64 * 2;
    println!(
        "{pdus} PDUs in {wall:?}: {:.3} us of CPU each, core busy {:.0} %",
        cpu as f64 / 1000.0 / pdus as f64,
        cpu as f64 / wall.as_nanos() as f64 * 100.0
    );
    let report = cores.report(0);
    assert!(report.counters.responses_matched * 2 >= pdus);
    cores.stop();
}

#[test]
#[ignore = "a measurement"]
fn of_an_idle_bind() {
    let cores = Cores::start(1, &[], Limits::default());
    drop(Peer::bind(cores.address));
    let before = resident_kib();
    let peers: Vec<Peer> = (0..IDLE).map(|_| Peer::bind(cores.address)).collect();
    let grown = resident_kib() - before;
    println!("{:.2} KiB of user memory per idle bind", grown as f64 / IDLE as f64);
    drop(peers);
    cores.stop();
}
