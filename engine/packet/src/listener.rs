//! Opening the sockets that clients connect to, one per core and address.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use router::{ListenerId, Settings};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted, per core.
const BACKLOG: i32 = 4096;

/// How often, and how long apart, an address in use is tried again: a process that has just ended
/// holds its ports a little longer.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(25);

/// A listening address that cannot be had.
#[derive(Debug)]
pub struct ListenError {
    vserver: String,
    address: SocketAddr,
    error: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vserver, address, error } = self;
        write!(f, "vserver {vserver}: cannot listen on {address}: ")?;
        match error.kind() {
            io::ErrorKind::AddrInUse => f.write_str("another process has this port"),
            io::ErrorKind::AddrNotAvailable => f.write_str("no interface has this address"),
            io::ErrorKind::PermissionDenied => {
                f.write_str("ports below 1024 need CAP_NET_BIND_SERVICE")
            }
            _ => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// The sockets of every listener, for each core its own. All of them bind and listen in the order
/// of the cores: the kernel numbers the sockets of a group by that.
///
/// Sockets of a group may be joined by another process of the same user, which would then silently
/// get a share of the connections. So the address is first taken alone.
pub fn listen(
    settings: &Settings,
    cores: usize,
) -> Result<Vec<Vec<(ListenerId, TcpListener)>>, ListenError> {
    let mut sockets: Vec<Vec<_>> = (0..cores).map(|_| Vec::new()).collect();
    for (index, listener) in settings.listeners.iter().enumerate() {
        let failed = |error| ListenError {
            vserver: settings
                .vservers
                .get(listener.vserver.index())
                .map_or_else(String::new, |vserver| vserver.name.clone()),
            address: listener.address,
            error,
        };
        claim(listener.address).map_err(failed)?;
        for core in &mut sockets {
            let socket = group_socket(listener.address).map_err(failed)?;
            core.push((ListenerId(index as u16), socket));
        }
    }
    Ok(sockets)
}

/// Takes the address alone, to see whether it is free, and lets it go.
fn claim(address: SocketAddr) -> io::Result<()> {
    for tries_left in (0..TRIES).rev() {
        match socket(address, false) {
            Ok(_) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && tries_left > 0 => {
                thread::sleep(PAUSE);
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn group_socket(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    // Connections of an earlier process in TIME_WAIT are no reason to refuse the address.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}
