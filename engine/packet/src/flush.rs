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

/// The out-buffer of a connection: what was decided and not written yet, nothing else. The router
/// reads its length.
#[derive(Default)]
pub(crate) struct OutBuffer(Vec<u8>);

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
        if self.0.capacity() == 0 {
            self.0 = pool.take();
        }
        &mut self.0
    }

    /// Octets that wait.
    #[inline]
    pub(crate) fn pending(&self) -> usize {
        self.0.len()
    }

    /// Writes what the socket takes. What it does not take stays, so nothing is lost or written
    /// twice whoever continues.
    pub(crate) fn flush(&mut self, socket: &Registered, pool: &mut BufferPool) -> Flushed {
        let mut sent = 0;
        while sent < self.0.len() {
            match socket::send(socket, &self.0[sent..]) {
                Ok(n) => sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.0.drain(..sent);
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
        pool.give(std::mem::take(&mut self.0));
    }
}
