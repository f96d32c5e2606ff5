//! Loading real libraries, good and bad, and running what is in them.

mod libraries;
mod lifecycle;
mod loader;
mod next;
mod skew;
mod this;
mod traps;
