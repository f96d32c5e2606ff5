//! The fuzz target `record`.

use bytes::{BufMut, Bytes};

use super::choices::Choices;
use crate::rpc::Records;

/// What may be kept for the next connection, or be reserved ahead.
const STEP: usize = 4 << 20;

/// Record marking: however the stream is cut, the same records come out, as a simpler reading of
/// RFC 5531 §11 has it; and no more memory is taken than has arrived and a step ahead.
pub fn record(data: &[u8]) {
    let mut pick = Choices::new(data);
    let max = 1 << pick.below(12);
    let cuts = pick.array::<8>();
    let stream = pick.rest();
    let (whole, broken) = plainly(stream, max);
    for pieces in [&cuts[..], &[0], &[255]] {
        let mut records = Records::new(max);
        let mut seen = Vec::new();
        let mut fed = 0;
        let mut sizes = pieces.iter().cycle();
        let ended = loop {
            match records.take() {
                Ok(Some(record)) => seen.push(record.to_vec()),
                Ok(None) if fed == stream.len() => break false,
                Ok(None) => {
                    assert!(!records.has_next());
                    let mut room = records.input();
                    let reserved = room.get_ref().capacity();
                    assert!(reserved <= 2 * (stream.len() + STEP), "hoarding");
                    let size = usize::from(sizes.next().copied().unwrap_or(0)) + 1;
                    let piece = &stream[fed..stream.len().min(fed + size)];
                    room.put_slice(piece);
                    fed += piece.len();
                }
                Err(_) => break true,
            }
        };
        assert_eq!((seen, ended), (whole.clone(), broken), "pieces {pieces:?}");
        if !ended {
            records.release();
        }
    }
}

/// All records of a stream, and whether it breaks off with one that is too large.
fn plainly(stream: &[u8], max: usize) -> (Vec<Vec<u8>>, bool) {
    let (mut all, mut record, mut rest) = (Vec::new(), Vec::new(), Bytes::copy_from_slice(stream));
    while rest.len() >= 4 {
        let header = u32::from_be_bytes(rest.split_to(4)[..].try_into().unwrap());
        let len = (header & 0x7fff_ffff) as usize;
        if record.len() + len > max {
            return (all, true);
        }
        if rest.len() < len {
            break;
        }
        record.extend_from_slice(&rest.split_to(len));
        if header >> 31 == 1 {
            all.push(std::mem::take(&mut record));
        }
    }
    (all, false)
}
