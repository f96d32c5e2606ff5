//! Tests of the built DittoFS binaries.
