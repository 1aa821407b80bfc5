//! The connection loop that `smsc-sim`, `smpp-load` and `smpp-cli` share.
//!
//! One thread, one epoll descriptor. A tool implements [`Handler`] and calls [`Net::turn`] in a
//! loop. A turn writes what was put out since the last one (one write for each dirty
//! connection), waits, reads each ready connection once, and hands over the frames in place.
//! Nothing is allocated and no system call is made per PDU.

mod address;
mod args;
mod bind;
mod connection;
mod date;
mod error;
mod net;
mod pin;
mod random;
mod status;
mod wake;
mod wheel;
mod window;

pub use address::{AddressPattern, OwnedAddress};
pub use args::{
    parse_bind_mode, parse_duration, parse_per_second, parse_share, parse_status,
    parse_status_share, parse_version, resolve,
};
pub use bind::{BindMode, Credentials, append_bind};
pub use connection::{BACKLOG_HIGH, Closed, ConnId, FRAME_MAX, Frame, Framing, LINE_MAX};
pub use date::{ReceiptDate, receipt_date};
pub use error::Error;
pub use net::{Handler, ListenerId, Net};
pub use pin::pin;
pub use random::Random;
pub use status::{ByStatus, status_name};
pub use wheel::{TICK, Wheel};
pub use window::Window;
