//! What a client sends to be set or compared.

use bytes::Bytes;
use dittofs_sdk::vfs::{SetAttr, SetTime, Time};

use super::acl::AclToSet;
use super::table;
use crate::status::Status;
use crate::types::{Bitmap, Minor};
use crate::xdr::{BadXdr, Reader, xdr_struct};

xdr_struct! {
    /// fattr4, its values not yet read: what is wrong with them is the status of the operation.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct FAttr {
        /// Which attributes.
        pub mask: Bitmap,
        /// Their values in ascending order.
        pub values: Bytes,
    } => decode
}

/// Attributes that a client wants set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settable {
    /// For the file system. A mode that came with a mask is the one for a new object.
    pub changes: SetAttr,
    /// Which attributes these are on the wire: the `attrset` of a reply that set them all.
    pub mask: Bitmap,
    /// The mode bits that are to change, if not all (`mode_set_masked`).
    pub mode_mask: Option<u32>,
    /// An access control list.
    pub acl: Option<AclToSet>,
}

impl FAttr {
    /// Reads the values of attributes that may be set: NFS4ERR_ATTRNOTSUPP for one that
    /// does not exist here, NFS4ERR_INVAL for one that can only be read, NFS4ERR_BADXDR for
    /// values that do not fit the mask (RFC 8881 §18.30.3, §5.5).
    pub fn settable(&self, minor: Minor) -> Result<Settable, Status> {
        if self.mask.has_unknown() || !self.mask.minus(table::supported(minor)).is_empty() {
            return Err(Status::Attrnotsupp);
        }
        if !self.mask.minus(table::settable(minor)).is_empty() {
            return Err(Status::Inval);
        }
        // Two modes at once contradict each other (RFC 8881 §5.11.3, RFC 8275 §5), and so do two lists.
        for alternatives in [MODES, table::ACLS] {
            if self.mask.and(alternatives).iter().count() > 1 {
                return Err(Status::Inval);
            }
        }
        let mut reader = Reader::new(self.values.clone());
        let mut settable = Settable {
            mask: self.mask,
            ..Settable::default()
        };
        table::decode_values(self.mask, &mut reader, &mut settable)?;
        reader.finish()?;
        if let (Some(mode), Some(mask)) = (settable.changes.mode, settable.mode_mask) {
            settable.changes.mode = Some(mode & mask);
        }
        Ok(settable)
    }
}

/// What sets the mode.
const MODES: Bitmap = Bitmap::of(&[table::MODE, table::MODE_SET_MASKED, table::MODE_UMASK]);

impl Settable {
    /// The changes to an object that has mode `mode` now.
    pub fn on_mode(&self, mode: u32) -> SetAttr {
        let mut changes = self.changes;
        if let (Some(value), Some(mask)) = (changes.mode, self.mode_mask) {
            changes.mode = Some((mode & !mask & 0o7777) | value);
        }
        changes
    }
}

impl From<BadXdr> for Status {
    fn from(_: BadXdr) -> Self {
        Self::Badxdr
    }
}

/// mode4
pub(super) fn mode_of(reader: &mut Reader) -> Result<u32, Status> {
    let mode: u32 = reader.read()?;
    if mode > 0o7777 {
        return Err(Status::Inval);
    }
    Ok(mode)
}

/// The permission bits that a new object is not to have: nine, no others (RFC 8275 §5).
pub(super) fn umask_of(reader: &mut Reader) -> Result<u32, Status> {
    let umask: u32 = reader.read()?;
    if umask > 0o777 {
        return Err(Status::Inval);
    }
    Ok(umask)
}

/// An owner or owning group. Names are not translated: what is no number is NFS4ERR_BADOWNER (RFC 8881 §5.9). The
/// largest number means "leave it" to chown(2) and is no user either.
pub(super) fn id_of(reader: &mut Reader) -> Result<u32, Status> {
    let name: Bytes = reader.read()?;
    id_from(&name)
}

/// The number that a name is.
pub(super) fn id_from(name: &[u8]) -> Result<u32, Status> {
    if name.is_empty() {
        return Err(Status::Inval);
    }
    if !name.iter().all(u8::is_ascii_digit) {
        return Err(Status::Badowner);
    }
    std::str::from_utf8(name)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .filter(|&id| id != u32::MAX)
        .ok_or(Status::Badowner)
}

