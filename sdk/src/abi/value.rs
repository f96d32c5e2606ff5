//! The values of file-system calls in their frozen form at the border.
//!
//! Reserved words are zero when sent and not looked at when received, so that a later minor
//! version can give them a meaning that an earlier one may miss.

use std::cell::Cell;
use std::sync::Arc;

use abi_stable::StableAbi;
use abi_stable::std_types::{RSlice, RVec};
use bytes::Bytes;

use super::bytes::WireBytes;
use super::op::Wire;
use crate::vfs::{
    Access, Advice, Attr, Buffer, Capabilities, Content, CreateHow, Cred, DirChange, Extent,
    FsInfo, FsStat, Granted, Handle, Kind, Made, Name, NewNode, Node, OpenAccess, Quota,
    ReadDirLimit, ReadOk, SetAttr, SetTime, SetXattr, Stability, Time, VfsError, VfsResult,
    Written, XattrEntry, XattrListing, XattrName,
};

macro_rules! numbered {
    ($to:ident, $from:ident, $type:ident: $int:ty, unknown $unknown:expr; $($number:literal $variant:ident,)*) => {
        pub(super) fn $to(value: $type) -> $int {
            match value { $($type::$variant => $number,)* }
        }
        pub(super) fn $from(number: $int) -> VfsResult<$type> {
            match number { $($number => Ok($type::$variant),)* _ => Err($unknown) }
        }
    };
}

numbered! { error_code, known_error, VfsError: u32, unknown VfsError::Io;
    1 NotFound, 2 AccessDenied, 3 NotPermitted, 4 Exists, 5 NotDir, 6 IsDir, 7 IsSymlink,
    8 WrongType, 9 NotEmpty, 10 Invalid, 11 NameTooLong, 12 BadName, 13 NoSpace,
    14 QuotaExceeded, 15 ReadOnly, 16 FileTooBig, 17 TooManyLinks, 18 CrossDevice, 19 Stale,
    20 BadHandle, 21 BadCookie, 22 TooSmall, 23 NotSupported, 24 Busy, 25 TryLater, 26 Io,
    27 NoXattr, 28 XattrTooBig,
}

/// The error with this code; an unknown one is still an error.
pub(super) fn error_of(code: u32) -> VfsError {
    known_error(code).unwrap_or_else(|unknown| unknown)
}

numbered! { kind_code, kind_of, Kind: u32, unknown VfsError::Io;
    1 File, 2 Dir, 3 Symlink, 4 Block, 5 Char, 6 Fifo, 7 Socket,
}

numbered! { stability_code, stability_of, Stability: u32, unknown VfsError::Io;
    0 Unstable, 1 Data, 2 File,
}

numbered! { set_xattr_code, set_xattr_of, SetXattr: u32, unknown VfsError::NotSupported;
    0 Either, 1 Create, 2 Replace,
}

numbered! { content_code, content_of, Content: u32, unknown VfsError::Io;
    1 Data, 2 Hole,
}

numbered! { advice_code, advice_of, Advice: u32, unknown VfsError::NotSupported;
    0 Normal, 1 Sequential, 2 Random, 3 WillNeed, 4 DontNeed, 5 NoReuse,
}

numbered! { open_code, open_of, OpenAccess: u32, unknown VfsError::Invalid;
    1 Read, 2 Write, 3 Both,
}

#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub(super) struct WireTime {
    sec: i64,
    nsec: u32,
    reserved: u32,
}

impl From<Time> for WireTime {
    #[inline]
    fn from(Time { sec, nsec }: Time) -> Self {
        Self {
            sec,
            nsec,
            reserved: 0,
        }
    }
}

impl From<WireTime> for Time {
    #[inline]
    fn from(wire: WireTime) -> Self {
        Self {
            sec: wire.sec,
            nsec: wire.nsec,
        }
    }
}

#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub(super) struct WireHandle {
    len: u8,
    bytes: [u8; Handle::MAX],
}

impl WireHandle {
    /// Refused by whoever receives it.
    pub(super) const INVALID: Self = Self {
        len: u8::MAX,
        bytes: [0; Handle::MAX],
    };
}

