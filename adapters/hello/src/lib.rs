//! The smallest useful adapter: a greeting on a TCP port.
