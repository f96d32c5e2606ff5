//! What attributes are read from: one snapshot of an object and of its file system.

use std::borrow::Cow;

use dittofs_sdk::vfs::{
    Acl, Attr, Capabilities, FsInfo, FsStat, Kind, Name, Op, PosixAcls, Quota, Time, VfsError,
};

use super::acl;
use super::table::{
    self, ACLS, FILEID, MOUNTED_ON_FILEID, NAMED_ATTR, QUOTAS, RDATTR_ERROR, encode_values,
};
use crate::compound::Cx;
use crate::delegations;
use crate::exports::{Object, PseudoDir, ShareObject};
use crate::named;
use crate::status::Status;
use crate::types::{Bitmap, Minor};
use crate::xdr::Writer;

/// What the objects of one file system have in common.
#[derive(Debug, Clone, Copy)]
pub struct FsFacts {
    /// Major and minor part of the file system's id.
    pub fsid: (u64, u64),
    /// Its limits and capabilities.
    pub info: FsInfo,
    /// Its space; zeros unless an attribute was wanted that needs it.
    pub stat: FsStat,
    /// Seconds.
    pub lease: u32,
    /// Bytes.
    pub max_read: u32,
    /// Bytes.
    pub max_write: u32,
    /// The minor version of the COMPOUND.
    pub minor: Minor,
}

/// What the attributes of one object are read from.
pub struct Facts<'a> {
    /// Its file system; that of all entries of a page is the same.
    pub fs: Cow<'a, FsFacts>,
    /// The object.
    pub object: &'a Object,
    /// Its attributes.
    pub attr: Attr,
    /// Its number, or that of the junction where a share begins (RFC 8881 §5.8.2.23).
    pub mounted_on: u64,
    /// What had to be asked for beside its attributes.
    pub further: Further,
}

/// What few clients want of an object and its file system has to be asked for; nothing unless it
/// is wanted.
#[derive(Debug, Default)]
pub struct Further {
    /// Whether it has named attributes.
    pub named_attr: bool,
    /// Its access control lists; none if its mode is its list.
    pub acls: Option<Box<PosixAcls>>,
    /// What may still be allocated to it.
    pub quota: Quota,
}

/// Gathers what the attributes `wanted` of `object` are read from.
pub async fn facts<'a>(cx: &Cx, object: &'a Object, wanted: Bitmap) -> Result<Facts<'a>, Status> {
    facts_of_seen(cx, object, &None, wanted).await
}

/// As [`facts`], of an object whose attributes have been `seen` perhaps.
pub async fn facts_of_seen<'a>(
    cx: &Cx,
    object: &'a Object,
    seen: &Option<Attr>,
    wanted: Bitmap,
) -> Result<Facts<'a>, Status> {
    // Whoever writes without telling is looked for before the attributes are read: what one has written who gave the
    // delegation back meanwhile is then among them.
    let (attr, stat, further) = match object {
        Object::Share(of)
            if needs_more(wanted)
                || !wanted.and(table::SPACE).is_empty()
                || delegations::are_for_writing(cx) =>
        {
            // What few ask for, or few files need, must not make every GETATTR larger: it is boxed.
            Box::pin(all(cx, object, of, wanted)).await?
        }
        _ => {
            let attr = match (object, seen) {
                (Object::Pseudo(dir), _) => pseudo_attr(dir),
                (Object::Share(_), Some(seen)) => *seen,
                (Object::Share(of), None) => of.share.fs.attr(&of.handle).await?,
            };
            (attr, FsStat::default(), Further::default())
        }
    };
    Ok(Facts {
        fs: Cow::Owned(FsFacts::new(cx, object, stat)),
        object,
        attr,
        mounted_on: mounted_on(cx, object, attr.fileid, wanted),
        further,
    })
}

/// What is beyond the attributes that every object of a file system has, and what a client may have changed without telling.
async fn all(
    cx: &Cx,
    object: &Object,
    of: &ShareObject,
    wanted: Bitmap,
) -> Result<(Attr, FsStat, Further), Status> {
    let attr = match delegations::writer_elsewhere(cx, of, wanted) {
        None => of.share.fs.attr(&of.handle).await?,
        Some(writer) => delegations::as_delegate_sees(cx, of, writer).await?,
    };
    let stat = match space(object, wanted) {
        None => FsStat::default(),
        Some(stat) => stat.await?,
    };
    Ok((attr, stat, further(object, wanted).await?))
}

/// Asks the file system for its space if one of these attributes is of it.
fn space(object: &Object, wanted: Bitmap) -> Option<Op<FsStat>> {
    match object {
        Object::Share(object) if !wanted.and(table::SPACE).is_empty() => {
            Some(object.share.fs.stat_fs())
        }
        _ => None,
    }
}

