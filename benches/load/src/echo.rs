//! A TCP server that does nothing but answer: what the loopback and the record marks cost at least.
//!
//! A reply has the length that the request's AUTH_SYS stamp names, and its transaction id.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, ensure};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::message::{STAMP_AT, XID_AT};

const INCOMING: usize = 2 << 20;
const LARGEST: usize = (1 << 20) + (64 << 10);

/// How replies leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replies {
    /// Each in a write of its own.
    OneByOne,
    /// All that were read at once, in one.
    Batched,
}

/// Answers whoever connects, on one thread, for ever.
pub fn serve(listener: &TcpListener, replies: Replies) -> Result<()> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, listener, EventData::new_u64(0), EventFlags::IN)?;
    let mut peers: Vec<Option<Peer>> = Vec::new();
    let mut events = Vec::with_capacity(64);
    loop {
        events.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            let data = event.data;
            match (data.u64() as usize).checked_sub(1) {
                None => accept(listener, &epoll, &mut peers)?,
                Some(index) => {
                    let Some(place) = peers.get_mut(index) else {
                        continue;
                    };
                    // Who hangs up, or is not understood, is gone.
                    if place
                        .as_mut()
                        .is_some_and(|peer| peer.serve(replies).is_err())
                    {
                        *place = None;
                    }
                }
            }
        }
    }
}

fn accept(listener: &TcpListener, epoll: &OwnedFd, peers: &mut Vec<Option<Peer>>) -> Result<()> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let index = peers
        .iter()
        .position(Option::is_none)
        .unwrap_or(peers.len());
    let data = EventData::new_u64(index as u64 + 1);
    epoll::add(epoll, &stream, data, EventFlags::IN)?;
    let peer = Some(Peer {
        stream,
        incoming: vec![0; INCOMING],
        from: 0,
        to: 0,
        outgoing: Vec::new(),
    });
    match peers.get_mut(index) {
        Some(place) => *place = peer,
        None => peers.push(peer),
    }
    Ok(())
}

struct Peer {
    stream: TcpStream,
    incoming: Vec<u8>,
    from: usize,
    to: usize,
    outgoing: Vec<u8>,
}

impl Peer {
    /// Reads once and answers what is complete. Sockets block: a client that asks much without reading waits for
    /// itself.
    fn serve(&mut self, replies: Replies) -> Result<()> {
        let room = self.incoming.get_mut(self.to..).unwrap_or_default();
        let length = self.stream.read(room)?;
        ensure!(length > 0, "gone");
        self.to += length;
        while let Some((end, reply)) = self.complete()? {
            let record = self.incoming.get(self.from..end).unwrap_or_default();
            let xid = record.get(XID_AT..XID_AT + 4).context("no xid")?;
            answer(&mut self.outgoing, xid, reply);
            self.from = end;
            if replies == Replies::OneByOne {
                self.flush()?;
            }
        }
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        } else if self.from > 0 && self.incoming.len() - self.from < LARGEST {
            self.incoming.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        if !self.outgoing.is_empty() {
            self.stream.write_all(&self.outgoing)?;
            self.outgoing.clear();
        }
        Ok(())
    }

    /// The end of the first record, and the length of its reply, if it has arrived.
    fn complete(&self) -> Result<Option<(usize, usize)>> {
        let arrived = self.incoming.get(self.from..self.to).unwrap_or_default();
        let Some(mark) = arrived.first_chunk() else {
            return Ok(None);
        };
        let length = (u32::from_be_bytes(*mark) & (u32::MAX >> 1)) as usize;
        ensure!(length <= LARGEST, "a record of {length} bytes");
        let Some(record) = arrived.get(..4 + length) else {
            return Ok(None);
        };
        let stamp = record.get(STAMP_AT..).and_then(<[u8]>::first_chunk);
        let reply = u32::from_be_bytes(*stamp.context("no stamp")?) as usize;
        ensure!((8..=LARGEST).contains(&reply), "a reply of {reply} bytes");
        Ok(Some((self.from + 4 + length, reply)))
    }
}

/// Appends a record of `length` bytes with its mark.
fn answer(outgoing: &mut Vec<u8>, xid: &[u8], length: usize) {
    let end = outgoing.len() + length;
    outgoing.extend(((length - 4) as u32 | 1 << 31).to_be_bytes());
    outgoing.extend(xid);
    outgoing.resize(end, 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Run;
    use crate::lane::Lane;
    use crate::script::{Slot, Step};
    use std::time::Duration;

    fn exchange(replies: Replies, lanes: usize, request: usize, reply: usize) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || serve(&listener, replies));
        let lane = || {
            let slots =
                (0..4).map(|index| Slot::new(vec![Step::echo(request, reply)], 0, index, 0));
            Lane::new(TcpStream::connect(address).unwrap(), 0, slots.collect())
        };
        let mut lanes: Vec<_> = (0..lanes).map(|_| lane()).collect();
        let run = Run {
            warm_up: Duration::ZERO,
            duration: Duration::from_millis(20),
            server: None,
        };
        run.load(&mut lanes, 1).unwrap();
        // What began was answered.
        assert!(lanes.iter().all(|lane| lane.under_way() == 0));
    }

    #[test]
    fn each_request_is_answered_with_as_many_bytes_as_it_says() {
        for replies in [Replies::OneByOne, Replies::Batched] {
            exchange(replies, 1, 200, 240);
            exchange(replies, 3, 200, 240);
        }
    }

    #[test]
    fn large_messages_pass_in_both_directions() {
        for (request, reply) in [(1 << 20, 160), (160, 1 << 20)] {
            exchange(Replies::Batched, 1, request, reply);
            exchange(Replies::Batched, 2, request, reply);
        }
    }
}
