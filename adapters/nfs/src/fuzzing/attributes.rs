//! The fuzz target `attributes`.

use bytes::Bytes;

use super::choices::Choices;
use super::replies;
use super::requests::words_to;
use super::world::{Known, World};
use crate::attr::FAttr;
use crate::types::Minor;
use crate::xdr::{Reader, Writer};

const SAME: u32 = 10009;

/// Attributes. What is set arbitrarily is refused or taken, and can be compared with itself: VERIFY
/// of what GETATTR has just given succeeds and NVERIFY says that it is the same (RFC 8881 §18.31).
pub fn attributes(data: &[u8]) {
    if let Ok(attributes) = Reader::new(Bytes::copy_from_slice(data)).read::<FAttr>() {
        for minor in [Minor::V40, Minor::V41, Minor::V42] {
            let _ = attributes.settable(minor);
        }
    }
    super::run(async {
        let mut pick = Choices::new(data);
        let world = World::new();
        let made = world.serve(0, 1, &make(&mut pick)).await.unwrap();
        replies::read(&made, &mut Known::default());
        let mut asked = Writer::default();
        mask(&mut pick, &mut asked);
        let asked = asked.as_slice().to_vec();
        let reply = world.serve(0, 2, &on_object(9, &asked)).await.unwrap();
        let seen = replies::read(&reply, &mut Known::default());
        if seen.status == 0 {
            compared(&world, &got(&reply), &asked).await;
        }
        world.ends_empty().await;
    });
}

/// CREATE of a directory, `a`, with attributes; then SETATTR of others.
fn make(pick: &mut Choices<'_>) -> Vec<u8> {
    let mut ops = Writer::default();
    ops.write(&6_u32);
    ops.write(&2_u32);
    ops.opaque(b"a");
    ops.write(&0_u32);
    ops.opaque(b"");
    ops.write(&34_u32);
    ops.raw(&[0; 16]);
    let mut values = Writer::default();
    match pick.below(3) {
        0 => mask(pick, &mut ops),
        1 => {
            // mode, owner
            words_to(&mut ops, &[2, 0, (1 << 1) | (1 << 4)]);
            values.write(&(u32::from(pick.byte()) << 2));
            values.opaque(pick.bytes(12));
        }
        _ => {
            // time_modify_set
            words_to(&mut ops, &[2, 0, 1 << 22]);
            values.write(&(pick.below(3) as u32));
            values.write(&pick.u64());
            values.write(&pick.u32());
        }
    }
    values.raw(pick.bytes(40));
    ops.opaque(values.as_slice());
    request(&ops, 2)
}

fn mask(pick: &mut Choices<'_>, writer: &mut Writer) {
    let words = pick.below(4);
    writer.write(&(words as u32));
    for _ in 0..words {
        writer.write(&u32::from_be_bytes(pick.array()));
    }
}

/// One operation with these arguments, on the directory.
fn on_object(number: u32, args: &[u8]) -> Vec<u8> {
    let mut ops = Writer::default();
    ops.write(&15_u32);
    ops.opaque(b"a");
    ops.write(&number);
    ops.raw(args);
    request(&ops, 2)
}

/// A COMPOUND of 4.0 that begins in the share.
fn request(ops: &Writer, count: u32) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.opaque(b"");
    writer.write(&0_u32);
    writer.write(&(count + 2));
    words_to(&mut writer, &[24, 15]);
    writer.opaque(b"export");
    writer.raw(ops.as_slice());
    writer.as_slice().to_vec()
}

/// The attributes in a reply whose last result is that of GETATTR: after status, tag and count, and
/// the results of PUTROOTFH and two of LOOKUP, and number and status of its own.
fn got(reply: &Bytes) -> Vec<u8> {
    reply[12 + 3 * 8 + 8..].to_vec()
}

async fn compared(world: &World, given: &[u8], asked: &[u8]) {
    let mut reader = Reader::new(Bytes::copy_from_slice(given));
    let words = reader.array::<u32>(3).unwrap();
    let mut asked = Reader::new(Bytes::copy_from_slice(asked));
    let asked = asked.array::<u32>(3).unwrap();
    for (at, word) in words.iter().enumerate() {
        assert_eq!(word & !asked[at], 0, "nobody asked for that");
    }
    // rdattr_error is for READDIR alone.
    if words.first().is_some_and(|word| word & (1 << 11) != 0) {
        return;
    }
    for (number, expected) in [(37, 0), (17, SAME)] {
        let reply = world.serve(0, 2 + number, &on_object(number, given)).await;
        let seen = replies::read(&reply.unwrap(), &mut Known::default());
        assert_eq!(seen.status, expected, "operation {number} on {words:x?}");
    }
}
