//! What stands behind shares: backends opened, and each adapter instance's views of them.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Weak};

use dittofs_sdk::vfs::FileSystem;
use dittofs_sdk::{FieldError, Share};
use parking_lot::Mutex;
use uuid::Uuid;

use super::spec::{AttributeCacheBound, Backend};
use crate::vfs::views::{Domain, View};
use crate::vfs::{local, memory};

/// What a share exports.
#[derive(Clone)]
pub(super) struct Backing {
    fs: Arc<dyn FileSystem>,
    domain: Arc<Domain>,
}

/// Opens backends.
pub(super) struct Opener {
    /// Signs the handles of local shares.
    handle_key: [u8; 32],
    /// By device: a file has the same handle in every local share of its device.
    domains: Mutex<HashMap<u64, Weak<Domain>>>,
}

impl Opener {
    pub(super) fn new(handle_key: [u8; 32]) -> Self {
        Self {
            handle_key,
            domains: Mutex::default(),
        }
    }

    pub(super) fn open(&self, backend: &Backend) -> Result<Backing, FieldError> {
        match backend {
            Backend::Memory => memory_backing(),
            Backend::Local {
                path,
                attribute_cache,
            } => self.local_backing(path, *attribute_cache),
        }
    }

    /// As [`open`](Self::open), of a directory that may be missing for now.
    pub(super) fn open_present(
        &self,
        path: &Path,
        attribute_cache: AttributeCacheBound,
    ) -> Result<Backing, String> {
        match path.metadata() {
            Err(e) => Err(format!("{}: {}", path.display(), super::reason(&e))),
            Ok(_) => self
                .local_backing(path, attribute_cache)
                .map_err(|e| e.message),
        }
    }

    fn local_backing(
        &self,
        path: &Path,
        attribute_cache: AttributeCacheBound,
    ) -> Result<Backing, FieldError> {
        let invalid = |message: String| FieldError::new("backend.path", message);
        let options = local::Options {
            handle_key: Some(self.handle_key),
            attribute_cache: attribute_cache.into(),
            ..local::Options::default()
        };
        let fs = local::open(path, &options).map_err(|e| invalid(e.to_string()))?;
        let device = path.metadata().map_err(|e| invalid(e.to_string()))?.dev();
        Ok(Backing {
            fs,
            domain: self.domain(device),
        })
    }

    fn domain(&self, device: u64) -> Arc<Domain> {
        let mut domains = self.domains.lock();
        domains.retain(|_, domain| domain.strong_count() > 0);
        if let Some(domain) = domains.get(&device).and_then(Weak::upgrade) {
            return domain;
        }
        let domain = Arc::<Domain>::default();
        domains.insert(device, Arc::downgrade(&domain));
        domain
    }
}

fn memory_backing() -> Result<Backing, FieldError> {
    // Scratch space is for everybody, as /tmp is.
    let options = memory::Options {
        mode: 0o1777,
        ..memory::Options::default()
    };
    let fs =
        memory::MemoryFs::new(&options).map_err(|e| FieldError::new("backend", e.to_string()))?;
    Ok(Backing {
        fs: Arc::new(fs),
        domain: Arc::default(),
    })
}

/// One exported file system, of which each adapter instance has a view of its own.
#[derive(Clone)]
pub struct Exported {
    /// As adapters get it, but for the view.
    share: Share,
    domain: Arc<Domain>,
}

/// All exported file systems, one snapshot.
pub type Exports = Arc<[Exported]>;

impl Exported {
    /// What `share` makes of the file system.
    pub(super) fn new(backing: Backing, share: impl FnOnce(Arc<dyn FileSystem>) -> Share) -> Self {
        Self {
            share: share(backing.fs),
            domain: backing.domain,
        }
    }

    /// The share's id.
    pub fn id(&self) -> Uuid {
        self.share.id
    }

    /// A further view of what is exported.
    pub fn new_view(&self) -> View {
        View::new(Arc::clone(&self.share.fs), &self.domain)
    }

    /// Whether `view` is one of what is exported.
    pub fn is_seen_by(&self, view: &View) -> bool {
        view.is_of(&self.share.fs)
    }

    /// The share as it is given to whom `view` belongs.
    pub fn through(&self, view: View) -> Share {
        Share {
            fs: Arc::new(view),
            ..self.share.clone()
        }
    }
}