impl Wire for Handle {
    type Form = WireHandle;
    #[inline]
    fn into_wire(self) -> WireHandle {
        let (len, bytes) = self.into_parts();
        WireHandle { len, bytes }
    }
    #[inline]
    fn from_wire(wire: WireHandle) -> VfsResult<Self> {
        Self::from_parts(wire.len, wire.bytes).map_err(|_| VfsError::Io)
    }
}

/// A handle given as an argument.
#[inline]
pub(super) fn handle(bytes: RSlice<'_, u8>) -> VfsResult<Handle> {
    Handle::new(bytes.as_slice()).map_err(|_| VfsError::BadHandle)
}

/// A name given as an argument.
pub(super) fn name(bytes: RSlice<'_, u8>) -> VfsResult<Name<'_>> {
    Name::new(bytes.as_slice()).map_err(|_| VfsError::BadName)
}

/// The name of an extended attribute given as an argument.
pub(super) fn xattr_name(bytes: RSlice<'_, u8>) -> VfsResult<XattrName<'_>> {
    XattrName::new(bytes.as_slice()).map_err(|_| VfsError::BadName)
}

#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub(super) struct WireAttr {
    kind: u32,
    mode: u32,
    nlink: u32,
    uid: u32,
    gid: u32,
    rdev_major: u32,
    rdev_minor: u32,
    has_btime: u32,
    size: u64,
    used: u64,
    fileid: u64,
    change: u64,
    atime: WireTime,
    mtime: WireTime,
    ctime: WireTime,
    btime: WireTime,
    reserved: [u64; 2],
}

impl Wire for Attr {
    type Form = WireAttr;
    #[inline]
    fn into_wire(self) -> WireAttr {
        WireAttr {
            kind: kind_code(self.kind),
            mode: self.mode,
            nlink: self.nlink,
            uid: self.uid,
            gid: self.gid,
            rdev_major: self.rdev.0,
            rdev_minor: self.rdev.1,
            has_btime: u32::from(self.btime.is_some()),
            size: self.size,
            used: self.used,
            fileid: self.fileid,
            change: self.change,
            atime: self.atime.into(),
            mtime: self.mtime.into(),
            ctime: self.ctime.into(),
            btime: self.btime.unwrap_or_default().into(),
            reserved: [0; 2],
        }
    }
    #[inline]
    fn from_wire(wire: WireAttr) -> VfsResult<Self> {
        Ok(Self {
            kind: kind_of(wire.kind)?,
            mode: wire.mode,
            nlink: wire.nlink,
            uid: wire.uid,
            gid: wire.gid,
            rdev: (wire.rdev_major, wire.rdev_minor),
            size: wire.size,
            used: wire.used,
            fileid: wire.fileid,
            change: wire.change,
            atime: wire.atime.into(),
            mtime: wire.mtime.into(),
            ctime: wire.ctime.into(),
            btime: (wire.has_btime != 0).then(|| wire.btime.into()),
        })
    }
}

/// `which`: 0 leave, 1 the backend's clock, 2 `time`.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
struct WireSetTime {
    which: u32,
    time: WireTime,
}

impl WireSetTime {
    fn new(set: Option<SetTime>) -> Self {
        let (which, time) = match set {
            None => (0, Time::default()),
            Some(SetTime::Now) => (1, Time::default()),
            Some(SetTime::To(time)) => (2, time),
        };
        Self {
            which,
            time: time.into(),
        }
    }

    fn value(self) -> VfsResult<Option<SetTime>> {
        match self.which {
            0 => Ok(None),
            1 => Ok(Some(SetTime::Now)),
            2 => Ok(Some(SetTime::To(self.time.into()))),
            _ => Err(VfsError::NotSupported),
        }
    }
}

/// `present` has a bit for each of mode, uid, gid, size and, in the first reserved word, umask;
/// any other bit is one that this side can't honour.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub(super) struct WireSetAttr {
    present: u32,
    mode: u32,
    uid: u32,
    gid: u32,
    size: u64,
    atime: WireSetTime,
    mtime: WireSetTime,
    reserved: [u64; 4],
}

