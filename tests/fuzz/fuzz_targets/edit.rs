//! See [`fuzz::checks::edit`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::checks::edit(data));
