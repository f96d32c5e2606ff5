//! The files that serve an open: mostly one for all that it may do.

use std::sync::Arc;

use dittofs_sdk::vfs::{File, OpenAccess};

use super::ToClose;

/// What reads, and what writes.
#[derive(Default)]
pub(super) enum Serving {
    #[default]
    None,
    /// The same does whatever may be done.
    One(Arc<dyn File>, OpenAccess),
    /// It was opened for the one, and later for the other.
    Each(Box<Each>),
}

/// What reads and what writes, if anything does.
type Pair = (Option<Arc<dyn File>>, Option<Arc<dyn File>>);

pub(super) struct Each {
    reader: Arc<dyn File>,
    writer: Arc<dyn File>,
}

impl Serving {
    /// What serves `access`.
    pub(super) fn of(&self, access: OpenAccess) -> Option<&Arc<dyn File>> {
        match self {
            Self::Each(each) if access.writes() => Some(&each.writer),
            Self::Each(each) => Some(&each.reader),
            Self::One(file, can) if access.writes() => Some(file).filter(|_| can.writes()),
            Self::One(file, can) => Some(file).filter(|_| can.reads()),
            Self::None => None,
        }
    }

    /// Uses `file` for all that it was opened for; returns what it takes the place of.
    pub(super) fn adopt(&mut self, file: &Arc<dyn File>, access: OpenAccess) -> ToClose {
        let mut replaced = ToClose::new();
        let (mut reader, mut writer) = std::mem::take(self).split();
        if access.reads() {
            replaced.extend(reader.replace(Arc::clone(file)));
        }
        if access.writes() {
            replaced.extend(writer.replace(Arc::clone(file)));
        }
        *self = Self::join((reader, writer));
        replaced
    }

    /// Returns what `access` does not need any more.
    pub(super) fn restrict(&mut self, access: OpenAccess) -> ToClose {
        let mut closed = ToClose::new();
        let (mut reader, mut writer) = std::mem::take(self).split();
        if !access.reads() {
            closed.extend(reader.take());
        }
        if !access.writes() {
            closed.extend(writer.take());
        }
        *self = Self::join((reader, writer));
        closed
    }

    /// All of them.
    pub(super) fn into_files(self) -> impl Iterator<Item = Arc<dyn File>> {
        let (reader, writer) = self.split();
        reader.into_iter().chain(writer)
    }

    fn split(self) -> Pair {
        match self {
            Self::None => (None, None),
            Self::One(file, OpenAccess::Read) => (Some(file), None),
            Self::One(file, OpenAccess::Write) => (None, Some(file)),
            Self::One(file, OpenAccess::Both) => (Some(Arc::clone(&file)), Some(file)),
            Self::Each(each) => (Some(each.reader), Some(each.writer)),
        }
    }

    fn join(pair: Pair) -> Self {
        match pair {
            (None, None) => Self::None,
            (Some(reader), None) => Self::One(reader, OpenAccess::Read),
            (None, Some(writer)) => Self::One(writer, OpenAccess::Write),
            (Some(reader), Some(writer)) if Arc::ptr_eq(&reader, &writer) => {
                Self::One(reader, OpenAccess::Both)
            }
            (Some(reader), Some(writer)) => Self::Each(Box::new(Each { reader, writer })),
        }
    }
}
