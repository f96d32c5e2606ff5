//! What attributes are read from: one snapshot of an object and of its file system.

use dittofs_sdk::vfs::{Attr, Capabilities, FsInfo, FsStat, Kind, Name, Time};

use super::table::{self, FILEID, MOUNTED_ON_FILEID, NAMED_ATTR, RDATTR_ERROR, encode_values};
use crate::compound::Cx;
use crate::exports::{Object, PseudoDir};
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
    /// Its file system.
    pub fs: FsFacts,
    /// The object.
    pub object: &'a Object,
    /// Its attributes.
    pub attr: Attr,
    /// Its number, or that of the junction where a share begins (RFC 8881 §5.8.2.23).
    pub mounted_on: u64,
    /// Whether it has named attributes; false unless that was wanted.
    pub named_attr: bool,
}

/// Gathers what the attributes `wanted` of `object` are read from.
pub async fn facts<'a>(cx: &Cx, object: &'a Object, wanted: Bitmap) -> Result<Facts<'a>, Status> {
    let fs = fs_facts(cx, object, wanted).await?;
    let attr = match object {
        Object::Pseudo(dir) => pseudo_attr(dir),
        Object::Share(object) => object.share.fs.attr(&object.handle).await?,
    };
    let named_attr = has_named_attributes(object, wanted).await?;
    let facts = Facts::new(fs, object, attr, wanted, cx);
    Ok(Facts {
        named_attr,
        ..facts
    })
}

/// Whether `object` has named attributes, if that is wanted (RFC 8881 §5.8.1.8).
pub async fn has_named_attributes(object: &Object, wanted: Bitmap) -> Result<bool, Status> {
    match object {
        Object::Share(object) if wanted.contains(NAMED_ATTR) && !object.is_named() => {
            Ok(named::any(&object.share.fs, &object.handle).await?)
        }
        _ => Ok(false),
    }
}

/// Gathers what the objects of the file system of `object` have in common.
pub async fn fs_facts(cx: &Cx, object: &Object, wanted: Bitmap) -> Result<FsFacts, Status> {
    let (fsid, info, stat) = match object {
        Object::Pseudo(_) => (PSEUDO_FSID, PSEUDO_INFO, FsStat::default()),
        Object::Share(object) => {
            let fs = &object.share.fs;
            let stat = if wanted.and(table::SPACE).is_empty() {
                FsStat::default()
            } else {
                fs.stat_fs().await?
            };
            (object.file_system().as_u64_pair(), fs.info(), stat)
        }
    };
    let settings = &cx.settings;
    Ok(FsFacts {
        fsid,
        info,
        stat,
        lease: settings.lease_time,
        max_read: settings.max_read_size,
        max_write: settings.max_write_size,
        minor: cx.minor(),
    })
}

impl<'a> Facts<'a> {
    /// The facts of an object whose attributes are known.
    pub fn new(fs: FsFacts, object: &'a Object, attr: Attr, wanted: Bitmap, cx: &Cx) -> Self {
        let mounted_on = match object {
            Object::Share(share) if wanted.contains(MOUNTED_ON_FILEID) && share.is_share_root() => {
                PseudoDir::of_junction(&cx.server.exports(), &share.share)
                    .map_or(attr.fileid, |(_, number)| number)
            }
            _ => attr.fileid,
        };
        Self {
            fs,
            object,
            attr,
            mounted_on,
            named_attr: false,
        }
    }

    /// Whether the object is a named attribute or a directory of such.
    pub(super) fn is_named(&self) -> bool {
        matches!(self.object, Object::Share(object) if object.is_named())
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
