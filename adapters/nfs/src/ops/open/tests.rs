use super::*;
use crate::testing::{Client41, Compound, Harness, Reply};
use crate::types::{Bitmap, FileHandle, StateId};
use crate::xdr::Writer;

const OPEN: u32 = 18;
const READ: u32 = 1;
const WRITE: u32 = 2;
const BOTH: u32 = 3;

/// What an OPEN asks for; the rest is said by [`open`].
struct Want41<'a> {
    name: &'a str,
    owner: &'a str,
    access: u32,
    deny: u32,
    how: Mode,
}

enum Mode {
    Find,
    Unchecked { size: Option<u64> },
    Guarded,
    Exclusive41(u64),
}

impl Want41<'_> {
    fn encode(&self, w: &mut Writer, client: ClientId, seqid: u32) {
        w.write(&seqid);
        w.write(&self.access);
        w.write(&self.deny);
        w.write(&client);
        w.write(self.owner);
        match self.how {
            Mode::Find => w.write(&0_u32),
            Mode::Unchecked { size } => {
                w.write(&1_u32);
                w.write(&0_u32);
                let mut values = Writer::default();
                if let Some(size) = size {
                    w.write(&Bitmap::of(&[4]));
                    values.write(&size);
                } else {
                    w.write(&Bitmap::of(&[33]));
                    values.write(&0o644_u32);
                }
                w.opaque(values.as_slice());
            }
            Mode::Guarded => {
                w.write(&1_u32);
                w.write(&1_u32);
                w.write(&Bitmap::EMPTY);
                w.write(&0_u32);
            }
            Mode::Exclusive41(verifier) => {
                w.write(&1_u32);
                w.write(&3_u32);
                w.write(&verifier);
                w.write(&Bitmap::of(&[33]));
                w.write(&4_u32);
                w.write(&0o600_u32);
            }
        }
        w.write(&0_u32);
        w.write(self.name);
    }
}

fn create<'a>(name: &'a str, owner: &'a str, access: u32) -> Want41<'a> {
    Want41 {
        name,
        owner,
        access,
        deny: 0,
        how: Mode::Unchecked { size: None },
    }
}

trait Ops: Sized {
    fn open(self, want: &Want41<'_>) -> Self;
    fn close(self, stateid: StateId) -> Self;
    fn write_at(self, stateid: StateId, offset: u64, data: &str) -> Self;
    fn lock(
        self,
        open: StateId,
        client: ClientId,
        owner: &str,
        range: (u64, u64),
        seqids: (u32, u32),
    ) -> Self;
}

impl Ops for Compound<'_> {
    fn open(self, want: &Want41<'_>) -> Self {
        self.op(OPEN, |w| want.encode(w, ClientId(0), 0))
    }

    fn close(self, stateid: StateId) -> Self {
        self.op(4, |w| {
            w.write(&0_u32);
            w.write(&stateid);
        })
    }

    fn write_at(self, stateid: StateId, offset: u64, data: &str) -> Self {
        self.op(38, |w| {
            w.write(&stateid);
            w.write(&offset);
            w.write(&2_u32);
            w.write(data);
        })
    }

    fn lock(
        self,
        open: StateId,
        client: ClientId,
        owner: &str,
        (offset, length): (u64, u64),
        (open_seqid, lock_seqid): (u32, u32),
    ) -> Self {
        self.op(12, |w| {
            w.write(&2_u32);
            w.write(&false);
            w.write(&offset);
            w.write(&length);
            w.write(&true);
            w.write(&open_seqid);
            w.write(&open);
            w.write(&lock_seqid);
            w.write(&client);
            w.write(owner);
        })
    }
}

/// OPEN4resok
struct Answered {
    stateid: StateId,
    change: (u64, u64),
    flags: u32,
    attrs: Bitmap,
    /// OPEN_DELEGATE_NONE, or why there is none.
    refusal: Option<u32>,
}

