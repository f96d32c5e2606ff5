//! The fuzz target `compound`.

use super::choices::Choices;
use super::grammar::RULES;
use super::world::{Known, World};
use super::{replies, requests};
use crate::xdr::Writer;

/// One COMPOUND: arbitrary bytes, and operations that mostly follow the grammar. The reply can be
/// read to its end and has no more results than there were operations.
pub fn compound(data: &[u8]) {
    super::run(async {
        let world = World::new();
        serve(&world, data).await;
        serve(&world, &written(&mut Choices::new(data))).await;
        world.ends_empty().await;
    });
}

async fn serve(world: &World, args: &[u8]) {
    let Some(reply) = world.serve(0, 1, args).await else {
        return;
    };
    let seen = replies::read(&reply, &mut Known::default());
    let tag_len = u32::from_be_bytes(*args.first_chunk().unwrap()) as usize;
    assert_eq!(seen.tag, args[4..4 + tag_len]);
    let count_at = 8 + tag_len.next_multiple_of(4);
    let announced = u32::from_be_bytes(*args[count_at..].first_chunk().unwrap());
    assert!(seen.results.len() <= announced as usize);
    if seen.results.is_empty() && announced > 0 {
        assert_ne!(seen.status, 0, "nothing was done");
    }
}

fn written(pick: &mut Choices<'_>) -> Vec<u8> {
    let mut known = Known::default();
    let mut writer = Writer::default();
    writer.opaque(pick.bytes(20));
    writer.write(&(pick.below(4) as u32));
    let count = pick.below(12);
    let announced = if pick.rarely(16) {
        pick.u32()
    } else {
        count as u32 + 2
    };
    writer.write(&announced);
    writer.write(&24_u32);
    writer.write(&15_u32);
    writer.opaque(b"export");
    for _ in 0..count {
        let rule = &RULES[pick.below(RULES.len())];
        requests::write(rule, &mut known, pick, &mut writer);
    }
    if pick.rarely(16) {
        writer.raw(pick.rest());
    }
    writer.as_slice().to_vec()
}
