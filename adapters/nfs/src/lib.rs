//! NFSv4.0 and NFSv4.1 as a DittoFS adapter.
