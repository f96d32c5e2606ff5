//! What the operations of 4.1 may answer beside success.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-15.2>

use super::{Statuses, errors, of};

/// What an operation in a session may always answer.
pub(super) const SESSION: Statuses =
    of!(Deadsession RepTooBig RepTooBigToCache ReqTooBig RetryUncachedRep TooManyOps);
/// What one with arguments may.
pub(super) const PLAIN: Statuses = of!(Badxdr Delay OpNotInSession Serverfault);
/// What one that uses the current file handle may.
pub(super) const HANDLE: Statuses = of!(Fhexpired Moved Nofilehandle Stale);
/// What one that uses a stateid may.
pub(super) const STATEID: Statuses = of!(AdminRevoked BadStateid DelegRevoked Expired OldStateid);
/// What one that is given a name may.
const NAME: Statuses = of!(Badchar Badname Inval Nametoolong);
/// What one that writes to the disk may.
pub(super) const CHANGE: Statuses = of!(Dquot Io Nospc Rofs);

// Not in the list of §15.2, but in the words on the operation itself:

/// "The error NFS4ERR_WRONG_TYPE is returned" in a named attribute directory (§18.4.3).
const CREATE: Statuses = of!(WrongType);
/// What is returned "if the current filehandle is not an ordinary file" (§18.12.3).
const LOCKU: Statuses = of!(Isdir Symlink WrongType);
/// For a way to open that is not offered (§18.16.3, §10.2.1).
const OPEN: Statuses = of!(Notsupp);
/// Case 9 of §18.35.4: the record is somebody else's.
const EXCHANGE_ID: Statuses = of!(Perm);

