//! `record` for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dittofs_nfs::fuzzing::record(data));
