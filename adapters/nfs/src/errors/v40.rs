//! What the operations of 4.0 may answer beside success.
//! <https://www.rfc-editor.org/rfc/rfc7530#section-13.2>

use super::{Statuses, errors, of};

/// What an operation with arguments may always answer.
const PLAIN: Statuses = of!(Badxdr Delay Resource Serverfault);
/// What one that uses the current file handle may.
const HANDLE: Statuses = of!(Badhandle Fhexpired Moved Nofilehandle Stale);
/// What one that uses a stateid may.
const STATEID: Statuses = of!(AdminRevoked BadStateid Expired LeaseMoved OldStateid StaleStateid);
/// What one that is given a name may.
const NAME: Statuses = of!(Badchar Badname Inval Nametoolong);
/// What one that writes to the disk may.
const CHANGE: Statuses = of!(Dquot Io Nospc Rofs);

errors! {
     3 ACCESS [PLAIN HANDLE] Access Inval Io;
     4 CLOSE [PLAIN HANDLE STATEID] BadSeqid Inval Isdir LocksHeld;
     5 COMMIT [PLAIN HANDLE] Access Inval Io Isdir Rofs Symlink;
     6 CREATE [PLAIN HANDLE NAME CHANGE] Access Attrnotsupp Badowner Badtype Exist Notdir Perm;
     7 DELEGPURGE [PLAIN] LeaseMoved Notsupp StaleClientid;
     8 DELEGRETURN [PLAIN STATEID] Inval Moved Nofilehandle Notsupp Stale;
     9 GETATTR [PLAIN HANDLE] Access Grace Inval Io;
    10 GETFH [HANDLE] Resource Serverfault;
    11 LINK [PLAIN HANDLE NAME CHANGE]
        Access Exist FileOpen Isdir Mlink Noent Notdir Notsupp Wrongsec Xdev;
    12 LOCK [PLAIN HANDLE STATEID]
        Access BadRange BadSeqid Deadlock Denied Grace Inval Isdir LockNotsupp LockRange NoGrace
        Openmode ReclaimBad ReclaimConflict StaleClientid;
    13 LOCKT [PLAIN HANDLE]
        Access BadRange Denied Expired Grace Inval Isdir LeaseMoved LockRange StaleClientid;
    14 LOCKU [PLAIN HANDLE STATEID] Access BadRange BadSeqid Grace Inval Isdir LockRange;
    15 LOOKUP [PLAIN HANDLE NAME] Access Io Noent Notdir Symlink Wrongsec;
    16 LOOKUPP [HANDLE] Access Delay Io Noent Notdir Resource Serverfault Symlink Wrongsec;
    17 NVERIFY [HANDLE] Access Attrnotsupp Badchar Badxdr Delay Grace Inval Io Same Serverfault;
    18 OPEN [PLAIN HANDLE NAME CHANGE]
        Access AdminRevoked Attrnotsupp BadSeqid BadStateid Badowner Exist Expired Fbig Grace
        Isdir NoGrace Noent Notdir Notsupp OldStateid Perm ReclaimBad ReclaimConflict
        ShareDenied StaleClientid Symlink Wrongsec;
    19 OPENATTR [PLAIN HANDLE CHANGE] Access Noent Notsupp;
    20 OPEN_CONFIRM [HANDLE STATEID] BadSeqid Badxdr Inval Isdir Resource Serverfault;
    21 OPEN_DOWNGRADE [PLAIN HANDLE STATEID] BadSeqid Inval LocksHeld Rofs;
    22 PUTFH [] Badhandle Badxdr Delay Fhexpired Moved Serverfault Stale Wrongsec;
    23 PUTPUBFH [] Delay Serverfault Wrongsec;
    24 PUTROOTFH [] Delay Serverfault Wrongsec;
    25 READ [PLAIN HANDLE STATEID] Access Grace Inval Io Isdir Locked Openmode Symlink;
    26 READDIR [PLAIN HANDLE] Access BadCookie Inval Io NotSame Notdir Toosmall;
    27 READLINK [HANDLE] Access Delay Inval Io Isdir Notsupp Resource Serverfault;
    28 REMOVE [PLAIN HANDLE NAME] Access FileOpen Grace Io Noent Notdir Notempty Rofs;
    29 RENAME [PLAIN HANDLE NAME CHANGE]
        Access Exist FileOpen Grace Noent Notdir Notempty Wrongsec Xdev;
    30 RENEW [] Access Badxdr CbPathDown Expired LeaseMoved Resource Serverfault StaleClientid;
    31 RESTOREFH [] Badhandle Fhexpired Moved Resource Restorefh Serverfault Stale Wrongsec;
    32 SAVEFH [HANDLE] Resource Serverfault;
    33 SECINFO [PLAIN HANDLE NAME] Access Noent Notdir;
    34 SETATTR [PLAIN HANDLE STATEID CHANGE]
        Access Attrnotsupp Badchar Badowner Fbig Grace Inval Isdir Locked Openmode Perm;
    35 SETCLIENTID [PLAIN] ClidInuse Inval;
    36 SETCLIENTID_CONFIRM [PLAIN] ClidInuse StaleClientid;
    37 VERIFY [PLAIN HANDLE] Access Attrnotsupp Badchar Grace Inval Io NotSame;
    38 WRITE [PLAIN HANDLE STATEID CHANGE]
        Access Fbig Grace Inval Isdir Locked Nxio Openmode Symlink;
    39 RELEASE_LOCKOWNER [] Badxdr Expired LeaseMoved LocksHeld Resource Serverfault StaleClientid;
}
