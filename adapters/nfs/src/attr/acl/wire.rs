//! nfsace4 and nfsacl41.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-6.2.1>

use bytes::Bytes;

use super::{AclToSet, MAX_ACES};
use crate::attr::set::id_from;
use crate::attr::table::number;
use crate::status::Status;
use crate::xdr::{Reader, Writer};

/// aclsupport: ALLOW and DENY (RFC 8881 §6.2.1.2).
pub const SUPPORTED: u32 = 1 | 2;

/// Bytes of an entry: type, flags, mask, and the longest name.
pub(super) const ACE_MAX: usize = 3 * 4 + 4 + 12;

const ALLOW_TYPE: u32 = 0;
const DENY_TYPE: u32 = 1;
const AUDIT_TYPE: u32 = 2;
const ALARM_TYPE: u32 = 3;

/// Bits of an access mask (RFC 8881 §6.2.1.3).
pub(super) mod mask {
    pub(crate) const READ_DATA: u32 = 0x1;
    pub(crate) const WRITE_DATA: u32 = 0x2;
    pub(crate) const APPEND_DATA: u32 = 0x4;
    pub(crate) const READ_NAMED_ATTRS: u32 = 0x8;
    pub(crate) const WRITE_NAMED_ATTRS: u32 = 0x10;
    pub(crate) const EXECUTE: u32 = 0x20;
    pub(crate) const DELETE_CHILD: u32 = 0x40;
    pub(crate) const READ_ATTRIBUTES: u32 = 0x80;
    pub(crate) const WRITE_ATTRIBUTES: u32 = 0x100;
    pub(crate) const WRITE_RETENTION: u32 = 0x200;
    pub(crate) const WRITE_RETENTION_HOLD: u32 = 0x400;
    pub(crate) const DELETE: u32 = 0x1_0000;
    pub(crate) const READ_ACL: u32 = 0x2_0000;
    pub(crate) const WRITE_ACL: u32 = 0x4_0000;
    pub(crate) const WRITE_OWNER: u32 = 0x8_0000;
    pub(crate) const SYNCHRONIZE: u32 = 0x10_0000;
    /// Every bit that there is.
    pub(crate) const ALL: u32 = 0x1ff
        | WRITE_RETENTION
        | WRITE_RETENTION_HOLD
        | DELETE
        | READ_ACL
        | WRITE_ACL
        | WRITE_OWNER
        | SYNCHRONIZE;
}

/// Bits of an entry's flags (RFC 8881 §6.2.1.4).
pub(super) mod flag {
    pub(crate) const FILE_INHERIT: u32 = 0x1;
    pub(crate) const DIRECTORY_INHERIT: u32 = 0x2;
    pub(crate) const NO_PROPAGATE_INHERIT: u32 = 0x4;
    pub(crate) const INHERIT_ONLY: u32 = 0x8;
    pub(crate) const SUCCESSFUL_ACCESS: u32 = 0x10;
    pub(crate) const FAILED_ACCESS: u32 = 0x20;
    pub(crate) const IDENTIFIER_GROUP: u32 = 0x40;
    pub(crate) const INHERITED: u32 = 0x80;
    /// Every bit that there is.
    pub(crate) const ALL: u32 = 0xff;
}

/// The whole list's flags of a dacl (RFC 8881 §6.4.3.2).
const PROTECTED: u32 = 2;
const ACL41_FLAGS: u32 = 1 | PROTECTED | 4;

/// Whether an entry grants or denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allow {
    /// ACE4_ACCESS_ALLOWED_ACE_TYPE
    Yes,
    /// ACE4_ACCESS_DENIED_ACE_TYPE
    No,
}

/// Whom an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// OWNER@
    Owner,
    /// GROUP@
    Group,
    /// EVERYONE@
    Everyone,
    /// A user, by number.
    User(u32),
    /// A group, by number.
    NamedGroup(u32),
}

/// nfsace4, of those types that there are here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ace {
    /// Its type.
    pub allow: Allow,
    /// ACE4_* flags, without ACE4_IDENTIFIER_GROUP.
    pub flags: u32,
    /// Its access mask.
    pub mask: u32,
    /// Whom it is about.
    pub who: Who,
}

