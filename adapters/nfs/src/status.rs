//! The status of an operation and of a COMPOUND.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-15.1>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-13.1>,
//! <https://www.rfc-editor.org/rfc/rfc7862#section-11.1>,
//! <https://www.rfc-editor.org/rfc/rfc8276#section-8.3>

use dittofs_sdk::vfs::{NameError, VfsError};

use crate::xdr::{Encode, Writer};

macro_rules! statuses {
    ($($name:literal $variant:ident $number:literal;)*) => {
        /// nfsstat4: the names are the RFC's, without their prefix.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum Status { $(#[doc = concat!("NFS4ERR_", $name)] $variant = $number,)* }

        impl Status {
            /// The name as in the RFC, such as `NFS4ERR_STALE`.
            pub fn name(self) -> &'static str {
                match self {

                    $(Self::$variant => concat!("NFS4ERR_", $name),)*
                }
            }

            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The status of this number, if it is one.
            pub fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    "OK" Ok 0;
    "PERM" Perm 1;
    "NOENT" Noent 2;
    "IO" Io 5;
    "NXIO" Nxio 6;
    "ACCESS" Access 13;
    "EXIST" Exist 17;
    "XDEV" Xdev 18;
    "NOTDIR" Notdir 20;
    "ISDIR" Isdir 21;
    "INVAL" Inval 22;
    "FBIG" Fbig 27;
    "NOSPC" Nospc 28;
    "ROFS" Rofs 30;
    "MLINK" Mlink 31;
    "NAMETOOLONG" Nametoolong 63;
    "NOTEMPTY" Notempty 66;
    "DQUOT" Dquot 69;
    "STALE" Stale 70;
    "BADHANDLE" Badhandle 10001;
    "BAD_COOKIE" BadCookie 10003;
    "NOTSUPP" Notsupp 10004;
    "TOOSMALL" Toosmall 10005;
    "SERVERFAULT" Serverfault 10006;
    "BADTYPE" Badtype 10007;
    "DELAY" Delay 10008;
    "SAME" Same 10009;
    "DENIED" Denied 10010;
    "EXPIRED" Expired 10011;
    "LOCKED" Locked 10012;
    "GRACE" Grace 10013;
    "FHEXPIRED" Fhexpired 10014;
    "SHARE_DENIED" ShareDenied 10015;
    "WRONGSEC" Wrongsec 10016;
    "CLID_INUSE" ClidInuse 10017;
    "RESOURCE" Resource 10018;
    "MOVED" Moved 10019;
    "NOFILEHANDLE" Nofilehandle 10020;
    "MINOR_VERS_MISMATCH" MinorVersMismatch 10021;
    "STALE_CLIENTID" StaleClientid 10022;
    "STALE_STATEID" StaleStateid 10023;
    "OLD_STATEID" OldStateid 10024;
    "BAD_STATEID" BadStateid 10025;
    "BAD_SEQID" BadSeqid 10026;
    "NOT_SAME" NotSame 10027;
    "LOCK_RANGE" LockRange 10028;
    "SYMLINK" Symlink 10029;
    "RESTOREFH" Restorefh 10030;
    "LEASE_MOVED" LeaseMoved 10031;
    "ATTRNOTSUPP" Attrnotsupp 10032;
    "NO_GRACE" NoGrace 10033;
    "RECLAIM_BAD" ReclaimBad 10034;
    "RECLAIM_CONFLICT" ReclaimConflict 10035;
    "BADXDR" Badxdr 10036;
    "LOCKS_HELD" LocksHeld 10037;
    "OPENMODE" Openmode 10038;
    "BADOWNER" Badowner 10039;
    "BADCHAR" Badchar 10040;
    "BADNAME" Badname 10041;
    "BAD_RANGE" BadRange 10042;
    "LOCK_NOTSUPP" LockNotsupp 10043;
    "OP_ILLEGAL" OpIllegal 10044;
    "DEADLOCK" Deadlock 10045;
    "FILE_OPEN" FileOpen 10046;
    "ADMIN_REVOKED" AdminRevoked 10047;
    "CB_PATH_DOWN" CbPathDown 10048;
    "BADIOMODE" Badiomode 10049;
    "BADLAYOUT" Badlayout 10050;
    "BAD_SESSION_DIGEST" BadSessionDigest 10051;
    "BADSESSION" Badsession 10052;
    "BADSLOT" Badslot 10053;
    "COMPLETE_ALREADY" CompleteAlready 10054;
    "CONN_NOT_BOUND_TO_SESSION" ConnNotBoundToSession 10055;
    "DELEG_ALREADY_WANTED" DelegAlreadyWanted 10056;
    "BACK_CHAN_BUSY" BackChanBusy 10057;
    "LAYOUTTRYLATER" Layouttrylater 10058;
    "LAYOUTUNAVAILABLE" Layoutunavailable 10059;
    "NOMATCHING_LAYOUT" NomatchingLayout 10060;
    "RECALLCONFLICT" Recallconflict 10061;
    "UNKNOWN_LAYOUTTYPE" UnknownLayouttype 10062;
    "SEQ_MISORDERED" SeqMisordered 10063;
    "SEQUENCE_POS" SequencePos 10064;
    "REQ_TOO_BIG" ReqTooBig 10065;
    "REP_TOO_BIG" RepTooBig 10066;
    "REP_TOO_BIG_TO_CACHE" RepTooBigToCache 10067;
    "RETRY_UNCACHED_REP" RetryUncachedRep 10068;
    "UNSAFE_COMPOUND" UnsafeCompound 10069;
    "TOO_MANY_OPS" TooManyOps 10070;
    "OP_NOT_IN_SESSION" OpNotInSession 10071;
    "HASH_ALG_UNSUPP" HashAlgUnsupp 10072;
    "CLIENTID_BUSY" ClientidBusy 10074;
    "PNFS_IO_HOLE" PnfsIoHole 10075;
    "SEQ_FALSE_RETRY" SeqFalseRetry 10076;
    "BAD_HIGH_SLOT" BadHighSlot 10077;
    "DEADSESSION" Deadsession 10078;
    "ENCR_ALG_UNSUPP" EncrAlgUnsupp 10079;
    "PNFS_NO_LAYOUT" PnfsNoLayout 10080;
    "NOT_ONLY_OP" NotOnlyOp 10081;
    "WRONG_CRED" WrongCred 10082;
    "WRONG_TYPE" WrongType 10083;
    "DIRDELEG_UNAVAIL" DirdelegUnavail 10084;
    "REJECT_DELEG" RejectDeleg 10085;
    "RETURNCONFLICT" Returnconflict 10086;
    "DELEG_REVOKED" DelegRevoked 10087;
    "PARTNER_NOTSUPP" PartnerNotsupp 10088;
    "PARTNER_NO_AUTH" PartnerNoAuth 10089;
    "UNION_NOTSUPP" UnionNotsupp 10090;
    "OFFLOAD_DENIED" OffloadDenied 10091;
    "WRONG_LFS" WrongLfs 10092;
    "BADLABEL" Badlabel 10093;
    "OFFLOAD_NO_REQS" OffloadNoReqs 10094;
    "NOXATTR" Noxattr 10095;
    "XATTR2BIG" Xattr2big 10096;
}

/// From here on the numbers of NFSv4's own statuses run, those before are errno's.
const NFS4: u32 = 10_000;
/// More than the highest of the other numbers.
const ERRNO: u32 = 71;

impl Status {
    /// How many values [`index`](Self::index) may have.
    pub const COUNT: usize = 168;

    /// A number of its own below [`COUNT`](Self::COUNT), for tables.
    pub const fn index(self) -> usize {
        let number = self as u32;
        if number < NFS4 {
            number as usize
        } else {
            (ERRNO + number - NFS4) as usize
        }
    }
}

impl Encode for Status {
    fn encode(&self, writer: &mut Writer) {
        writer.write(&(*self as u32));
    }
}

/// The one place where a file system's refusal becomes NFS.
impl From<VfsError> for Status {
    fn from(error: VfsError) -> Self {
        match error {
            VfsError::NotFound => Self::Noent,
            VfsError::AccessDenied => Self::Access,
            VfsError::NotPermitted => Self::Perm,
            VfsError::Exists => Self::Exist,
            VfsError::NotDir => Self::Notdir,
            VfsError::IsDir => Self::Isdir,
            VfsError::IsSymlink => Self::Symlink,
            VfsError::WrongType | VfsError::Invalid => Self::Inval,
            VfsError::NotEmpty => Self::Notempty,
            VfsError::NameTooLong => Self::Nametoolong,
            VfsError::BadName => Self::Badname,
            VfsError::NoSpace => Self::Nospc,
            VfsError::QuotaExceeded => Self::Dquot,
            VfsError::ReadOnly => Self::Rofs,
            VfsError::FileTooBig => Self::Fbig,
            VfsError::TooManyLinks => Self::Mlink,
            VfsError::CrossDevice => Self::Xdev,
            // NFS4ERR_BADHANDLE is PUTFH's alone (RFC 8881 §15.2), which does not ask the file
            // system; what was never one of its handles is no more than one that is gone.
            VfsError::Stale | VfsError::BadHandle => Self::Stale,
            VfsError::BadCookie => Self::BadCookie,
            VfsError::TooSmall => Self::Toosmall,
            VfsError::NotSupported => Self::Notsupp,
            VfsError::Busy => Self::FileOpen,
            VfsError::TryLater => Self::Delay,
            VfsError::NoXattr => Self::Noxattr,
            VfsError::XattrTooBig => Self::Xattr2big,
            // A variant that a later SDK adds is an error this adapter knows no better name for.
            _ => Self::Io,
        }
    }
}

/// RFC 8881 §14.5: what a component may be.
impl From<NameError> for Status {
    fn from(error: NameError) -> Self {
        match error {
            NameError::Empty => Self::Inval,
            NameError::Dot | NameError::Forbidden => Self::Badname,
            NameError::TooLong => Self::Nametoolong,
        }
    }
}
