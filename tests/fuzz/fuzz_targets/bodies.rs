//! See [`fuzz::checks::bodies`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::checks::bodies(data));
