//! An attribute that is open.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Attr, Buffer, Cred, File, Handle, Op, OpenAccess, ReadOk, Stability, VfsError, VfsResult,
    Written,
};

use super::handle::{NameId, Place};
use super::store::{self, Store, checked_size, gone};

/// Who opened it reads whatever becomes of the object's permissions; what they write is judged
/// each time.
pub(super) struct NamedFile(Arc<Open>);

struct Open {
    store: Store,
    object: Handle,
    name: Bytes,
    cred: Cred,
    access: OpenAccess,
}

impl NamedFile {
    /// The attribute `name`; what is allowed was decided before.
    pub(super) fn share(
        store: Store,
        object: Handle,
        name: Bytes,
        cred: Cred,
        access: OpenAccess,
    ) -> Arc<dyn File> {
        Arc::new(Self(Arc::new(Open {
            store,
            object,
            name,
            cred,
            access,
        })))
    }

    fn later<T, F>(&self, run: impl FnOnce(Arc<Open>) -> F) -> Op<T>
    where
        F: Future<Output = VfsResult<T>> + Send + 'static,
    {
        Op::later(run(Arc::clone(&self.0)))
    }
}

impl Open {
    async fn value(&self) -> VfsResult<Bytes> {
        let value = self.store.value(&self.object, &self.name).await;
        value.map_err(gone)
    }

    async fn attr(&self) -> VfsResult<Attr> {
        let of = self.store.object(&self.object).await?;
        let size = self.value().await?.len();
        let place = Place::Attribute(self.object, NameId::of(&self.name));
        Ok(store::attribute_attr(place, &of, size as u64))
    }

    /// Reads, changes and writes the value, with nobody in between.
    async fn update(&self, change: impl FnOnce(&mut Vec<u8>)) -> VfsResult<()> {
        if !self.access.writes() {
            return Err(VfsError::AccessDenied);
        }
        let _guard = store::lock(&self.object).await;
        let mut value = Vec::from(self.value().await?);
        change(&mut value);
        self.store
            .set(&self.cred, &self.object, &self.name, value)
            .await
            .map_err(gone)
    }

    async fn write(&self, offset: u64, data: Bytes) -> VfsResult<Written> {
        let end = offset.checked_add(data.len() as u64);
        let end = checked_size(end.ok_or(VfsError::FileTooBig)?)?;
        let start = end.saturating_sub(data.len());
        self.update(|value| {
            if value.len() < end {
                value.resize(end, 0);
            }
            if let Some(part) = value.get_mut(start..end) {
                part.copy_from_slice(&data);
            }
        })
        .await?;
        Ok(Written {
            count: data.len() as u32,
            // Extended attributes are as durable as others once they are set.
            stability: Stability::File,
        })
    }

    async fn truncate(&self, size: u64) -> VfsResult<Attr> {
        let size = checked_size(size)?;
        self.update(|value| value.resize(size, 0)).await?;
        self.attr().await
    }
}

impl File for NamedFile {
    fn attr(&self) -> Op<Attr> {
        self.later(|open| async move { open.attr().await })
    }

    fn read(&self, offset: u64, count: u32, into: Buffer) -> Op<ReadOk> {
        if !self.0.access.reads() {
            return Op::err(VfsError::AccessDenied);
        }
        self.later(|open| async move {
            let mut buffer = into;
            let value = open.value().await?;
            let start = usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(value.len());
            let end = start.saturating_add(count as usize).min(value.len());
            buffer.extend_from_slice(value.get(start..end).unwrap_or_default());
            Ok(ReadOk {
                buffer,
                eof: end == value.len(),
            })
        })
    }

    fn write(&self, offset: u64, data: Bytes, _how: Stability) -> Op<Written> {
        self.later(|open| async move { open.write(offset, data).await })
    }

    fn commit(&self, _offset: u64, _count: u64) -> Op<()> {
        Op::ok(())
    }

    fn truncate(&self, size: u64) -> Op<Attr> {
        self.later(|open| async move { open.truncate(size).await })
    }
}
