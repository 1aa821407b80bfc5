//! A deterministic world around real routers: two cores with the mesh between them, clients and
//! message centres, a network that delays, reorders across connections and closes at any byte.
//!
//! One seed is one world: the same seed takes the same steps.

pub mod client;
pub mod random;
pub mod server;
pub mod setup;
pub mod world;

pub use world::{Outcome, World};