/// The object's number, or that of the junction where a share begins.
fn mounted_on(cx: &Cx, object: &Object, fileid: u64, wanted: Bitmap) -> u64 {
    match object {
        Object::Share(share) if wanted.contains(MOUNTED_ON_FILEID) && share.is_share_root() => {
            PseudoDir::of_junction(&cx.server.exports(), &share.share)
                .map_or(fileid, |(_, number)| number)
        }
        _ => fileid,
    }
}

/// Whether [`further`] has to be asked.
pub fn needs_more(wanted: Bitmap) -> bool {
    !wanted.and(FURTHER).is_empty()
}

/// Asks for what of `wanted` is not among an object's attributes. A named attribute has none of
/// it: it is as protected, and as limited, as its object.
pub async fn further(object: &Object, wanted: Bitmap) -> Result<Further, Status> {
    let mut further = Further::default();
    let (Object::Share(object), false) = (object, wanted.and(FURTHER).is_empty()) else {
        return Ok(further);
    };
    let fs = &object.share.fs;
    if wanted.contains(NAMED_ATTR) && !object.is_named() {
        further.named_attr = named::any(fs, &object.handle).await?;
    }
    if !wanted.and(ACLS).is_empty() && !object.is_named() {
        further.acls = match fs.acl(&object.handle).await {
            Ok(Acl::Posix(acls)) => Some(Box::new(acls)),
            // Neither links nor whole file systems without lists have any.
            Err(VfsError::NotSupported) => None,
            Ok(_) => return Err(Status::Serverfault),
            Err(error) => return Err(error.into()),
        };
    }
    if !wanted.and(QUOTAS).is_empty() {
        let limited = fs.info().capabilities.contains(Capabilities::QUOTA) && !object.is_named();
        further.quota = if limited {
            fs.quota(&object.handle).await?
        } else {
            fs.stat_fs().await?.into()
        };
    }
    Ok(further)
}

const FURTHER: Bitmap = ACLS.or(QUOTAS).with(NAMED_ATTR);

/// Gathers what the objects of the file system of `object` have in common.
pub async fn fs_facts(cx: &Cx, object: &Object, wanted: Bitmap) -> Result<FsFacts, Status> {
    let stat = match space(object, wanted) {
        None => FsStat::default(),
        Some(stat) => stat.await?,
    };
    Ok(FsFacts::new(cx, object, stat))
}

impl FsFacts {
    fn new(cx: &Cx, object: &Object, stat: FsStat) -> Self {
        let (fsid, info) = match object {
            Object::Pseudo(_) => (PSEUDO_FSID, PSEUDO_INFO),
            Object::Share(object) => {
                let fsid = object.file_system().as_u64_pair();
                (fsid, object.share.fs.info())
            }
        };
        let settings = &cx.settings;
        Self {
            fsid,
            info,
            stat,
            lease: settings.lease_time,
            max_read: settings.max_read_size,
            max_write: settings.max_write_size,
            minor: cx.minor(),
        }
    }
}

impl<'a> Facts<'a> {
    /// The facts of what is in a directory of a share, and so is no junction.
    #[inline]
    pub fn of_entry(fs: &'a FsFacts, object: &'a Object, attr: Attr, further: Further) -> Self {
        Self {
            fs: Cow::Borrowed(fs),
            object,
            attr,
            mounted_on: attr.fileid,
            further,
        }
    }

    /// Whether the object is a named attribute or a directory of such.
    pub(super) fn is_named(&self) -> bool {
        matches!(self.object, Object::Share(object) if object.is_named())
    }

    /// Appends the object's lists, those that its mode is if it has no others.
    pub(super) fn write_acl(&self, write: fn(&[acl::Ace], &mut Writer), writer: &mut Writer) {
        let of_mode;
        let acls = if let Some(acls) = &self.further.acls {
            acls
        } else {
            of_mode = PosixAcls::of_mode(self.attr.mode);
            &of_mode
        };
        let is_dir = self.attr.kind == Kind::Dir;
        write(&acl::Aces { acls, is_dir }.list(), writer);
    }

    /// The path of the file system's root.
    pub(super) fn fs_root(&self) -> impl Iterator<Item = &str> {
        let path = match self.object {
            Object::Pseudo(_) => "",
            Object::Share(object) => &object.share.name,
        };
        path.split('/').filter(|part| !part.is_empty())
    }

    /// Whether the file system has this capability.
    pub(super) fn can(&self, capability: Capabilities) -> bool {
        self.fs.info.capabilities.contains(capability)
    }

    /// Appends fattr4: what of `wanted` can be read here.
    pub fn encode(&self, wanted: Bitmap, writer: &mut Writer) {
        let present = wanted.and(table::readable(self.fs.minor));
        writer.write(&present);
        let length_at = writer.position();
        writer.write(&0_u32);
        encode_values(self, present, writer);
        patch_length(writer, length_at);
    }

