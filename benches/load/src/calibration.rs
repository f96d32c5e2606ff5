//! A fixed piece of work, whose time says how even the machine is.

use std::hint::black_box;
use std::time::{Duration, Instant};

const STEPS: u32 = 10_000_000;

/// Takes some milliseconds of computing, nothing else.
pub fn run() -> Duration {
    let start = Instant::now();
    let mut word = black_box(1_u64);
    for _ in 0..STEPS {
        word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
    }
    black_box(word);
    start.elapsed()
}
