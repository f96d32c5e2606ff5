//! What holds for the adapter as a whole: both minor versions side by side, over real connections.

mod concurrent_mixed_traffic;
mod v40_regression;
mod v40_v41_coexistence;
mod version_range_gating;