errors! {
     3 ACCESS [SESSION PLAIN HANDLE] Access Inval Io;
     4 CLOSE [SESSION PLAIN HANDLE] AdminRevoked BadStateid Expired LocksHeld OldStateid WrongCred;
     5 COMMIT [SESSION PLAIN HANDLE] Access Io Isdir Symlink WrongType;
     6 CREATE [SESSION PLAIN HANDLE NAME CHANGE CREATE]
        Access Attrnotsupp Badowner Badtype Exist Mlink Notdir Perm UnsafeCompound;
     7 DELEGPURGE [SESSION PLAIN] Notsupp WrongCred;
     8 DELEGRETURN [SESSION PLAIN HANDLE STATEID] Inval Notsupp WrongCred;
     9 GETATTR [SESSION PLAIN HANDLE] Access Grace Inval Io WrongType;
    10 GETFH [HANDLE] OpNotInSession;
    11 LINK [SESSION PLAIN HANDLE NAME CHANGE]
        Access Exist FileOpen Grace Isdir Mlink Notdir Notsupp Symlink WrongType Wrongsec Xdev;
    12 LOCK [SESSION PLAIN HANDLE]
        Access AdminRevoked BadRange BadStateid Deadlock Denied Expired Grace Inval Isdir
        LockNotsupp LockRange NoGrace OldStateid Openmode ReclaimBad ReclaimConflict Rofs
        Symlink WrongCred WrongType;
    13 LOCKT [SESSION HANDLE]
        Access BadRange Badxdr Delay Denied Grace Inval Isdir LockRange OpNotInSession Rofs
        Symlink WrongCred WrongType;
    14 LOCKU [SESSION PLAIN HANDLE LOCKU]
        Access AdminRevoked BadRange BadStateid Expired Inval LockRange OldStateid WrongCred;
    15 LOOKUP [SESSION PLAIN HANDLE NAME] Access Io Noent Notdir Symlink Wrongsec;
    16 LOOKUPP [SESSION HANDLE]
        Access Delay Io Noent Notdir OpNotInSession Serverfault Symlink Wrongsec;
    17 NVERIFY [SESSION PLAIN HANDLE]
        Access Attrnotsupp Badchar Grace Inval Io Same UnknownLayouttype WrongType;
    18 OPEN [SESSION PLAIN HANDLE STATEID NAME CHANGE OPEN]
        Access Attrnotsupp Badowner DelegAlreadyWanted Exist Fbig Grace Isdir NoGrace Noent
        Notdir Perm ReclaimBad ReclaimConflict ShareDenied Symlink UnsafeCompound WrongType
        Wrongsec;
    19 OPENATTR [SESSION PLAIN HANDLE CHANGE] Access Noent Notsupp UnsafeCompound WrongType;
    20 OPEN_CONFIRM [] Notsupp;
    21 OPEN_DOWNGRADE [SESSION PLAIN HANDLE]
        AdminRevoked BadStateid Expired Inval OldStateid Rofs WrongCred;
    22 PUTFH [SESSION PLAIN] Badhandle Moved Stale Wrongsec;
    23 PUTPUBFH [SESSION] Delay OpNotInSession Serverfault Wrongsec;
    24 PUTROOTFH [SESSION] Delay OpNotInSession Serverfault Wrongsec;
    25 READ [SESSION PLAIN HANDLE STATEID]
        Access Grace Inval Io Isdir Locked Openmode PnfsIoHole PnfsNoLayout Symlink WrongType;
    26 READDIR [SESSION PLAIN HANDLE] Access BadCookie Inval Io NotSame Notdir Toosmall;
    27 READLINK [SESSION HANDLE] Access Delay Inval Io OpNotInSession Serverfault WrongType;
    28 REMOVE [SESSION PLAIN HANDLE NAME] Access FileOpen Grace Io Noent Notdir Notempty Rofs;
    29 RENAME [SESSION PLAIN HANDLE NAME CHANGE]
        Access Exist FileOpen Grace Mlink Noent Notdir Notempty Wrongsec Xdev;
    30 RENEW [] Notsupp;
    31 RESTOREFH [SESSION HANDLE] OpNotInSession Serverfault Wrongsec;
    32 SAVEFH [SESSION HANDLE] OpNotInSession Serverfault;
    33 SECINFO [SESSION PLAIN HANDLE NAME] Access Noent Notdir;
    34 SETATTR [SESSION PLAIN HANDLE STATEID CHANGE]
        Access Attrnotsupp Badchar Badowner Fbig Grace Inval Locked Openmode Perm
        UnknownLayouttype WrongType;
    35 SETCLIENTID [] Notsupp;
    36 SETCLIENTID_CONFIRM [] Notsupp;
    37 VERIFY [SESSION PLAIN HANDLE]
        Access Attrnotsupp Badchar Grace Inval Io NotSame UnknownLayouttype WrongType;
    38 WRITE [SESSION PLAIN HANDLE STATEID CHANGE]
        Access Fbig Grace Inval Isdir Locked Openmode PnfsIoHole PnfsNoLayout Symlink WrongType;
    39 RELEASE_LOCKOWNER [] Notsupp;
    40 BACKCHANNEL_CTL [SESSION] Badxdr Delay Inval Noent OpNotInSession;
    41 BIND_CONN_TO_SESSION [SESSION]
        BadSessionDigest Badsession Badxdr Delay Inval NotOnlyOp Serverfault;
    42 EXCHANGE_ID [SESSION EXCHANGE_ID]
        Badchar Badxdr ClidInuse Delay EncrAlgUnsupp HashAlgUnsupp Inval Noent NotOnlyOp NotSame
        Serverfault;
    43 CREATE_SESSION [SESSION]
        Badxdr ClidInuse Delay Inval Noent Nospc NotOnlyOp SeqMisordered Serverfault
        StaleClientid Toosmall WrongCred;
    44 DESTROY_SESSION [SESSION]
        BackChanBusy Badsession Badxdr CbPathDown ConnNotBoundToSession Delay NotOnlyOp
        Serverfault StaleClientid WrongCred;
    45 FREE_STATEID [SESSION PLAIN] BadStateid LocksHeld OldStateid WrongCred;
    46 GET_DIR_DELEGATION [SESSION PLAIN HANDLE]
        Access DirdelegUnavail Grace Inval Io Notdir Notsupp;
    47 GETDEVICEINFO [SESSION PLAIN] Inval Noent Notsupp Toosmall UnknownLayouttype;
    48 GETDEVICELIST [SESSION PLAIN]
        BadCookie Fhexpired Inval Io Nofilehandle NotSame Notsupp UnknownLayouttype;
    49 LAYOUTCOMMIT [SESSION PLAIN HANDLE]
        Access AdminRevoked Attrnotsupp Badiomode Badlayout DelegRevoked Expired Fbig Grace
        Inval Io Isdir NoGrace Notsupp ReclaimBad ReclaimConflict Symlink UnknownLayouttype
        WrongCred;
    50 LAYOUTGET [SESSION PLAIN HANDLE]
        Access AdminRevoked BadStateid Badiomode Badlayout DelegRevoked Dquot Grace Inval Io
        Layouttrylater Layoutunavailable Locked Nospc Notsupp OldStateid Openmode Recallconflict
        Toosmall UnknownLayouttype WrongType;
    51 LAYOUTRETURN [SESSION PLAIN HANDLE STATEID]
        Grace Inval Isdir NoGrace Notsupp UnknownLayouttype WrongCred WrongType;
    52 SECINFO_NO_NAME [SESSION PLAIN HANDLE] Access Inval Noent Notdir Notsupp;
    53 SEQUENCE [SESSION]
        BadHighSlot Badsession Badslot Badxdr ConnNotBoundToSession Delay SeqFalseRetry
        SeqMisordered SequencePos;
    54 SET_SSV [SESSION] BadSessionDigest Badxdr Delay Inval OpNotInSession;
    55 TEST_STATEID [SESSION PLAIN];
    56 WANT_DELEGATION [SESSION PLAIN HANDLE]
        DelegAlreadyWanted Grace Inval Io NoGrace Notsupp Recallconflict ReclaimBad
        ReclaimConflict WrongType;
    57 DESTROY_CLIENTID [SESSION]
        Badxdr ClientidBusy Delay NotOnlyOp Serverfault StaleClientid WrongCred;
    58 RECLAIM_COMPLETE [SESSION PLAIN HANDLE] CompleteAlready Inval WrongCred WrongType;
}
