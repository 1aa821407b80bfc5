//! Starts message centres for the tests of the tools, and speaks to them.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use codec::build::BindRequest;
use codec::{CommandId, CommandStatus, InterfaceVersion, Pdu};
use serde_json::Value;

/// No test waits longer than this for anything.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The binary of a tool, in the build directory of `sibling`. Built first, because cargo builds
/// only the binaries of the package under test.
pub fn binary(sibling: &str, name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let folder = Path::new(sibling).parent().unwrap();
    BUILT.get_or_init(|| {
        let profile = match folder.file_name().unwrap().to_str().unwrap() {
            "debug" => "dev",
            profile => profile,
        };
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "-p", "smsc-sim", "--profile", profile])
            .arg("--target-dir")
            .arg(folder.parent().unwrap())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(status.success());
    });
    folder.join(name)
}

/// A running smsc-sim. Ends with the test.
pub struct Sim {
    child: Child,
    /// Where its instances listen.
    pub listen: Vec<String>,
    control: BufReader<TcpStream>,
}

impl Sim {
    /// Starts one on free ports with further options.
    pub fn start(program: &Path, options: &[&str]) -> Self {
        let ports = ["--control", "127.0.0.1:0", "--quiet"];
        let one = ["--listen", "127.0.0.1:0"];
        let several = options.contains(&"--instances");
        let mut child = Command::new(program)
            .args(ports)
            .args(if several { &[][..] } else { &one })
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let listen = ready["listen"].as_array().unwrap().iter();
        let listen = listen.map(|address| address.as_str().unwrap().to_owned()).collect();
        let control = TcpStream::connect(ready["control"].as_str().unwrap()).unwrap();
        control.set_read_timeout(Some(LIMIT)).unwrap();
        Self { child, listen, control: BufReader::new(control) }
    }

    /// Gives a command; the reply.
    pub fn command(&mut self, command: &str) -> Value {
        self.control.get_mut().write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut line = String::new();
        self.control.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Gives a command that must succeed.
    pub fn order(&mut self, command: &str) -> Value {
        let reply = self.command(command);
        assert_eq!(reply["ok"], true, "{command}: {reply}");
        reply
    }

    /// A counter over all instances.
    pub fn counter(&mut self, name: &str) -> u64 {
        self.order("stats")["total"][name].as_u64().unwrap()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a tool to its end.
pub fn run(program: &Path, options: &[&str]) -> Output {
    Command::new(program).args(options).stdin(Stdio::null()).output().unwrap()
}

/// The JSON that a tool printed.
pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A session of an ESME, one PDU at a time.
pub struct Esme {
    socket: TcpStream,
    sequence: u32,
}

impl Esme {
    /// Connects without binding.
    pub fn connect(address: &str) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Self { socket, sequence: 0 }
    }

    /// Connects and binds.
    pub fn bound(address: &str, command: CommandId) -> Self {
        let mut esme = Self::connect(address);
        let response = esme.bind(command, b"user", b"secret", InterfaceVersion::V3_4);
        assert_eq!(status(&response), CommandStatus::ESME_ROK);
        esme
    }

    /// Binds; the response.
    pub fn bind(
        &mut self,
        command_id: CommandId,
        system_id: &[u8],
        password: &[u8],
        interface_version: InterfaceVersion,
    ) -> Vec<u8> {
        let default = BindRequest::default();
        let bind = BindRequest { command_id, system_id, password, interface_version, ..default };
        self.ask(|out, sequence| bind.append(out, sequence))
    }

    /// Sends a request; its sequence_number.
    pub fn send(&mut self, append: impl FnOnce(&mut Vec<u8>, u32) -> usize) -> u32 {
        self.sequence += 1;
        let mut out = Vec::new();
        append(&mut out, self.sequence);
        self.write(&out);
        self.sequence
    }

    /// Sends a request; the next PDU that comes.
    pub fn ask(&mut self, append: impl FnOnce(&mut Vec<u8>, u32) -> usize) -> Vec<u8> {
        let sequence = self.send(append);
        let response = self.read().expect("a response");
        assert_eq!(pdu(&response).sequence_number(), sequence);
        response
    }

    /// Sends octets as they are.
    pub fn write(&mut self, octets: &[u8]) {
        self.socket.write_all(octets).unwrap();
    }

    /// The next PDU; `None` when the connection ended.
    pub fn read(&mut self) -> Option<Vec<u8>> {
        let mut frame = vec![0; 4];
        match self.socket.read_exact(&mut frame) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("no PDU came"),
            Err(_) => return None,
        }
        let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
        frame.resize(length, 0);
        self.socket.read_exact(&mut frame[4..]).unwrap();
        Some(frame)
    }
}

/// A whole PDU.
pub fn pdu(octets: &[u8]) -> Pdu<'_> {
    Pdu::new_checked(octets).unwrap()
}

/// Its status.
pub fn status(octets: &[u8]) -> CommandStatus {
    pdu(octets).command_status()
}