/// Reads the value of `acl`. The flag for inherited entries has no meaning there and is cleared
/// (RFC 8881 §6.2.1.4.1).
pub fn read_acl(reader: &mut Reader) -> Result<AclToSet, Status> {
    let mut aces = read_aces(reader)?;
    for ace in &mut aces {
        ace.flags &= !flag::INHERITED;
    }
    Ok(AclToSet(aces.into()))
}

/// Reads the value of `dacl`. There is no place for what automatic inheritance needs to be
/// known of a list or an entry; that a list is protected is true of all.
pub fn read_dacl(reader: &mut Reader) -> Result<AclToSet, Status> {
    let flags: u32 = reader.read()?;
    let aces = read_aces(reader)?;
    if flags & !ACL41_FLAGS != 0 {
        return Err(Status::Inval);
    }
    let inherited = aces.iter().any(|ace| ace.flags & flag::INHERITED != 0);
    if flags & !PROTECTED != 0 || inherited {
        return Err(Status::Attrnotsupp);
    }
    Ok(AclToSet(aces.into()))
}

/// Writes the value of `acl`.
pub fn write_acl(aces: &[Ace], writer: &mut Writer) {
    writer.write(&(aces.len() as u32));
    for ace in aces {
        write_ace(ace, writer);
    }
}

/// Writes the value of `dacl`.
pub fn write_dacl(aces: &[Ace], writer: &mut Writer) {
    writer.write(&PROTECTED);
    write_acl(aces, writer);
}

fn read_aces(reader: &mut Reader) -> Result<Vec<Ace>, Status> {
    let count: u32 = reader.read()?;
    // A list that can't be stored is refused so (RFC 8881 §6.2.1.2).
    if count as usize > MAX_ACES {
        return Err(Status::Attrnotsupp);
    }
    let raw: Vec<Raw> = (0..count)
        .map(|_| Raw::read(reader))
        .collect::<Result<_, _>>()?;
    raw.into_iter().map(Raw::judge).collect()
}

/// nfsace4 as it came.
struct Raw {
    kind: u32,
    flags: u32,
    mask: u32,
    who: Bytes,
}

impl Raw {
    fn read(reader: &mut Reader) -> Result<Self, Status> {
        Ok(Self {
            kind: reader.read()?,
            flags: reader.read()?,
            mask: reader.read()?,
            who: reader.read()?,
        })
    }

    fn judge(self) -> Result<Ace, Status> {
        let allow = match self.kind {
            ALLOW_TYPE => Allow::Yes,
            DENY_TYPE => Allow::No,
            // Nothing is watched, so that nothing may be asked to be.
            AUDIT_TYPE | ALARM_TYPE => return Err(Status::Attrnotsupp),
            _ => return Err(Status::Inval),
        };
        // Two flags are for the types that were just refused.
        let senseless = flag::SUCCESSFUL_ACCESS | flag::FAILED_ACCESS;
        if self.flags & (!flag::ALL | senseless) != 0 || self.mask & !mask::ALL != 0 {
            return Err(Status::Inval);
        }
        let is_group = self.flags & flag::IDENTIFIER_GROUP != 0;
        let who = match &*self.who {
            // With these the flag is ignored (RFC 8881 §6.2.1.5).
            b"OWNER@" => Who::Owner,
            b"GROUP@" => Who::Group,
            b"EVERYONE@" => Who::Everyone,
            name if is_group => Who::NamedGroup(id_from(name)?),
            name => Who::User(id_from(name)?),
        };
        Ok(Ace {
            allow,
            flags: self.flags & !flag::IDENTIFIER_GROUP,
            mask: self.mask,
            who,
        })
    }
}

