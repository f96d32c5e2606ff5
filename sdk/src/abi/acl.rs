//! Access control lists in their form at the border.

use abi_stable::StableAbi;
use abi_stable::std_types::RVec;

use super::op::Wire;
use crate::vfs::{Acl, AclWho, PosixAcl, PosixAcls, VfsError, VfsResult};

/// The only model there is so far.
const POSIX: u32 = 1;

/// A list of the model `model`; in another one the entries may mean something else.
#[repr(C)]
#[derive(StableAbi)]
pub(super) struct WireAcl {
    model: u32,
    entries: RVec<WireAclEntry>,
}

/// An entry of a POSIX list: `list` is 0 for access, 1 for default; `who` as in [`code`].
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
struct WireAclEntry {
    list: u32,
    who: u32,
    id: u32,
    permission: u32,
}

impl Wire for Acl {
    type Form = WireAcl;

    fn into_wire(self) -> WireAcl {
        let Self::Posix(acls) = self;
        let list = |list: u32, acl: &PosixAcl| {
            acl.entries()
                .map(|(who, permission)| {
                    let (who, id) = code(who);
                    WireAclEntry {
                        list,
                        who,
                        id,
                        permission,
                    }
                })
                .collect::<Vec<_>>()
        };
        let mut entries = list(0, &acls.access);
        entries.extend(acls.default.iter().flat_map(|acl| list(1, acl)));
        WireAcl {
            model: POSIX,
            entries: entries.into(),
        }
    }

    fn from_wire(wire: WireAcl) -> VfsResult<Self> {
        if wire.model != POSIX {
            return Err(VfsError::NotSupported);
        }
        let list = |wanted: u32| {
            let entries = wire.entries.iter().filter(|entry| entry.list == wanted);
            let entries = entries.map(|entry| Ok((who(entry.who, entry.id)?, entry.permission)));
            let entries: Vec<_> = entries.collect::<VfsResult<_>>()?;
            PosixAcl::new(entries).map_err(|_| VfsError::Invalid)
        };
        let has_default = wire.entries.iter().any(|entry| entry.list == 1);
        Ok(Self::Posix(PosixAcls {
            access: list(0)?,
            default: has_default.then(|| list(1)).transpose()?,
        }))
    }
}

fn code(who: AclWho) -> (u32, u32) {
    match who {
        AclWho::Owner => (1, 0),
        AclWho::User(id) => (2, id),
        AclWho::Group => (3, 0),
        AclWho::NamedGroup(id) => (4, id),
        AclWho::Mask => (5, 0),
        AclWho::Other => (6, 0),
    }
}

fn who(code: u32, id: u32) -> VfsResult<AclWho> {
    match code {
        1 => Ok(AclWho::Owner),
        2 => Ok(AclWho::User(id)),
        3 => Ok(AclWho::Group),
        4 => Ok(AclWho::NamedGroup(id)),
        5 => Ok(AclWho::Mask),
        6 => Ok(AclWho::Other),
        _ => Err(VfsError::NotSupported),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_cross_whole() {
        let access = PosixAcl::new([
            (AclWho::Owner, 7),
            (AclWho::User(u32::MAX - 1), 6),
            (AclWho::Group, 5),
            (AclWho::NamedGroup(0), 4),
            (AclWho::Mask, 3),
            (AclWho::Other, 2),
        ])
        .unwrap();
        for default in [None, Some(PosixAcl::of_mode(0o751))] {
            let access = access.clone();
            let acl = Acl::Posix(PosixAcls { access, default });
            assert_eq!(Acl::from_wire(acl.clone().into_wire()), Ok(acl));
        }
    }

    #[test]
    fn an_unknown_model_and_a_broken_list_are_refused() {
        let wire = |model, entries: &[WireAclEntry]| WireAcl {
            model,
            entries: entries.to_vec().into(),
        };
        assert_eq!(Acl::from_wire(wire(2, &[])), Err(VfsError::NotSupported));
        assert_eq!(Acl::from_wire(wire(1, &[])), Err(VfsError::Invalid));
        let strange = WireAclEntry {
            list: 0,
            who: 7,
            id: 0,
            permission: 0,
        };
        assert_eq!(
            Acl::from_wire(wire(1, &[strange])),
            Err(VfsError::NotSupported)
        );
    }
}
