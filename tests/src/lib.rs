//! What the tests of the built binaries share: starting a `dittofs`, and booting a real Linux client against it.

pub mod compound;
pub mod conformance;
pub mod dittofs;
pub mod ganesha;
pub mod image;
pub mod kernel;
pub mod network;
pub mod operations;
pub mod postgres;
pub mod process;
pub mod random;
pub mod session;
pub mod site;
pub mod tree;
pub mod uml;

pub use dittofs::Dittofs;
pub use network::Network;
