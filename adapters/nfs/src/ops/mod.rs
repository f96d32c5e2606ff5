//! The operations: one file each, with its wire types, its code and its tests.
//!
//! To add one: a file here, a row in [`table`](crate::table).

pub mod access;
pub mod allocate;
pub mod backchannel_ctl;
pub mod bind_conn_to_session;
pub mod clone;
pub mod close;
pub mod commit;
pub mod copy;
pub mod copy_notify;
pub mod courtesy;
pub mod create;
pub mod create_session;
pub mod deallocate;
pub mod delegpurge;
pub mod delegreturn;
pub mod destroy_clientid;
pub mod destroy_session;
pub mod exchange_id;
pub mod fence;
pub mod free_stateid;
pub mod get_dir_delegation;
pub mod getattr;
pub mod getdeviceinfo;
pub mod getdevicelist;
pub mod getfh;
pub mod getxattr;
pub mod io;
pub mod io_advise;
pub mod layoutcommit;
pub mod layouterror;
pub mod layoutget;
pub mod layoutreturn;
pub mod layoutstats;
pub mod link;
pub mod listxattrs;
pub mod lock;
pub mod lockt;
pub mod locku;
pub mod lookup;
pub mod lookupp;
pub mod nverify;
pub mod offload_cancel;
pub mod offload_status;
pub mod open;
pub mod open_confirm;
pub mod open_downgrade;
pub mod openattr;
pub mod owner40;
pub mod putfh;
pub mod putpubfh;
pub mod putrootfh;
pub mod read;
pub mod read_plus;
pub mod readdir;
pub mod readlink;
pub mod reclaim;
pub mod reclaim_complete;
mod regular;
pub mod release_lockowner;
pub mod remove;
pub mod removexattr;
pub mod rename;
pub mod renew;
pub mod restorefh;
pub mod savefh;
pub mod secinfo;
pub mod secinfo_no_name;
pub mod seek;
pub mod sequence;
pub mod set_ssv;
pub mod setattr;
pub mod setclientid;
pub mod setclientid_confirm;
pub mod setxattr;
pub mod test_stateid;
pub mod verify;
pub mod want_delegation;
pub mod write;
pub mod write_same;
pub mod xattr;

#[cfg(test)]
pub(crate) mod fixture;

use crate::compound::Cx;
use crate::status::Status;
use crate::types::Minor;

/// The refusal of an operation on a file's data: RFC 7530 has no better status for what is
/// neither file nor directory nor symbolic link than NFS4ERR_INVAL, RFC 8881 has.
fn not_a_file(cx: &Cx, status: Status) -> Status {
    match (cx.minor(), status) {
        (Minor::V41 | Minor::V42, Status::Inval) => Status::WrongType,
        (_, status) => status,
    }
}

/// The refusal of an operation on a directory's entries: what is no directory is
/// NFS4ERR_NOTDIR even if it is a symbolic link, and the sticky bit denies access; neither
/// NFS4ERR_SYMLINK nor NFS4ERR_PERM is among the errors of these operations (RFC 8881 §15.2).
fn in_dir(status: Status) -> Status {
    match status {
        Status::Symlink => Status::Notdir,
        Status::Perm => Status::Access,
        other => other,
    }
}
