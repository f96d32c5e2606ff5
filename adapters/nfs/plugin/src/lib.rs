//! The NFS adapter as a loadable library.

dittofs_sdk::export_adapter!(dittofs_nfs::NfsAdapter);