impl WireSetAttr {
    pub(super) fn new(set: &SetAttr) -> Self {
        Self {
            present: u32::from(set.mode.is_some())
                | u32::from(set.uid.is_some()) << 1
                | u32::from(set.gid.is_some()) << 2
                | u32::from(set.size.is_some()) << 3
                | u32::from(set.umask.is_some()) << 4,
            mode: set.mode.unwrap_or_default(),
            uid: set.uid.unwrap_or_default(),
            gid: set.gid.unwrap_or_default(),
            size: set.size.unwrap_or_default(),
            atime: WireSetTime::new(set.atime),
            mtime: WireSetTime::new(set.mtime),
            reserved: [u64::from(set.umask.unwrap_or_default()), 0, 0, 0],
        }
    }

    pub(super) fn value(&self) -> VfsResult<SetAttr> {
        if self.present >= 1 << 5 {
            return Err(VfsError::NotSupported);
        }
        let has = |bit: u32| self.present & (1 << bit) != 0;
        let [umask, ..] = self.reserved;
        Ok(SetAttr {
            mode: has(0).then_some(self.mode),
            uid: has(1).then_some(self.uid),
            gid: has(2).then_some(self.gid),
            size: has(3).then_some(self.size),
            atime: self.atime.value()?,
            mtime: self.mtime.value()?,
            umask: has(4).then_some(umask as u32),
        })
    }
}

#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub(super) struct WireCred<'a> {
    uid: u32,
    gid: u32,
    groups: RSlice<'a, u32>,
}

impl<'a> WireCred<'a> {
    pub(super) fn new(cred: &'a Cred) -> Self {
        Self {
            uid: cred.uid,
            gid: cred.gid,
            groups: RSlice::from_slice(&cred.groups),
        }
    }

    /// Runs `call` with the caller's credentials. A thread mostly serves one caller many times,
    /// so that the last credentials are kept instead of their groups allocated each time.
    pub(super) fn with<R>(&self, call: impl FnOnce(&Cred) -> R) -> R {
        thread_local!(static LAST: Cell<Option<Cred>> = const { Cell::new(None) });
        let groups = self.groups.as_slice();
        let cred = LAST
            .take()
            .filter(|last| last.uid == self.uid && last.gid == self.gid && *last.groups == *groups)
            .unwrap_or_else(|| Cred {
                uid: self.uid,
                gid: self.gid,
                groups: Arc::from(groups),
            });
        let result = call(&cred);
        LAST.set(Some(cred));
        result
    }
}

#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub(super) struct WireNode {
    pub(super) handle: WireHandle,
    pub(super) attr: WireAttr,
}

impl Wire for Node {
    type Form = WireNode;
    #[inline]
    fn into_wire(self) -> WireNode {
        WireNode {
            handle: self.handle.into_wire(),
            attr: self.attr.into_wire(),
        }
    }
    #[inline]
    fn from_wire(wire: WireNode) -> VfsResult<Self> {
        Ok(Self {
            handle: Handle::from_wire(wire.handle)?,
            attr: Attr::from_wire(wire.attr)?,
        })
    }
}

#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub(super) struct WireDirChange {
    before: u64,
    after: u64,
    atomic: u64,
}

impl Wire for DirChange {
    type Form = WireDirChange;
    fn into_wire(self) -> WireDirChange {
        WireDirChange {
            before: self.before,
            after: self.after,
            atomic: u64::from(self.atomic),
        }
    }
    fn from_wire(wire: WireDirChange) -> VfsResult<Self> {
        Ok(Self {
            atomic: wire.atomic != 0,
            before: wire.before,
            after: wire.after,
        })
    }
}

#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub(super) struct WireRenamed {
    from: WireDirChange,
    to: WireDirChange,
}

