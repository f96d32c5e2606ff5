//! A short run of every target: the corpus, mutations of it, and chance.

use std::path::Path;

use getrandom::SysRng;
use getrandom::rand_core::TryRng;

use super::replies::{DELEGATION, TALLY};

/// A run is repeated with the seed that it has printed. Without one it is the same each time, so
/// that what it says is about the change at hand; `random` draws one.
const SEED: &str = "DITTOFS_FUZZ_SEED";
const LONGEST: usize = 2048;

/// xorshift64*
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() >> 16) as usize % count.max(1)
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = self.below(LONGEST);
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// One of `corpus`, somewhat changed.
    fn mutation(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(8) {
            let at = self.below(bytes.len());
            match self.below(4) {
                0 if !bytes.is_empty() => bytes[at] = self.next() as u8,
                1 if !bytes.is_empty() => drop(bytes.remove(at)),
                2 => bytes.insert(at, self.next() as u8),
                _ => {
                    let other = &corpus[self.below(corpus.len())];
                    let from = self.below(other.len());
                    bytes.extend_from_slice(&other[from..]);
                    bytes.truncate(LONGEST);
                }
            }
        }
        bytes
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let files = std::fs::read_dir(dir.join(target)).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
        .into_iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}

fn short_run(target: &str, body: fn(&[u8]), times: usize) {
    let corpus = corpus(target);
    assert!(!corpus.is_empty());
    for input in &corpus {
        judge(body, input);
    }
    let given = std::env::var(SEED).unwrap_or_else(|_| "1".to_owned());
    let seed = match given.as_str() {
        "random" => SysRng.try_next_u64().unwrap(),
        seed => seed.parse().unwrap(),
    };
    println!("{SEED}={seed}");
    let mut chance = Chance(seed | 1);
    for round in 0..times {
        let input = if round % 2 == 0 {
            chance.mutation(&corpus)
        } else {
            chance.bytes()
        };
        judge(body, &input);
    }
}

/// Has the input on record if it is a finding.
fn judge(body: fn(&[u8]), input: &[u8]) {
    let finding = std::panic::catch_unwind(|| body(input));
    if let Err(panic) = finding {
        println!("input: {}", hex(input));
        std::panic::resume_unwind(panic);
    }
}

fn hex(input: &[u8]) -> String {
    let digits = input.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap();
    digits.map(digit).collect()
}

#[test]
fn records() {
    short_run("record", super::record, 2000);
}

#[test]
fn rpc_headers() {
    short_run("rpc_header", super::rpc_header, 20_000);
}

#[test]
fn compounds() {
    short_run("compound", super::compound, 2000);
}

#[test]
fn attributes() {
    short_run("attributes", super::attributes, 1000);
}

#[test]
fn state_machines() {
    short_run("state_machine", super::state_machine, 300);
}

/// Otherwise what follows from them would never be tried.
#[test]
fn chance_reaches_opens_locks_and_sessions() {
    let mut missing = vec![
        (4, "CLOSE"),
        (12, "LOCK"),
        (18, "OPEN"),
        (25, "READ"),
        (28, "REMOVE"),
        (29, "RENAME"),
        (34, "SETATTR"),
        (36, "SETCLIENTID_CONFIRM"),
        (38, "WRITE"),
        (44, "DESTROY_SESSION"),
        (58, "RECLAIM_COMPLETE"),
        (60, "COPY"),
        (66, "OFFLOAD_CANCEL"),
        (67, "OFFLOAD_STATUS"),
        (72, "GETXATTR"),
        (73, "SETXATTR"),
        (74, "LISTXATTRS"),
        (75, "REMOVEXATTR"),
        (DELEGATION + 1, "delegation for reading"),
        (DELEGATION + 2, "delegation for writing"),
    ];
    let mut chance = Chance(1);
    // As a rule some thousand suffice.
    for _ in 0..10_000 {
        super::state_machine(&chance.bytes());
        let reached = |number| TALLY.with_borrow(|tally| tally.contains_key(&(number, 0)));
        missing.retain(|(number, _)| !reached(*number));
        if missing.is_empty() {
            return;
        }
    }
    panic!("never reached: {missing:?}");
}