fn answered(reply: &mut Reply) -> Answered {
    let stateid = reply.ok_body();
    let _atomic: bool = reply.body();
    let (change, flags, attrs) = ((reply.body(), reply.body()), reply.body(), reply.body());
    let refusal = (reply.body::<u32>() == 3).then(|| reply.body());
    if let Some(1 | 2) = refusal {
        assert!(!reply.body::<bool>(), "nobody is told later");
    }
    Answered {
        stateid,
        change,
        flags,
        attrs,
        refusal,
    }
}

/// Opens in the root of the share; also answers the file's handle.
async fn open(client: &Client41<'_>, want: &Want41<'_>) -> Result<(Answered, FileHandle), Status> {
    let compound = client.compound().putrootfh().lookup("export").open(want);
    let mut reply = compound.getfh().run().await;
    if reply.status != Status::Ok {
        return Err(reply.status);
    }
    let answered = answered(reply.skip(2));
    Ok((answered, reply.ok_body()))
}

async fn refused(client: &Client41<'_>, want: Want41<'_>) -> Status {
    open(client, &want).await.map(|_| ()).unwrap_err()
}

async fn size(client: &Client41<'_>, file: &FileHandle) -> u64 {
    let compound = client.compound().putfh(file);
    let mut reply = compound.with(9, &Bitmap::of(&[4])).run().await;
    reply.skip(1);
    let _mask: Bitmap = reply.ok_body();
    let _len: u32 = reply.body();
    reply.body()
}

#[tokio::test]
async fn the_current_file_is_the_opened_one_and_its_stateid_the_current_one() {
    let h = Harness::new();
    let client = h.client41("a").await;
    let (opened, file) = open(&client, &create("f", "o", BOTH)).await.unwrap();
    assert_eq!(opened.flags, LOCKTYPE_POSIX);
    assert_eq!(opened.attrs, Bitmap::of(&[33]));
    assert_ne!(opened.change.0, opened.change.1);
    let find = Want41 {
        how: Mode::Find,
        ..create("f", "o", BOTH)
    };
    let compound = client.compound().putrootfh().lookup("export").open(&find);
    compound
        .write_at(StateId::CURRENT, 0, "data")
        .close(StateId::CURRENT)
        .run()
        .await
        .ok();
    assert_eq!(size(&client, &file).await, 4);
    let write = client.compound().putfh(&file);
    let write = write.write_at(opened.stateid, 0, "x");
    assert_eq!(write.status().await, Status::BadStateid);
}

#[tokio::test]
async fn nothing_is_opened_before_reclaims_are_complete() {
    let h = Harness::new();
    let (id, number) = h.exchange_id("a", 1).await;
    let client = Client41::new(&h, id, h.create_session(id, number).await);
    let want = || create("f", "o", BOTH);
    assert_eq!(refused(&client, want()).await, Status::Grace);
    client.compound().reclaim_complete().run().await.ok();
    open(&client, &want()).await.unwrap();
}

#[tokio::test]
async fn an_unchecked_create_of_size_zero_empties_what_is_there_and_says_so() {
    let h = Harness::new();
    let client = h.client41("a").await;
    let (opened, file) = open(&client, &create("f", "o", BOTH)).await.unwrap();
    let write = client.compound().putfh(&file);
    write.write_at(opened.stateid, 0, "data").run().await.ok();
    let (kept, _) = open(&client, &create("f", "o", BOTH)).await.unwrap();
    assert_eq!(kept.attrs, Bitmap::EMPTY);
    assert_eq!(size(&client, &file).await, 4);
    let truncate = Want41 {
        how: Mode::Unchecked { size: Some(0) },
        ..create("f", "o", BOTH)
    };
    let (emptied, _) = open(&client, &truncate).await.unwrap();
    assert_eq!(emptied.attrs, Bitmap::of(&[4]));
    assert_eq!(size(&client, &file).await, 0);
}

