//! The attributes of NFSv4: one row each, and nothing else in the tree lists them.

use dittofs_sdk::vfs::{Capabilities, Kind, Time};

use super::acl;
use super::facts::Facts;
use super::set::{Settable, id_of, mode_of, settime, umask_of};
use crate::status::Status;
use crate::types::{Bitmap, Minor};
use crate::xdr::{Reader, Writer};

/// How an attribute's value is appended.
pub(super) type Read = fn(&Facts<'_>, &mut Writer);
/// How an attribute's value is read off the wire and noted.
type Set = fn(&mut Reader, &mut Settable) -> Result<(), Status>;

/// What a client may do with an attribute.
enum Use {
    /// Read it.
    Get(Read),
    /// Read and set it.
    Both(Read, Set),
    /// Set it; reading is NFS4ERR_INVAL (RFC 8881 §5.5).
    Put(Set),
}

/// The first minor version that has an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    V40,
    V41,
    V42,
}

/// What the table says of an attribute.
struct Row {
    number: u32,
    since: Since,
    usage: Use,
}

macro_rules! attributes {
    ($($number:literal $name:ident $since:ident $usage:expr;)*) => {
        $(#[doc = concat!("Number of the attribute ", stringify!($name))]
        #[allow(dead_code, unreachable_pub)]
        pub const $name: u32 = $number;)*

        const TABLE: &[Row] = &[
            $(Row { number: $number, since: Since::$since, usage: $usage },)*
        ];
    };
}

use Use::{Both, Get, Put};

