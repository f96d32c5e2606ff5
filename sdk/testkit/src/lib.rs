//! Conformance checks for DittoFS file systems and adapters.
