//! What waits to be written: one contiguous buffer per connection, recycled when it is empty.

use std::io;

use crate::sys::nio::Registered;
use crate::sys::socket;

/// Octets of a new buffer.
const BUFFER: usize = 4 * 1024;

/// A buffer that has grown beyond this is freed when it is empty, octets.
const RECYCLED_MAX: usize = 256 * 1024;

/// Octets of all empty buffers that a core keeps.
const POOLED_MAX: usize = 4 * 1024 * 1024;

/// Written octets at the front of a blocked buffer above which the rest is moved down.
const COMPACT_MIN: usize = 32 * 1024;

/// One per core. Empty buffers, so that idle connections hold none and busy ones allocate none.
#[derive(Default)]
pub(crate) struct BufferPool {
    free: Vec<Vec<u8>>,
    octets: usize,
}

impl BufferPool {
    /// An empty buffer.
    #[inline]
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let Some(buffer) = self.free.pop() else { return Vec::with_capacity(BUFFER) };
        self.octets -= buffer.capacity();
        buffer
    }

    /// Takes a buffer back.
    #[inline]
    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        let fits = self.octets + capacity <= POOLED_MAX;
        if capacity > 0 && capacity <= RECYCLED_MAX && fits {
            buffer.clear();
            self.octets += capacity;
            self.free.push(buffer);
        }
    }
}

/// The out-buffer of a connection: octets before `sent` are written, the rest waits.
#[derive(Default)]
pub(crate) struct OutBuffer {
    bytes: Vec<u8>,
    sent: usize,
}

/// How far a flush came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// All is written.
    All,
    /// The socket takes no more for now; its task is woken when it does.
    Blocked,
    /// The connection does not stand any more. What waited is dropped.
    Failed,
}

impl OutBuffer {
    /// The buffer to append to.
    #[inline]
    pub(crate) fn append(&mut self, pool: &mut BufferPool) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = pool.take();
        }
        &mut self.bytes
    }

    /// Octets that wait.
    #[inline]
    pub(crate) fn pending(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Writes what the socket takes. The offset is kept here, so nothing is lost or written twice
    /// whoever continues.
    pub(crate) fn flush(&mut self, socket: &Registered, pool: &mut BufferPool) -> Flushed {
        while self.sent < self.bytes.len() {
            match socket::send(socket, &self.bytes[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if self.sent >= COMPACT_MIN && self.sent >= self.bytes.len() / 2 {
                        self.bytes.drain(..self.sent);
                        self.sent = 0;
                    }
                    return Flushed::Blocked;
                }
                Err(_) => {
                    self.discard(pool);
                    return Flushed::Failed;
                }
            }
        }
        self.discard(pool);
        Flushed::All
    }

    /// Drops what waits and gives the buffer back.
    pub(crate) fn discard(&mut self, pool: &mut BufferPool) {
        self.sent = 0;
        pool.give(std::mem::take(&mut self.bytes));
    }
}
