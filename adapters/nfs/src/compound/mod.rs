//! One COMPOUND, from its arguments to its encoded results.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-16.2>
//!
//! [`decode`] reads it, [`plan`] turns the ordering rules of the minor version into a type,
//! [`run`] is the one loop that executes operations.

mod cx;
mod decode;
mod plan;
mod run;

pub use cx::{Cx, Mode, OpError, Operation, REFUSAL_MAX, encode_result};
pub use decode::{Request, Tag};
pub use plan::Plan;
pub use run::serve;