impl Wire for (DirChange, DirChange) {
    type Form = WireRenamed;
    fn into_wire(self) -> WireRenamed {
        WireRenamed {
            from: self.0.into_wire(),
            to: self.1.into_wire(),
        }
    }
    fn from_wire(wire: WireRenamed) -> VfsResult<Self> {
        Ok((
            DirChange::from_wire(wire.from)?,
            DirChange::from_wire(wire.to)?,
        ))
    }
}

#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub(super) struct WireMade {
    node: WireNode,
    dir: WireDirChange,
}

impl Wire for Made {
    type Form = WireMade;
    fn into_wire(self) -> WireMade {
        WireMade {
            node: self.node.into_wire(),
            dir: self.dir.into_wire(),
        }
    }
    fn from_wire(wire: WireMade) -> VfsResult<Self> {
        Ok(Self {
            node: Node::from_wire(wire.node)?,
            dir: DirChange::from_wire(wire.dir)?,
        })
    }
}

/// `which`: 0 unchecked, 1 guarded, 2 exclusive with `verifier`.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub(super) struct WireCreateHow {
    which: u32,
    verifier: [u8; 8],
}

impl WireCreateHow {
    pub(super) fn new(how: CreateHow) -> Self {
        let (which, verifier) = match how {
            CreateHow::Unchecked => (0, [0; 8]),
            CreateHow::Guarded => (1, [0; 8]),
            CreateHow::Exclusive(verifier) => (2, verifier),
        };
        Self { which, verifier }
    }

    pub(super) fn value(self) -> VfsResult<CreateHow> {
        match self.which {
            0 => Ok(CreateHow::Unchecked),
            1 => Ok(CreateHow::Guarded),
            2 => Ok(CreateHow::Exclusive(self.verifier)),
            _ => Err(VfsError::NotSupported),
        }
    }
}

/// The kind of node, with the target of a symbolic link or the numbers of a device.
#[repr(C)]
#[derive(StableAbi)]
pub(super) struct WireNewNode {
    kind: u32,
    major: u32,
    minor: u32,
    target: WireBytes,
}

impl WireNewNode {
    pub(super) fn new(what: &NewNode) -> Self {
        let (kind, major, minor, target) = match what {
            NewNode::Dir => (Kind::Dir, 0, 0, Bytes::new()),
            NewNode::Symlink(target) => (Kind::Symlink, 0, 0, target.clone()),
            NewNode::Block(major, minor) => (Kind::Block, *major, *minor, Bytes::new()),
            NewNode::Char(major, minor) => (Kind::Char, *major, *minor, Bytes::new()),
            NewNode::Fifo => (Kind::Fifo, 0, 0, Bytes::new()),
            NewNode::Socket => (Kind::Socket, 0, 0, Bytes::new()),
        };
        Self {
            kind: kind_code(kind),
            major,
            minor,
            target: target.into(),
        }
    }

    pub(super) fn value(self) -> VfsResult<NewNode> {
        match kind_of(self.kind) {
            Ok(Kind::Dir) => Ok(NewNode::Dir),
            Ok(Kind::Symlink) => Ok(NewNode::Symlink(self.target.into())),
            Ok(Kind::Block) => Ok(NewNode::Block(self.major, self.minor)),
            Ok(Kind::Char) => Ok(NewNode::Char(self.major, self.minor)),
            Ok(Kind::Fifo) => Ok(NewNode::Fifo),
            Ok(Kind::Socket) => Ok(NewNode::Socket),
            Ok(Kind::File) | Err(_) => Err(VfsError::NotSupported),
        }
    }
}

#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub(super) struct WireReadDirLimit {
    entries: u32,
    attrs: u32,
}

impl From<ReadDirLimit> for WireReadDirLimit {
    fn from(limit: ReadDirLimit) -> Self {
        Self {
            entries: limit.entries,
            attrs: u32::from(limit.attrs),
        }
    }
}

impl From<WireReadDirLimit> for ReadDirLimit {
    fn from(wire: WireReadDirLimit) -> Self {
        Self {
            entries: wire.entries,
            attrs: wire.attrs != 0,
        }
    }
}

/// One entry of [`WireXattrListing`]; its name is the next `name_len` bytes of the names.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub(super) struct WireXattrEntry {
    cookie: u64,
    name_len: u64,
}

