//! One connection under load.

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail, ensure};

use crate::histogram::Histogram;
use crate::script::{Slot, slot_of};

/// Slices that one write takes at most.
const SLICES: usize = 64;
/// Room for one large reply and the beginning of the next.
const INCOMING: usize = 2 << 20;
/// Read at once at most, so that no lane waits long for another's data.
const AT_ONCE: usize = 256 << 10;
/// What a record may have at most.
const LARGEST: usize = (1 << 20) + (64 << 10);

/// Where the results of several lanes come together.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// How long operations took, in nanoseconds.
    pub latencies: Histogram,
    /// Replies, of which an operation may have several.
    pub replies: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
}

impl Tally {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.latencies.clear();
        (self.replies, self.sent, self.received) = (0, 0, 0);
    }
}

/// A connection, its slots, and what is on the way.
pub struct Lane {
    stream: TcpStream,
    /// Index of the tally that it counts in.
    group: usize,
    slots: Vec<Slot>,
    /// Slots whose requests are to be sent, in order.
    due: Vec<usize>,
    /// Of the first of them, bytes that were sent.
    started: usize,
    incoming: Vec<u8>,
    from: usize,
    to: usize,
    under_way: usize,
}

impl Lane {
    /// Over this connection, whose slots are `slots` in the order of their transaction ids.
    pub fn new(stream: TcpStream, group: usize, slots: Vec<Slot>) -> Self {
        Self {
            stream,
            group,
            due: Vec::with_capacity(slots.len()),
            slots,
            started: 0,
            incoming: vec![0; INCOMING],
            from: 0,
            to: 0,
            under_way: 0,
        }
    }

    /// Index of its tally.
    pub fn group(&self) -> usize {
        self.group
    }

    /// The connection.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Its slots.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Requests that are not answered yet.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Whether there is something to send.
    pub fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Lets every slot begin.
    pub fn begin(&mut self, now: u64) {
        for index in 0..self.slots.len() {
            self.queue(index, now);
        }
    }

    /// Sends what is due, as far as the socket takes it, with one write after the other.
    pub fn send(&mut self, tally: &mut Tally) -> Result<()> {
        while !self.due.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.gather(&mut slices);
            let slices = slices.get(..count).unwrap_or_default();
            match (&self.stream).write_vectored(slices) {
                Ok(0) => bail!("the server takes nothing"),
                Ok(sent) => {
                    tally.sent += sent as u64;
                    self.was_sent(sent);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("cannot send"),
            }
        }
        Ok(())
    }

    /// Reads once and takes the replies that are complete; each slot goes on unless `ending`. Whether anything came.
    pub fn receive(
        &mut self,
        tally: &mut Tally,
        clock: impl FnOnce() -> u64,
        ending: bool,
    ) -> Result<bool> {
        let end = self.incoming.len().min(self.to + AT_ONCE);
        let room = self.incoming.get_mut(self.to..end).unwrap_or_default();
        match (&self.stream).read(room) {
            Ok(0) => bail!("the server has hung up"),
            Ok(length) => {
                self.to += length;
                tally.received += length as u64;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).context("cannot receive"),
        }
        let now = clock();
        while let Some(end) = self.complete()? {
            self.take(end, tally, now, ending)?;
            self.from = end;
        }
        self.make_room();
        Ok(true)
    }

    fn queue(&mut self, index: usize, now: u64) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        if slot.prepare() {
            slot.began = now;
        }
        self.due.push(index);
        self.under_way += 1;
    }

    fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES]) -> usize {
        let mut skip = self.started;
        let mut count = 0;
        let parts = self.due.iter().filter_map(|index| self.slots.get(*index));
        for part in parts.flat_map(Slot::parts) {
            let Some(rest) = part.get(skip..) else {
                skip -= part.len();
                continue;
            };
            skip = 0;
            if rest.is_empty() {
                continue;
            }
            let Some(slice) = slices.get_mut(count) else {
                break;
            };
            *slice = IoSlice::new(rest);
            count += 1;
        }
        count
    }

    fn was_sent(&mut self, sent: usize) {
        self.started += sent;
        let mut whole = 0;
        for index in &self.due {
            let Some(slot) = self.slots.get(*index) else {
                break;
            };
            let length: usize = slot.parts().iter().map(|part| part.len()).sum();
            if self.started < length {
                break;
            }
            self.started -= length;
            whole += 1;
        }
        self.due.drain(..whole);
    }

    /// Where the record ends that begins what has arrived, if it is complete.
    fn complete(&self) -> Result<Option<usize>> {
        let arrived = self.incoming.get(self.from..self.to).unwrap_or_default();
        let Some(mark) = arrived.first_chunk() else {
            return Ok(None);
        };
        let mark = u32::from_be_bytes(*mark);
        ensure!(mark >> 31 == 1, "a reply in fragments");
        let length = (mark & (u32::MAX >> 1)) as usize;
        ensure!(length <= LARGEST, "a reply of {length} bytes");
        let end = self.from + 4 + length;
        Ok((end <= self.to).then_some(end))
    }

    fn take(&mut self, end: usize, tally: &mut Tally, now: u64, ending: bool) -> Result<()> {
        let record = self.incoming.get(self.from + 4..end).unwrap_or_default();
        let xid = record.first_chunk().context("an empty reply")?;
        let index = slot_of(u32::from_be_bytes(*xid));
        let slot = self
            .slots
            .get_mut(index)
            .context("a reply to nobody's call")?;
        self.under_way -= 1;
        tally.replies += 1;
        let completes = slot.take(record)?;
        if completes {
            tally.latencies.record(now.saturating_sub(slot.began));
        }
        // What has begun is ended, so that nothing is left open.
        if !(completes && ending) {
            self.queue(index, now);
        }
        Ok(())
    }

    fn make_room(&mut self) {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        } else if self.from > 0 && self.incoming.len() - self.from < LARGEST + 4 {
            self.incoming.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
    }
}