fn write_ace(ace: &Ace, writer: &mut Writer) {
    let group = match ace.who {
        Who::NamedGroup(_) => flag::IDENTIFIER_GROUP,
        _ => 0,
    };
    writer.write(&match ace.allow {
        Allow::Yes => ALLOW_TYPE,
        Allow::No => DENY_TYPE,
    });
    writer.write(&(ace.flags | group));
    writer.write(&ace.mask);
    match ace.who {
        Who::Owner => writer.write("OWNER@"),
        Who::Group => writer.write("GROUP@"),
        Who::Everyone => writer.write("EVERYONE@"),
        Who::User(id) | Who::NamedGroup(id) => number(writer, id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(aces: &[(u32, u32, u32, &str)]) -> Writer {
        let mut writer = Writer::default();
        writer.write(&(aces.len() as u32));
        for (kind, flags, mask, who) in aces {
            writer.write(kind);
            writer.write(flags);
            writer.write(mask);
            writer.write(*who);
        }
        writer
    }

    fn read(aces: &[(u32, u32, u32, &str)]) -> Result<AclToSet, Status> {
        read_acl(&mut Reader::new(Bytes::copy_from_slice(
            raw(aces).as_slice(),
        )))
    }

    #[test]
    fn entries_survive_the_wire() {
        let list = read(&[
            (0, 0, 0x16_01ff, "OWNER@"),
            (1, 0, 2, "1000"),
            (0, 0x43, 0x21, "0"),
            (0, 0x40, 1, "GROUP@"),
            (0, 0xb, mask::ALL, "EVERYONE@"),
        ])
        .unwrap();
        let whom: Vec<_> = list.0.iter().map(|ace| (ace.who, ace.flags)).collect();
        let expected = [
            (Who::Owner, 0),
            (Who::User(1000), 0),
            (Who::NamedGroup(0), 3),
            (Who::Group, 0),
            (Who::Everyone, 0xb),
        ];
        assert_eq!(whom, expected);
        let mut writer = Writer::default();
        write_acl(&list.0, &mut writer);
        let again = read_acl(&mut Reader::new(Bytes::copy_from_slice(writer.as_slice())));
        assert_eq!(again, Ok(list));
    }

    #[test]
    fn what_an_entry_can_not_be_is_refused() {
        for (ace, status) in [
            ((2, 0, 1, "OWNER@"), Status::Attrnotsupp),
            ((3, 0x10, 1, "OWNER@"), Status::Attrnotsupp),
            ((4, 0, 1, "OWNER@"), Status::Inval),
            ((0, 0x100, 1, "OWNER@"), Status::Inval),
            ((0, 0x10, 1, "OWNER@"), Status::Inval),
            ((0, 0, 0x800, "OWNER@"), Status::Inval),
            ((0, 0, 0x20_0000, "OWNER@"), Status::Inval),
            ((0, 0, 1, ""), Status::Inval),
            ((0, 0, 1, "owner@"), Status::Badowner),
            ((0, 0, 1, "INTERACTIVE@"), Status::Badowner),
            ((0, 0, 1, "somebody@localdomain"), Status::Badowner),
            ((0, 0, 1, "4294967295"), Status::Badowner),
        ] {
            assert_eq!(read(&[ace]), Err(status), "{ace:?}");
        }
    }

    #[test]
    fn a_list_has_an_end() {
        let mut writer = raw(&[(0, 0, 1, "OWNER@")]);
        writer.patch_u32(0, 2);
        let short = read_acl(&mut Reader::new(Bytes::copy_from_slice(writer.as_slice())));
        assert_eq!(short, Err(Status::Badxdr));
        writer.patch_u32(0, u32::MAX);
        let long = read_acl(&mut Reader::new(Bytes::copy_from_slice(writer.as_slice())));
        assert_eq!(long, Err(Status::Attrnotsupp));
    }

    #[test]
    fn the_mark_of_inherited_entries_is_for_a_dacl_and_nothing_that_is_kept() {
        let marked = [(0, 0x80, 1, "OWNER@")];
        assert_eq!(read(&marked), read(&[(0, 0, 1, "OWNER@")]));
        let dacl = |flags: u32, aces: &[_]| {
            let mut writer = Writer::default();
            writer.write(&flags);
            let mut bytes = writer.as_slice().to_vec();
            bytes.extend_from_slice(raw(aces).as_slice());
            read_dacl(&mut Reader::new(bytes.into()))
        };
        assert_eq!(dacl(0, &marked), Err(Status::Attrnotsupp));
        assert_eq!(dacl(1, &[]), Err(Status::Attrnotsupp));
        assert_eq!(dacl(4, &[]), Err(Status::Attrnotsupp));
        assert_eq!(dacl(8, &[]), Err(Status::Inval));
        assert_eq!(
            dacl(2, &[(0, 0, 1, "OWNER@")]),
            read(&[(0, 0, 1, "OWNER@")])
        );
    }
}
