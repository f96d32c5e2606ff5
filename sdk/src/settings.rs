//! Settings: one struct is schema, defaults, documentation, validation and flags.
//!
//! Use serde and schemars as usual, with `#[serde(default, deny_unknown_fields)]` on the struct.
//! - Field documentation is the help text of the flag.
//! - `#[schemars(range(min = .., max = ..))]`, `#[schemars(length(..))]` and enums validate.
//! - `#[schemars(extend("x-applies" = "live"))]` says when a change takes effect: `live`,
//!   `next-grace` or `restart`. Without it: `restart`.
//! - `#[schemars(extend("x-group" = "Timeouts"))]` is the heading under which it is shown.
//! - `#[schemars(extend("x-unit" = "s"))]` is its unit.
