//! A load generator that costs far less than the server it measures.
//!
//! Requests are encoded once ([`script`]) and patched where they differ; all that are due on a connection leave in one
//! write, and all replies that have arrived come in with one read ([`lane`], [`engine`]). Replies are checked as far as
//! it is cheap ([`check`]): header, status and number of results always, data against [`pattern`].

pub mod calibration;
pub mod check;
pub mod client;
pub mod echo;
pub mod engine;
pub mod histogram;
pub mod lane;
pub mod message;
pub mod pattern;
pub mod reply;
pub mod report;
pub mod script;
pub mod usage;
pub mod workload;