attributes! {
     0 SUPPORTED_ATTRS    V40 Get(|f, w| w.write(&supported(f.fs.minor)));
     1 TYPE               V40 Get(|f, w| w.write(&file_type(f.attr.kind, f.is_named())));
     2 FH_EXPIRE_TYPE     V40 Get(|_, w| w.write(&FH4_PERSISTENT));
     3 CHANGE             V40 Get(|f, w| w.write(&f.attr.change));
     4 SIZE               V40 Both(|f, w| w.write(&f.attr.size), |r, s| { s.changes.size = Some(r.read()?); Ok(()) });
     5 LINK_SUPPORT       V40 Get(|f, w| w.write(&f.can(Capabilities::LINKS)));
     6 SYMLINK_SUPPORT    V40 Get(|f, w| w.write(&f.can(Capabilities::SYMLINKS)));
     7 NAMED_ATTR         V40 Get(|f, w| w.write(&f.further.named_attr));
     8 FSID               V40 Get(|f, w| { w.write(&f.fs.fsid.0); w.write(&f.fs.fsid.1); });
     9 UNIQUE_HANDLES     V40 Get(|_, w| w.write(&true));
    10 LEASE_TIME         V40 Get(|f, w| w.write(&f.fs.lease));
    11 RDATTR_ERROR       V40 Get(|_, w| w.write(&Status::Ok));
    12 ACL                V40 Both(|f, w| f.write_acl(acl::write_acl, w), |r, s| { s.acl = Some(acl::read_acl(r)?); Ok(()) });
    13 ACLSUPPORT         V40 Get(|_, w| w.write(&acl::SUPPORTED));
    15 CANSETTIME         V40 Get(|_, w| w.write(&true));
    16 CASE_INSENSITIVE   V40 Get(|f, w| w.write(&f.fs.info.case_insensitive));
    17 CASE_PRESERVING    V40 Get(|f, w| w.write(&f.fs.info.case_preserving));
    18 CHOWN_RESTRICTED   V40 Get(|_, w| w.write(&true));
    19 FILEHANDLE         V40 Get(|f, w| w.write(&f.object.file_handle()));
    20 FILEID             V40 Get(|f, w| w.write(&f.attr.fileid));
    21 FILES_AVAIL        V40 Get(|f, w| w.write(&f.fs.stat.avail_files));
    22 FILES_FREE         V40 Get(|f, w| w.write(&f.fs.stat.free_files));
    23 FILES_TOTAL        V40 Get(|f, w| w.write(&f.fs.stat.total_files));
    24 FS_LOCATIONS       V40 Get(fs_locations);
    26 HOMOGENEOUS        V40 Get(|_, w| w.write(&true));
    27 MAXFILESIZE        V40 Get(|f, w| w.write(&f.fs.info.max_file_size));
    28 MAXLINK            V40 Get(|f, w| w.write(&f.fs.info.max_links));
    29 MAXNAME            V40 Get(|f, w| w.write(&f.fs.info.max_name));
    30 MAXREAD            V40 Get(|f, w| w.write(&u64::from(f.fs.max_read)));
    31 MAXWRITE           V40 Get(|f, w| w.write(&u64::from(f.fs.max_write)));
    33 MODE               V40 Both(|f, w| w.write(&(f.attr.mode & 0o7777)), |r, s| { s.changes.mode = Some(mode_of(r)?); Ok(()) });
    34 NO_TRUNC           V40 Get(|_, w| w.write(&true));
    35 NUMLINKS           V40 Get(|f, w| w.write(&f.attr.nlink));
    36 OWNER              V40 Both(|f, w| number(w, f.attr.uid), |r, s| { s.changes.uid = Some(id_of(r)?); Ok(()) });
    37 OWNER_GROUP        V40 Both(|f, w| number(w, f.attr.gid), |r, s| { s.changes.gid = Some(id_of(r)?); Ok(()) });
    38 QUOTA_AVAIL_HARD   V40 Get(|f, w| w.write(&f.further.quota.avail_hard));
    39 QUOTA_AVAIL_SOFT   V40 Get(|f, w| w.write(&f.further.quota.avail_soft));
    40 QUOTA_USED         V40 Get(|f, w| w.write(&f.further.quota.used));
    41 RAWDEV             V40 Get(|f, w| { w.write(&f.attr.rdev.0); w.write(&f.attr.rdev.1); });
    42 SPACE_AVAIL        V40 Get(|f, w| w.write(&f.fs.stat.avail_bytes));
    43 SPACE_FREE         V40 Get(|f, w| w.write(&f.fs.stat.free_bytes));
    44 SPACE_TOTAL        V40 Get(|f, w| w.write(&f.fs.stat.total_bytes));
    45 SPACE_USED         V40 Get(|f, w| w.write(&f.attr.used));
    47 TIME_ACCESS        V40 Get(|f, w| time(w, f.attr.atime));
    48 TIME_ACCESS_SET    V40 Put(|r, s| { s.changes.atime = Some(settime(r)?); Ok(()) });
    50 TIME_CREATE        V40 Get(|f, w| time(w, f.attr.btime.unwrap_or(f.attr.ctime)));
    51 TIME_DELTA         V40 Get(|f, w| time(w, f.fs.info.time_delta));
    52 TIME_METADATA      V40 Get(|f, w| time(w, f.attr.ctime));
    53 TIME_MODIFY        V40 Get(|f, w| time(w, f.attr.mtime));
    54 TIME_MODIFY_SET    V40 Put(|r, s| { s.changes.mtime = Some(settime(r)?); Ok(()) });
    55 MOUNTED_ON_FILEID  V40 Get(|f, w| w.write(&f.mounted_on));
    58 DACL               V41 Both(|f, w| f.write_acl(acl::write_dacl, w), |r, s| { s.acl = Some(acl::read_dacl(r)?); Ok(()) });
    74 MODE_SET_MASKED    V41 Put(|r, s| {
        s.changes.mode = Some(mode_of(r)?);
        s.mode_mask = Some(mode_of(r)?);
        Ok(())
    });
    75 SUPPATTR_EXCLCREAT V41 Get(|f, w| w.write(&exclusive_create(f.fs.minor)));
    76 FS_CHARSET_CAP     V41 Get(|_, w| w.write(&FSCHARSET_CAP4_CONTAINS_NON_UTF8));
    77 CLONE_BLKSIZE      V42 Get(|f, w| w.write(&f.fs.info.clone_block));
    78 SPACE_FREED        V42 Get(|f, w| w.write(&space_freed(f)));
    79 CHANGE_ATTR_TYPE   V42 Get(|f, w| w.write(&change_attr_type(f)));
    81 MODE_UMASK         V42 Put(|r, s| {
        s.changes.mode = Some(mode_of(r)?);
        s.changes.umask = Some(umask_of(r)?);
        Ok(())
    });
    82 XATTR_SUPPORT      V42 Get(|f, w| w.write(&f.can(Capabilities::XATTR)));
    86 OPEN_ARGUMENTS     V41 Get(|_, w| OPEN_OFFERS.iter().for_each(|offer| w.write(offer)));
}

