//! Fuzz targets for the codec; what they check is in [`checks`].
//!
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz frame` runs one of them. The corpus beside them
//! is replayed by the codec's own tests, on the stable toolchain.

pub mod checks;