#[tokio::test]
async fn a_share_that_is_denied_empties_nothing() {
    let h = Harness::new();
    let a = h.client41("a").await;
    let b = h.client41("b").await;
    let deny = Want41 {
        deny: WRITE,
        ..create("f", "o", BOTH)
    };
    let (opened, file) = open(&a, &deny).await.unwrap();
    let write = a.compound().putfh(&file);
    write.write_at(opened.stateid, 0, "data").run().await.ok();
    for access in [READ, BOTH] {
        let truncate = Want41 {
            how: Mode::Unchecked { size: Some(0) },
            ..create("f", "o", access)
        };
        assert_eq!(refused(&b, truncate).await, Status::ShareDenied);
    }
    assert_eq!(size(&a, &file).await, 4);
    let anonymous = b.compound().putfh(&file);
    let anonymous = anonymous.write_at(StateId::ANONYMOUS, 0, "x");
    assert_eq!(anonymous.status().await, Status::Locked);
    a.compound()
        .putfh(&file)
        .close(opened.stateid)
        .run()
        .await
        .ok();
    assert!(open(&b, &create("f", "o", BOTH)).await.is_ok());
}

#[tokio::test]
async fn guarded_and_exclusive_creates_refuse_a_file_that_is_not_theirs() {
    let h = Harness::new();
    let client = h.client41("a").await;
    let guarded = || Want41 {
        how: Mode::Guarded,
        ..create("g", "o", BOTH)
    };
    assert!(open(&client, &guarded()).await.is_ok());
    assert_eq!(refused(&client, guarded()).await, Status::Exist);
    let exclusive = |verifier| Want41 {
        how: Mode::Exclusive41(verifier),
        ..create("e", "o", BOTH)
    };
    let (first, file) = open(&client, &exclusive(1)).await.unwrap();
    assert!(first.attrs.contains(33));
    let (_, again) = open(&client, &exclusive(1)).await.unwrap();
    assert_eq!(again, file);
    assert_eq!(refused(&client, exclusive(2)).await, Status::Exist);
}

#[tokio::test]
async fn what_is_no_file_is_refused_by_its_kind() {
    let h = Harness::new();
    let client = h.client41("a").await;
    let find = |name| Want41 {
        how: Mode::Find,
        ..create(name, "o", READ)
    };
    let root = client.compound().putrootfh();
    let status = root.open(&find("export")).status().await;
    assert_eq!(status, Status::Isdir);
    let root = client.compound().putrootfh();
    let status = root.open(&create("new", "o", READ)).status().await;
    assert_eq!(status, Status::Rofs);
    assert_eq!(refused(&client, find("none")).await, Status::Noent);
    assert_eq!(refused(&client, find("")).await, Status::Inval);
    assert_eq!(refused(&client, find("..")).await, Status::Badname);
}

#[tokio::test]
async fn a_wish_for_a_delegation_is_declined_with_a_reason() {
    let h = Harness::new();
    let client = h.client41("a").await;
    let ask = |want: u32| create("f", "o", BOTH | want);
    assert_eq!(open(&client, &ask(0)).await.unwrap().0.refusal, None);
    // WND4_RESOURCE: nobody can call the client.
    assert_eq!(open(&client, &ask(0x100)).await.unwrap().0.refusal, Some(2));
    assert_eq!(open(&client, &ask(0x400)).await.unwrap().0.refusal, Some(0));
    assert_eq!(open(&client, &ask(0x500)).await.unwrap().0.refusal, Some(7));
    assert_eq!(refused(&client, ask(0x600)).await, Status::Inval);
    assert_eq!(refused(&client, ask(0x80)).await, Status::Inval);
}

