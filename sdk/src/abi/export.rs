//! The adapter's side: what `export_adapter!` expands to.
