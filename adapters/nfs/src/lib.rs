//! NFSv4.0, NFSv4.1 and NFSv4.2 as a DittoFS adapter.
//!
//! # The path of one COMPOUND
//! ```text
//! socket   server        accept, connection limit; the connection goes to one of the workers
//!   1  connection   read loop, batch of records; replies of one batch leave in one write
//!   2  rpc::record  record marking, bounded reassembly                       RFC 5531 §11
//!   3  rpc::message call header: program, version, procedure                 RFC 5531 §9
//!   4  rpc::auth    AUTH_NONE, AUTH_SYS                                      RFC 5531 §8.2
//!   5  compound::decode  tag, minor version, typed operations
//!   6  compound::plan    ordering rules as a type: V40 | Lone | Sequenced    RFC 8881 §2.10, §18.46
//!   7  ops::sequence, state   SEQUENCE: replay, or a slot that is ours       RFC 8881 §2.10.6
//!   8  compound::run     the loop: flags, room for the reply, run, stop on error
//!   9  ops               one operation = one file
//!  10  state::SlotGuard  keeps the encoded reply; the connection writes it
//! ```
//! `delegations` grants and recalls, `copies` copies from file to file, at once or in the background,
//! `callback` carries what the server asks of clients.
//! Callbacks go the other way, over connections of either side's making (`callback`); the connection
//! tells their replies from calls between steps 2 and 3.
//!
//! `buffers` is the memory of requests and replies; `exports` is the gate to every file handle; `table`
//! has one row per operation, `errors` what each may answer; `attr` has one row per attribute; `named`
//! makes a file system of extended attributes; `recovery` is what outlives a restart; `state` knows
//! neither clock nor socket.

pub mod attr;
pub mod buffers;
pub mod callback;
pub mod compound;
pub mod connection;
pub mod copies;
pub mod delegations;
pub mod entropy;
pub mod errors;
pub mod exports;
pub mod identity;
pub mod metrics;
pub mod named;
pub mod near;
pub mod ops;
pub mod recovery;
pub mod rpc;
pub mod server;
pub mod settings;
pub mod state;
pub mod status;
pub mod table;
pub mod turn;
pub mod types;
pub mod views;
pub mod workers;
pub mod xdr;

mod adapter;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use adapter::NfsAdapter;