/// What an OPEN may ask for here (RFC 9754 §4): access, deny, wishes for delegations (of any kind, of
/// none, none any more), claims (all but those of delegations from before the client's restart)
/// and ways to create. The RFC made it for 4.2; clients of 4.1 that know it ask too, and the others
/// pass over it.
const OPEN_OFFERS: [Bitmap; 5] = [
    Bitmap::of(&[1, 2, 3]),
    Bitmap::of(&[0, 1, 2, 3]),
    Bitmap::of(&[3, 4, 5]),
    Bitmap::of(&[0, 1, 2, 4, 5]),
    Bitmap::of(&[0, 1, 2, 3]),
];

/// A handle names its object as long as that exists.
const FH4_PERSISTENT: u32 = 0;
/// Names are any bytes (RFC 8881 §14.4).
const FSCHARSET_CAP4_CONTAINS_NON_UTF8: u32 = 1;

/// A set of rows, as numbers.
macro_rules! rows {
    ($pattern:pat) => {{
        let mut set = Bitmap::EMPTY;
        let mut rest = TABLE;
        while let [row, tail @ ..] = rest {
            if matches!(row, $pattern) {
                set = set.with(row.number);
            }
            rest = tail;
        }
        set
    }};
}

const IN_V40: Bitmap = rows!(Row {
    since: Since::V40,
    ..
});
const IN_V41: Bitmap = rows!(Row {
    since: Since::V40 | Since::V41,
    ..
});
const IN_V42: Bitmap = rows!(_);
const WRITE_ONLY: Bitmap = rows!(Row { usage: Put(_), .. });
const WRITABLE: Bitmap = rows!(Row {
    usage: Put(_) | Both(..),
    ..
});
/// What an object's lists are asked for.
pub(super) const ACLS: Bitmap = Bitmap::of(&[ACL, DACL]);
/// What its limits are asked for.
pub(super) const QUOTAS: Bitmap = Bitmap::of(&[QUOTA_AVAIL_HARD, QUOTA_AVAIL_SOFT, QUOTA_USED]);
/// The file system is asked for its space only if one of these is wanted.
pub(super) const SPACE: Bitmap = Bitmap::of(&[
    FILES_AVAIL,
    FILES_FREE,
    FILES_TOTAL,
    SPACE_AVAIL,
    SPACE_FREE,
    SPACE_TOTAL,
]);

/// The attributes that a minor version has here. The same on every object: clients ask once.
pub const fn supported(minor: Minor) -> Bitmap {
    match minor {
        Minor::V40 => IN_V40,
        Minor::V41 => IN_V41,
        Minor::V42 => IN_V42,
    }
}

/// The attributes that may be read.
pub const fn readable(minor: Minor) -> Bitmap {
    supported(minor).minus(WRITE_ONLY)
}

/// The attributes that may only be set. One that the minor version does not have is not among
/// them: it is overlooked.
pub const fn write_only(minor: Minor) -> Bitmap {
    supported(minor).and(WRITE_ONLY)
}

/// The attributes that may be set.
pub const fn settable(minor: Minor) -> Bitmap {
    supported(minor).and(WRITABLE)
}

/// The attributes that an exclusive create may set: not the times, whose place the verifier may
/// take (RFC 8881 §18.16.3).
pub const fn exclusive_create(minor: Minor) -> Bitmap {
    settable(minor).minus(Bitmap::of(&[TIME_ACCESS_SET, TIME_MODIFY_SET]))
}

/// Appends the values of the readable attributes of `wanted`, in order.
pub(super) fn encode_values(facts: &Facts<'_>, wanted: Bitmap, writer: &mut Writer) {
    for get in readers(wanted) {
        get(facts, writer);
    }
}

/// How the readable attributes of `wanted` are read, in order.
pub(super) fn readers(wanted: Bitmap) -> impl Iterator<Item = Read> {
    let reader = |number| *READERS.get(number as usize)?;
    wanted.iter().filter_map(reader)
}

/// How each attribute is read, by its number: GETATTR and READDIR do nothing more often.
// Evaluated by the compiler, to which a number out of range is an error.
#[allow(clippy::indexing_slicing)]
static READERS: [Option<Read>; 96] = {
    let mut readers: [Option<Read>; 96] = [None; 96];
    let mut rest = TABLE;
    while let [row, tail @ ..] = rest {
        if let Get(get) | Both(get, _) = row.usage {
            readers[row.number as usize] = Some(get);
        }
        rest = tail;
    }
    readers
};