/// Names of extended attributes, in one run of bytes as those of a [`Listing`](crate::vfs::Listing).
#[repr(C)]
#[derive(StableAbi)]
pub(super) struct WireXattrListing {
    entries: RVec<WireXattrEntry>,
    names: WireBytes,
    eof: u64,
}

impl Wire for XattrListing {
    type Form = WireXattrListing;
    fn into_wire(self) -> WireXattrListing {
        let names: Vec<u8> = self
            .entries
            .iter()
            .flat_map(|entry| entry.name.iter().copied())
            .collect();
        let entry = |entry: &XattrEntry| WireXattrEntry {
            cookie: entry.cookie,
            name_len: entry.name.len() as u64,
        };
        WireXattrListing {
            entries: self.entries.iter().map(entry).collect(),
            names: Bytes::from(names).into(),
            eof: u64::from(self.eof),
        }
    }
    fn from_wire(wire: WireXattrListing) -> VfsResult<Self> {
        let mut names = Bytes::from(wire.names);
        let mut entries = Vec::with_capacity(wire.entries.len());
        for entry in wire.entries.as_slice() {
            let len = usize::try_from(entry.name_len).map_err(|_| VfsError::Io)?;
            if len > names.len() {
                return Err(VfsError::Io);
            }
            entries.push(XattrEntry {
                name: names.split_to(len),
                cookie: entry.cookie,
            });
        }
        Ok(Self {
            entries,
            eof: wire.eof != 0,
        })
    }
}

#[repr(C)]
#[derive(StableAbi)]
pub(super) struct WireReadOk {
    buffer: RVec<u8>,
    eof: u64,
}

impl Wire for ReadOk {
    type Form = WireReadOk;
    fn into_wire(self) -> WireReadOk {
        WireReadOk {
            buffer: self.buffer.0,
            eof: u64::from(self.eof),
        }
    }
    fn from_wire(wire: WireReadOk) -> VfsResult<Self> {
        Ok(Self {
            buffer: Buffer(wire.buffer),
            eof: wire.eof != 0,
        })
    }
}

#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub(super) struct WireWritten {
    count: u32,
    stability: u32,
}

impl Wire for Written {
    type Form = WireWritten;
    fn into_wire(self) -> WireWritten {
        WireWritten {
            count: self.count,
            stability: stability_code(self.stability),
        }
    }
    fn from_wire(wire: WireWritten) -> VfsResult<Self> {
        Ok(Self {
            count: wire.count,
            stability: stability_of(wire.stability)?,
        })
    }
}

/// An extent, or none with a content of 0.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub(super) struct WireExtent {
    end: u64,
    content: u32,
    reserved: u32,
}

impl Wire for Option<Extent> {
    type Form = WireExtent;
    fn into_wire(self) -> WireExtent {
        let (end, content) =
            self.map_or((0, 0), |extent| (extent.end, content_code(extent.content)));
        WireExtent {
            end,
            content,
            reserved: 0,
        }
    }
    fn from_wire(wire: WireExtent) -> VfsResult<Self> {
        if wire.content == 0 {
            return Ok(None);
        }
        Ok(Some(Extent {
            content: content_of(wire.content)?,
            end: wire.end,
        }))
    }
}

#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub(super) struct WireFsInfo {
    capabilities: u64,
    max_name: u32,
    max_links: u32,
    max_file_size: u64,
    time_delta: WireTime,
    case_insensitive: u32,
    case_preserving: u32,
    /// The first is [`FsInfo::clone_block`], since 1.2.
    reserved: [u64; 4],
}

impl WireFsInfo {
    /// Of a file system that failed to say anything.
    pub(super) const NOTHING: Self = Self {
        capabilities: 0,
        max_name: 0,
        max_links: 0,
        max_file_size: 0,
        time_delta: WireTime {
            sec: 0,
            nsec: 0,
            reserved: 0,
        },
        case_insensitive: 0,
        case_preserving: 0,
        reserved: [0; 4],
    };
}