/// settime4
pub(super) fn settime(reader: &mut Reader) -> Result<SetTime, Status> {
    const SET_TO_SERVER_TIME4: u32 = 0;
    const SET_TO_CLIENT_TIME4: u32 = 1;
    match reader.read()? {
        SET_TO_SERVER_TIME4 => Ok(SetTime::Now),
        SET_TO_CLIENT_TIME4 => {
            let time = Time {
                sec: reader.read()?,
                nsec: reader.read()?,
            };
            // RFC 8881 §3.3.1: 1 000 000 000 and more is invalid.
            if time.nsec >= 1_000_000_000 {
                return Err(Status::Inval);
            }
            Ok(SetTime::To(time))
        }
        _ => Err(Status::Badxdr),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xdr::Writer;

    fn fattr(mask: &[u32], fill: impl FnOnce(&mut Writer)) -> FAttr {
        let mut w = Writer::default();
        fill(&mut w);
        FAttr {
            mask: Bitmap::of(mask),
            values: Bytes::copy_from_slice(w.as_slice()),
        }
    }

    #[test]
    fn values_are_read_in_the_order_of_their_numbers() {
        let settable = fattr(&[4, 33, 36, 37, 48, 54], |w| {
            w.write(&7_u64);
            w.write(&0o640_u32);
            w.write("1000");
            w.write("0");
            w.write(&0_u32);
            w.write(&1_u32);
            w.write(&-5_i64);
            w.write(&999_999_999_u32);
        })
        .settable(Minor::V40)
        .unwrap();
        assert_eq!(
            settable.changes,
            SetAttr {
                size: Some(7),
                mode: Some(0o640),
                uid: Some(1000),
                gid: Some(0),
                atime: Some(SetTime::Now),
                mtime: Some(SetTime::To(Time {
                    sec: -5,
                    nsec: 999_999_999
                })),
                umask: None,
            }
        );
    }

    #[test]
    fn an_attribute_that_is_not_there_or_can_only_be_read_is_refused() {
        let refused = |mask: &[u32], minor| fattr(mask, |_| {}).settable(minor).unwrap_err();
        assert_eq!(refused(&[14], Minor::V41), Status::Attrnotsupp);
        assert_eq!(refused(&[74], Minor::V40), Status::Attrnotsupp);
        assert_eq!(refused(&[20], Minor::V41), Status::Inval);
        assert_eq!(refused(&[11], Minor::V41), Status::Inval);
        assert_eq!(refused(&[33, 74], Minor::V41), Status::Inval);
        assert_eq!(refused(&[81], Minor::V41), Status::Attrnotsupp);
        for two in [[33, 81], [74, 81], [12, 58]] {
            assert_eq!(refused(&two, Minor::V42), Status::Inval);
        }
    }

    #[test]
    fn values_that_do_not_fit_the_mask_are_bad_xdr() {
        let short = fattr(&[4], |w| w.write(&7_u32));
        assert_eq!(short.settable(Minor::V41), Err(Status::Badxdr));
        let long = fattr(&[33], |w| w.write(&7_u64));
        assert_eq!(long.settable(Minor::V41), Err(Status::Badxdr));
        let choice = fattr(&[48], |w| w.write(&2_u32));
        assert_eq!(choice.settable(Minor::V41), Err(Status::Badxdr));
    }

    #[test]
    fn a_mode_has_twelve_bits_and_a_time_less_than_a_second_of_nanoseconds() {
        let mode = fattr(&[33], |w| w.write(&0o10000_u32));
        assert_eq!(mode.settable(Minor::V41), Err(Status::Inval));
        let time = fattr(&[54], |w| {
            w.write(&1_u32);
            w.write(&0_i64);
            w.write(&1_000_000_000_u32);
        });
        assert_eq!(time.settable(Minor::V41), Err(Status::Inval));
    }

    #[test]
    fn an_owner_is_a_number() {
        let empty = fattr(&[36], |w| w.write(""));
        assert_eq!(empty.settable(Minor::V41), Err(Status::Inval));
        for name in [
            "root",
            "root@localdomain",
            "-1",
            "+1",
            "4294967295",
            "4294967296",
        ] {
            let owner = fattr(&[36], |w| w.write(name));
            assert_eq!(
                owner.settable(Minor::V41),
                Err(Status::Badowner),
                "{name:?}"
            );
        }
    }

    #[test]
    fn a_masked_mode_changes_only_the_bits_of_its_mask() {
        let masked = fattr(&[74], |w| {
            w.write(&0o777_u32);
            w.write(&0o070_u32);
        })
        .settable(Minor::V41)
        .unwrap();
        assert_eq!(masked.changes.mode, Some(0o070));
        assert_eq!(masked.on_mode(0o604).mode, Some(0o674));
    }
}
