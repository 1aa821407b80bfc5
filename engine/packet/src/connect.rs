//! Making connections to servers.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use router::{Closed, ConnId, Input, ServerId};

use crate::engine::Core;
use crate::reader::Reader;
use crate::sys::nio::{Kind, Registered};
use crate::sys::socket;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

impl Core {
    /// Starts to connect `conn` to `server`. Its task learns how that ends.
    pub(crate) fn dial(self: &Rc<Self>, conn: ConnId, server: ServerId) {
        let begun = self.begin_dial(conn, server);
        if let Some(socket) = begun {
            glommio::spawn_local(Reader { core: self.clone(), conn, socket }).detach();
        }
    }

    fn begin_dial(&self, conn: ConnId, server: ServerId) -> Option<Rc<Registered>> {
        let engine = &mut *self.engine();
        let address = engine.io.settings.servers.get(server.index()).map(|it| it.address);
        let begun = address.ok_or_else(|| io::ErrorKind::NotFound.into()).and_then(|to| {
            let fd = socket::connect(to)?;
            socket::tune(&fd);
            self.nio.register(fd, Kind::Connecting)
        });
        let now = self.clock.now();
        match begun {
            Ok(socket) => {
                let socket = Rc::new(socket);
                engine.io.connections.insert(conn, socket.clone(), address, false);
                engine.io.dials.push_back((now + CONNECT, conn));
                Some(socket)
            }
            Err(_) => {
                let input = Input::Closed { conn, why: Closed::Unreachable };
                engine.router.handle_input(input, now, &mut engine.io);
                None
            }
        }
    }
}
