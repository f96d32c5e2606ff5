//! The NFS adapter as a loadable library.

