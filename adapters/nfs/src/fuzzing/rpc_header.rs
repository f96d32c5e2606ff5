//! The fuzz target `rpc_header`.

use bytes::Bytes;
use dittofs_sdk::vfs::Buffer;

use super::choices::Choices;
use crate::rpc::{Header, LastSys, Rejection, begin_reply, reject};
use crate::xdr::{BadXdr, Reader, Writer};

/// RPC headers: arbitrary ones, and such as are almost right. Whatever is answered is a reply of
/// RFC 5531 §9 to the same transaction.
pub fn rpc_header(data: &[u8]) {
    header(Bytes::copy_from_slice(data));
    let mut pick = Choices::new(data);
    let mut writer = Writer::default();
    for usual in [7, 0, 2, 100_003, 4, 1] {
        writer.write(&(if pick.rarely(24) { pick.u32() } else { usual }));
    }
    credentials(&mut pick, &mut writer);
    credentials(&mut pick, &mut writer);
    writer.raw(pick.rest());
    header(Bytes::copy_from_slice(writer.as_slice()));
}

/// opaque_auth: nothing, AUTH_SYS, or anything.
fn credentials(pick: &mut Choices<'_>, writer: &mut Writer) {
    match pick.below(4) {
        0 => {
            writer.write(&0_u32);
            writer.opaque(b"");
        }
        1 | 2 => {
            let mut body = Writer::default();
            body.write(&pick.u32());
            body.opaque(pick.bytes(300));
            body.write(&pick.u32());
            body.write(&pick.u32());
            let groups = pick.below(20) as u32;
            body.write(&groups);
            (0..groups).for_each(|_| body.write(&pick.u32()));
            writer.write(&1_u32);
            writer.opaque(body.as_slice());
        }
        _ => {
            writer.write(&pick.u32());
            writer.opaque(pick.bytes(64));
        }
    }
}

fn header(record: Bytes) {
    let first = record.first_chunk().copied().map(u32::from_be_bytes);
    let len = record.len();
    let Ok(Header { xid, body }) = Header::decode(record, &mut LastSys::default()) else {
        return;
    };
    assert_eq!(Some(xid), first);
    let (reply, rejected) = match body {
        Ok(body) => {
            assert!(body.args.len() < len);
            (begin_reply(Buffer::default(), xid), None)
        }
        Err(rejection) => (reject(Buffer::default(), xid, rejection), Some(rejection)),
    };
    let reply = Bytes::copy_from_slice(&reply[4..]);
    answer(xid, Reader::new(reply), rejected).expect("no reply_body");
}

/// rpc_msg of a reply
fn answer(xid: u32, mut reply: Reader, rejected: Option<Rejection>) -> Result<(), BadXdr> {
    assert_eq!(reply.read::<u32>()?, xid);
    assert_eq!(reply.read::<u32>()?, 1, "REPLY");
    let denied = reply.read::<u32>()? == 1;
    let refused = if denied {
        let auth = reply.read::<u32>()? == 1;
        assert_eq!(auth, matches!(rejected, Some(Rejection::Auth(_))));
        reply.read::<u32>()?;
        if !auth {
            reply.read::<u32>()?;
        }
        true
    } else {
        assert_eq!((reply.read::<u32>()?, reply.read::<u32>()?), (0, 0));
        let status: u32 = reply.read()?;
        if status == 2 {
            assert_eq!((reply.read::<u32>()?, reply.read::<u32>()?), (4, 4));
        }
        status != 0
    };
    assert_eq!(refused, rejected.is_some());
    reply.finish()
}
