//! Text to settings: the configuration file of Roundhouse.
//!
//! Each key is declared once, in the [key table](keys()): its type, default, bounds and meaning.
//! Reading and checking a file ([`load`]), the complete [`example`] and the [`reference`] all come
//! from that table. A file passes three steps: `tree` checks each value by itself, `cross` checks
//! what takes several keys, `resolve` turns names into ids. Every [`Problem`] names file, line, key
//! and what is allowed.

mod cross;
mod engine;
mod example;
mod human;
mod key;
mod keys;
mod load;
mod nearest;
mod problem;
mod reference;
mod resolve;
mod tree;
mod value;
mod words;

pub use engine::{EngineSettings, LogLevel};
pub use example::example;
pub use key::{Applies, Fallback, Key, Kind, Section, Shape};
pub use keys::{keys, sections};
pub use load::{Loaded, load};
pub use problem::Problem;
pub use reference::reference;