#[tokio::test]
async fn locks_of_two_clients_exclude_each_other_until_close() {
    let h = Harness::new();
    let a = h.client41("a").await;
    let b = h.client41("b").await;
    let (mine, file) = open(&a, &create("f", "o", BOTH)).await.unwrap();
    let (theirs, _) = open(&b, &create("f", "o", BOTH)).await.unwrap();
    let lock = async |client: &Client41<'_>, stateid| {
        let compound = client.compound().putfh(&file);
        let compound = compound.lock(stateid, ClientId(0), "l", (0, u64::MAX), (0, 0));
        compound.run().await
    };
    lock(&a, mine.stateid).await.ok();
    let mut denied = lock(&b, theirs.stateid).await;
    assert_eq!(denied.skip(1).next(), (12, Status::Denied));
    let conflict: (u64, u64, u32, ClientId) =
        (denied.body(), denied.body(), denied.body(), denied.body());
    assert_eq!(conflict, (0, u64::MAX, 2, a.id));
    a.compound()
        .putfh(&file)
        .close(mine.stateid)
        .run()
        .await
        .ok();
    lock(&b, theirs.stateid).await.ok();
}

/// OPEN of 4.0 in the root of the share.
async fn open40(h: &Harness, client: ClientId, want: &Want41<'_>, seqid: u32) -> Reply {
    let compound = h.compound(0).putrootfh().lookup("export");
    let compound = compound.op(OPEN, |w| want.encode(w, client, seqid));
    compound.getfh().run().await
}

async fn confirm(h: &Harness, file: &FileHandle, stateid: StateId, seqid: u32) -> Reply {
    let compound = h.compound(0).putfh(file).op(20, |w| {
        w.write(&stateid);
        w.write(&seqid);
    });
    compound.run().await
}

#[tokio::test]
async fn an_owner_of_40_confirms_itself_once_and_its_repetitions_get_the_first_answer() {
    let h = Harness::new();
    let client = h.client40("a").await;
    let want = create("f", "o", BOTH);
    let mut reply = open40(&h, client, &want, 7).await;
    let opened = answered(reply.skip(2));
    let file: FileHandle = reply.ok_body();
    assert_eq!(opened.flags, CONFIRM | LOCKTYPE_POSIX);
    let again = open40(&h, client, &want, 7).await;
    assert_eq!(again.bytes, reply.bytes, "and the file is the current one");

    let write = |stateid| h.compound(0).putfh(&file).write_at(stateid, 0, "x");
    assert_eq!(write(opened.stateid).status().await, Status::BadStateid);
    let early = confirm(&h, &file, opened.stateid, 9).await;
    assert_eq!(early.status, Status::BadSeqid);
    let mut reply = confirm(&h, &file, opened.stateid, 8).await;
    let confirmed: StateId = reply.skip(1).ok_body();
    assert_eq!(confirmed.seqid, 2);
    let again = confirm(&h, &file, opened.stateid, 8).await;
    assert_eq!(again.bytes, reply.bytes);
    write(confirmed).run().await.ok();

    let mut reply = open40(&h, client, &create("g", "o", BOTH), 9).await;
    assert_eq!(answered(reply.skip(2)).flags, LOCKTYPE_POSIX);
    let close = |seqid: u32| {
        h.compound(0).putfh(&file).op(4, |w| {
            w.write(&seqid);
            w.write(&confirmed);
        })
    };
    let closed = close(10).run().await;
    closed.ok();
    assert_eq!(close(10).run().await.bytes, closed.bytes);
    assert_eq!(close(12).status().await, Status::BadSeqid);
}

#[tokio::test]
async fn a_new_open_of_an_unconfirmed_owner_takes_the_place_of_the_first() {
    let h = Harness::new();
    let client = h.client40("a").await;
    let deny = Want41 {
        deny: WRITE,
        ..create("f", "o", READ)
    };
    open40(&h, client, &deny, 1).await.ok();
    let mut reply = open40(&h, client, &create("g", "o", BOTH), 50).await;
    assert_eq!(answered(reply.skip(2)).flags, CONFIRM | LOCKTYPE_POSIX);
    open40(&h, client, &create("f", "p", BOTH), 1).await.ok();
}