    /// The values alone, as a client would send them to have them compared.
    pub fn values(&self, wanted: Bitmap) -> Vec<u8> {
        let mut writer = Writer::default();
        encode_values(self, wanted, &mut writer);
        writer.as_slice().to_vec()
    }
}

/// How the same attributes of many objects are appended, one object after the other: what stays
/// the same from one to the next is worked out once.
pub struct Form {
    /// bitmap4
    present: Vec<u8>,
    values: Vec<table::Read>,
}

impl Form {
    /// What of `wanted` can be read in this minor version.
    pub fn new(wanted: Bitmap, minor: Minor) -> Self {
        let present = wanted.and(table::readable(minor));
        let mut writer = Writer::default();
        writer.write(&present);
        Self {
            present: writer.as_slice().to_vec(),
            values: table::readers(present).collect(),
        }
    }

    /// Appends fattr4, as [`Facts::encode`] does.
    pub fn encode(&self, facts: &Facts<'_>, writer: &mut Writer) {
        writer.raw(&self.present);
        let length_at = writer.position();
        writer.write(&0_u32);
        for value in &self.values {
            value(facts, writer);
        }
        patch_length(writer, length_at);
    }

    /// Bytes that fattr4 of an entry of `dir` takes, roughly: those of a file without an owner
    /// whose handle is as long as the directory's.
    pub fn size(&self, fs: &FsFacts, dir: &Object) -> usize {
        let mut writer = Writer::default();
        let facts = Facts::of_entry(fs, dir, NOBODYS_FILE, Further::default());
        self.encode(&facts, &mut writer);
        writer.position()
    }
}

const NOBODYS_FILE: Attr = Attr {
    kind: Kind::File,
    mode: 0,
    nlink: 1,
    uid: NOBODY,
    gid: NOBODY,
    rdev: (0, 0),
    size: 0,
    used: 0,
    fileid: 0,
    change: 0,
    atime: EPOCH,
    mtime: EPOCH,
    ctime: EPOCH,
    btime: None,
};
/// A number of usual length.
const NOBODY: u32 = 65_534;
const EPOCH: Time = Time { sec: 0, nsec: 0 };

/// fattr4 of an entry whose attributes can't be had (RFC 8881 §5.8.1.12).
pub fn encode_error(status: Status, writer: &mut Writer) {
    writer.write(&Bitmap::of(&[RDATTR_ERROR]));
    writer.write(&4_u32);
    writer.write(&status);
}

/// Whether no more than its number must be known of an entry of a share's directory: what a
/// client asks for that lists names alone.
pub fn needs_number_only(wanted: Bitmap) -> bool {
    wanted.minus(OF_NUMBER).is_empty()
}

const OF_NUMBER: Bitmap = Bitmap::of(&[RDATTR_ERROR, FILEID, MOUNTED_ON_FILEID]);

/// fattr4 of an entry of which only the number is known and needed.
pub fn encode_number(fileid: u64, wanted: Bitmap, writer: &mut Writer) {
    let present = wanted.and(OF_NUMBER);
    writer.write(&present);
    let length_at = writer.position();
    writer.write(&0_u32);
    if present.contains(RDATTR_ERROR) {
        writer.write(&Status::Ok);
    }
    if present.contains(FILEID) {
        writer.write(&fileid);
    }
    if present.contains(MOUNTED_ON_FILEID) {
        writer.write(&fileid);
    }
    patch_length(writer, length_at);
}

fn patch_length(writer: &mut Writer, length_at: usize) {
    let length = writer.position().saturating_sub(length_at + 4);
    writer.patch_u32(length_at, length as u32);
}

/// The id of the pseudo file system. A share's id is a random UUID, whose version bits are
/// never all zeros.
const PSEUDO_FSID: (u64, u64) = (0, 0);

/// The pseudo file system can do nothing and limits nothing.
const PSEUDO_INFO: FsInfo = FsInfo {
    capabilities: Capabilities(0),
    max_name: Name::MAX as u32,
    max_links: u32::MAX,
    max_file_size: i64::MAX as u64,
    time_delta: Time { sec: 0, nsec: 1 },
    case_insensitive: false,
    case_preserving: true,
    clone_block: 0,
};

fn pseudo_attr(dir: &PseudoDir) -> Attr {
    let changed = dir.changed();
    Attr {
        kind: Kind::Dir,
        mode: 0o555,
        nlink: dir.links(),
        uid: 0,
        gid: 0,
        rdev: (0, 0),
        size: 4096,
        used: 0,
        fileid: dir.id,
        change: dir.change(),
        atime: changed,
        mtime: changed,
        ctime: changed,
        btime: None,
    }
}