/// Reads the values of `mask`, all of which [`settable`] has.
pub(super) fn decode_values(
    mask: Bitmap,
    reader: &mut Reader,
    into: &mut Settable,
) -> Result<(), Status> {
    for row in TABLE.iter().filter(|row| mask.contains(row.number)) {
        match row.usage {
            Both(_, set) | Put(set) => set(reader, into)?,
            Get(_) => return Err(Status::Inval),
        }
    }
    Ok(())
}

/// nfs_ftype4
fn file_type(kind: Kind, named: bool) -> u32 {
    match kind {
        Kind::Dir if named => 8,
        Kind::File if named => 9,
        Kind::File => 1,
        Kind::Dir => 2,
        Kind::Block => 3,
        Kind::Char => 4,
        Kind::Symlink => 5,
        Kind::Socket => 6,
        Kind::Fifo => 7,
    }
}

/// fs_locations4: where the file system is here, and nowhere else (RFC 8881 §11.16).
fn fs_locations(facts: &Facts<'_>, writer: &mut Writer) {
    writer.write(&(facts.fs_root().count() as u32));
    for part in facts.fs_root() {
        writer.write(part);
    }
    writer.write(&0_u32);
}

/// Bytes that are free again when the object is removed: none as long as it has another name
/// (RFC 7862 §12.2.2). What it shares with clones counts as its own, as it does in `space_used`.
fn space_freed(facts: &Facts<'_>) -> u64 {
    if facts.attr.kind != Kind::Dir && facts.attr.nlink > 1 {
        0
    } else {
        facts.attr.used
    }
}

/// change_attr_type4 (RFC 7862 §12.2.3)
fn change_attr_type(facts: &Facts<'_>) -> u32 {
    const MONOTONIC_INCR: u32 = 0;
    const TIME_METADATA: u32 = 3;
    const UNDEFINED: u32 = 4;
    if facts.can(Capabilities::CHANGE_COUNTS) {
        MONOTONIC_INCR
    } else if facts.can(Capabilities::CHANGE_IS_CTIME) {
        TIME_METADATA
    } else {
        UNDEFINED
    }
}

/// A user or group as its number in decimal, written back to front: under AUTH_SYS both sides
/// know no better name (RFC 8881 §5.9).
pub(super) fn number(writer: &mut Writer, id: u32) {
    let mut digits = [b'0'; 10];
    let mut rest = id;
    let mut count = 0;
    for digit in digits.iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    writer.opaque(digits.get(digits.len() - count..).unwrap_or_default());
}

fn time(writer: &mut Writer, time: Time) {
    writer.write(&time.sec);
    writer.write(&time.nsec);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_their_numbers() {
        assert!(TABLE.is_sorted_by(|a, b| a.number < b.number));
    }

    #[test]
    fn what_may_be_set_is_told_apart() {
        let numbers = |set: Bitmap| set.iter().collect::<Vec<_>>();
        assert_eq!(numbers(settable(Minor::V40)), [4, 12, 33, 36, 37, 48, 54]);
        assert_eq!(numbers(write_only(Minor::V40)), [48, 54]);
        assert_eq!(numbers(write_only(Minor::V41)), [48, 54, 74]);
        assert_eq!(numbers(write_only(Minor::V42)), [48, 54, 74, 81]);
        assert!(readable(Minor::V41).and(WRITE_ONLY).is_empty());
    }

    #[test]
    fn minor_version_0_has_no_attribute_of_minor_version_1() {
        assert!(supported(Minor::V40).iter().all(|number| number <= 55));
        assert!(supported(Minor::V41).contains(SUPPATTR_EXCLCREAT));
    }

    #[test]
    fn no_minor_version_has_an_attribute_of_a_later_one() {
        let later = supported(Minor::V42).minus(supported(Minor::V41));
        let numbers: Vec<u32> = later.iter().collect();
        assert_eq!(
            numbers,
            [
                CLONE_BLKSIZE,
                SPACE_FREED,
                CHANGE_ATTR_TYPE,
                MODE_UMASK,
                XATTR_SUPPORT
            ]
        );
        for minor in [Minor::V40, Minor::V41] {
            assert!(supported(minor).and(later).is_empty());
            assert!(write_only(minor).and(later).is_empty());
            assert!(exclusive_create(minor).and(later).is_empty());
        }
    }

    #[test]
    fn an_exclusive_create_sets_no_times() {
        let set = exclusive_create(Minor::V41);
        assert!(set.contains(MODE) && set.contains(OWNER));
        assert!(!set.contains(TIME_ACCESS_SET) && !set.contains(TIME_MODIFY_SET));
    }
}
