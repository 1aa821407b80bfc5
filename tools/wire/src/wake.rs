//! What wakes the loop besides sockets: a precise alarm, and the signals that end a tool.

use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use mio::net::UnixStream;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Ends a wait at an instant. The timeout of epoll counts in milliseconds, which is too coarse
/// to send on time.
pub(crate) struct Alarm {
    timer: OwnedFd,
    armed: Option<Instant>,
}

impl Alarm {
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { timer, armed: None })
    }

    /// The expiry is never read: each one is an edge of its own.
    pub fn set(&mut self, at: Instant, now: Instant) -> io::Result<()> {
        if self.armed == Some(at) {
            return Ok(());
        }
        let wait = at.saturating_duration_since(now).max(Duration::from_nanos(1));
        let it_value = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: wait.subsec_nanos().into(),
        };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let spec = Itimerspec { it_interval, it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec)?;
        self.armed = Some(at);
        Ok(())
    }

    pub fn rang(&mut self) {
        self.armed = None;
    }
}

/// SIGINT and SIGTERM as a readable socket. A second signal ends the process at once.
pub(crate) struct Signals {
    socket: UnixStream,
    pub stopping: bool,
}

impl Signals {
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let (mut socket, writer) = UnixStream::pair()?;
        registry.register(&mut socket, token, Interest::READABLE)?;
        let writer: std::os::unix::net::UnixStream = writer.into();
        let seen = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The order matters: the first signal finds `seen` unset, then sets it.
            let status = 128 + signal;
            signal_hook::flag::register_conditional_shutdown(signal, status, Arc::clone(&seen))?;
            signal_hook::flag::register(signal, Arc::clone(&seen))?;
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        Ok(Self { socket, stopping: false })
    }

    pub fn rang(&mut self) {
        let mut byte = [0; 16];
        if matches!(self.socket.read(&mut byte), Ok(1..)) {
            self.stopping = true;
        }
    }
}
