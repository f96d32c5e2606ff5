//! The REST bodies that the DittoFS host and dfsctl exchange.