#[tokio::test]
async fn a_failed_open_uses_up_its_number_and_an_unknown_client_does_not() {
    let h = Harness::new();
    let client = h.client40("a").await;
    let find = Want41 {
        how: Mode::Find,
        ..create("none", "o", READ)
    };
    assert_eq!(open40(&h, client, &find, 1).await.status, Status::Noent);
    assert_eq!(open40(&h, client, &find, 1).await.status, Status::Noent);
    let mut reply = open40(&h, client, &create("f", "o", READ), 2).await;
    let opened = answered(reply.skip(2));
    let file: FileHandle = reply.ok_body();
    confirm(&h, &file, opened.stateid, 3).await.ok();
    let skipped = open40(&h, client, &find, 6).await;
    assert_eq!(skipped.status, Status::BadSeqid);
    let stranger = open40(&h, ClientId(1), &find, 1).await;
    assert_eq!(stranger.status, Status::StaleClientid);
}

#[tokio::test]
async fn a_lock_of_40_runs_in_two_sequences() {
    let h = Harness::new();
    let client = h.client40("a").await;
    let mut reply = open40(&h, client, &create("f", "o", BOTH), 1).await;
    let opened = answered(reply.skip(2));
    let file: FileHandle = reply.ok_body();
    let mut reply = confirm(&h, &file, opened.stateid, 2).await;
    let open: StateId = reply.skip(1).ok_body();
    let first = |seqids| {
        h.compound(0)
            .putfh(&file)
            .lock(open, client, "l", (0, 9), seqids)
    };
    let mut locked = first((3, 0)).run().await;
    let again = first((3, 0)).run().await;
    assert_eq!(again.bytes, locked.bytes);
    assert_eq!(first((5, 1)).status().await, Status::BadSeqid);
    let lock: StateId = locked.skip(1).ok_body();
    let unlock = |seqid: u32| {
        h.compound(0).putfh(&file).op(14, |w| {
            w.write(&2_u32);
            w.write(&seqid);
            w.write(&lock);
            w.write(&0_u64);
            w.write(&9_u64);
        })
    };
    let release = || {
        h.compound(0).op(39, |w| {
            w.write(&client);
            w.write("l");
        })
    };
    assert_eq!(release().status().await, Status::LocksHeld);
    assert_eq!(unlock(1).status().await, Status::Ok);
    assert_eq!(release().status().await, Status::Ok);
}

#[tokio::test]
async fn the_writer_of_a_file_without_any_permission_commits_and_others_do_not_write() {
    let h = Harness::new();
    let client = h.client41("a").await;
    let (opened, file) = open(&client, &create("f", "o", BOTH)).await.unwrap();
    let chmod = |w: &mut Writer| {
        w.write(&StateId::ANONYMOUS);
        w.write(&Bitmap::of(&[33]));
        w.write(&4_u32);
        w.write(&0_u32);
    };
    let compound = client.compound().putfh(&file).op(34, chmod);
    compound.run().await.ok();
    let commit = |w: &mut Writer| {
        w.write(&0_u64);
        w.write(&0_u32);
    };
    let compound = client.compound().putfh(&file);
    let compound = compound.write_at(opened.stateid, 0, "data").op(5, commit);
    compound.run().await.ok();

    let other = h.as_user(2000);
    let other = other
        .compound(1)
        .sequence(client.session, 1, 1, false)
        .putfh(&file);
    let stolen = other.write_at(opened.stateid, 0, "lies");
    assert_eq!(stolen.status().await, Status::Access);
    let close = client.compound().putfh(&file).close(opened.stateid);
    close.run().await.ok();
    let late = client.compound().putfh(&file).op(5, commit);
    assert_eq!(late.status().await, Status::Access);
}
