//! The REST interface over real adapters, without a socket.

mod adapters;
mod bench;
mod gate;
mod settings;
mod shares;
