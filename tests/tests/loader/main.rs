//! Loading real libraries, good and bad, and running what is in them.

mod host;
mod libraries;
mod lifecycle;
mod traps;