impl From<FsInfo> for WireFsInfo {
    fn from(info: FsInfo) -> Self {
        Self {
            capabilities: info.capabilities.0,
            max_name: info.max_name,
            max_links: info.max_links,
            max_file_size: info.max_file_size,
            time_delta: info.time_delta.into(),
            case_insensitive: u32::from(info.case_insensitive),
            case_preserving: u32::from(info.case_preserving),
            reserved: [info.clone_block.into(), 0, 0, 0],
        }
    }
}

impl From<WireFsInfo> for FsInfo {
    fn from(wire: WireFsInfo) -> Self {
        let [clone_block, ..] = wire.reserved;
        Self {
            capabilities: Capabilities(wire.capabilities),
            max_name: wire.max_name,
            max_links: wire.max_links,
            max_file_size: wire.max_file_size,
            time_delta: wire.time_delta.into(),
            case_insensitive: wire.case_insensitive != 0,
            case_preserving: wire.case_preserving != 0,
            clone_block: u32::try_from(clone_block).unwrap_or(0),
        }
    }
}

#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub(super) struct WireFsStat {
    total_bytes: u64,
    free_bytes: u64,
    avail_bytes: u64,
    total_files: u64,
    free_files: u64,
    avail_files: u64,
    reserved: [u64; 2],
}

impl Wire for FsStat {
    type Form = WireFsStat;
    fn into_wire(self) -> WireFsStat {
        WireFsStat {
            total_bytes: self.total_bytes,
            free_bytes: self.free_bytes,
            avail_bytes: self.avail_bytes,
            total_files: self.total_files,
            free_files: self.free_files,
            avail_files: self.avail_files,
            reserved: [0; 2],
        }
    }
    fn from_wire(wire: WireFsStat) -> VfsResult<Self> {
        Ok(Self {
            total_bytes: wire.total_bytes,
            free_bytes: wire.free_bytes,
            avail_bytes: wire.avail_bytes,
            total_files: wire.total_files,
            free_files: wire.free_files,
            avail_files: wire.avail_files,
        })
    }
}

#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub(super) struct WireQuota {
    avail_hard: u64,
    avail_soft: u64,
    used: u64,
    reserved: [u64; 2],
}

impl Wire for Quota {
    type Form = WireQuota;
    fn into_wire(self) -> WireQuota {
        WireQuota {
            avail_hard: self.avail_hard,
            avail_soft: self.avail_soft,
            used: self.used,
            reserved: [0; 2],
        }
    }
    fn from_wire(wire: WireQuota) -> VfsResult<Self> {
        Ok(Self {
            avail_hard: wire.avail_hard,
            avail_soft: wire.avail_soft,
            used: wire.used,
        })
    }
}

impl Wire for Access {
    type Form = u32;
    fn into_wire(self) -> u32 {
        self.0
    }
    fn from_wire(wire: u32) -> VfsResult<Self> {
        Ok(Self(wire))
    }
}

#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub(super) struct WireGranted {
    access: u64,
    attr: WireAttr,
}

impl Wire for Granted {
    type Form = WireGranted;
    #[inline]
    fn into_wire(self) -> WireGranted {
        WireGranted {
            access: self.access.0.into(),
            attr: self.attr.into_wire(),
        }
    }
    #[inline]
    fn from_wire(wire: WireGranted) -> VfsResult<Self> {
        Ok(Self {
            access: Access(wire.access as u32),
            attr: Attr::from_wire(wire.attr)?,
        })
    }
}

impl Wire for Bytes {
    type Form = WireBytes;
    fn into_wire(self) -> WireBytes {
        self.into()
    }
    fn from_wire(wire: WireBytes) -> VfsResult<Self> {
        Ok(wire.into())
    }
}

impl Wire for u64 {
    type Form = Self;
    fn into_wire(self) -> Self {
        self
    }
    fn from_wire(wire: Self) -> VfsResult<Self> {
        Ok(wire)
    }
}

impl Wire for () {
    type Form = ();
    fn into_wire(self) {}
    fn from_wire((): ()) -> VfsResult<Self> {
        Ok(())
    }
}
