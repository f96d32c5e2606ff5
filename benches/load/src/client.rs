//! A client's connection and, in 4.1, its session; what is done once, call by call, without regard to speed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};

use crate::message::{Message, XID_AT, put};
use crate::reply::Reply;

/// Longest wait for a reply.
const PATIENCE: Duration = Duration::from_secs(30);
/// Room for 1 MiB of data and what is around it.
const LARGEST: u32 = (1 << 20) + (4 << 10);

const OPEN_RESULT_CONFIRM: u32 = 2;
const OPEN_DELEGATE_NONE_EXT: u32 = 3;
/// OPEN4_SHARE_ACCESS_WANT_NO_DELEG: RFC 8881 §18.16.3.
const WANT_NO_DELEGATION: u32 = 0x400;

/// What GETATTR of the Linux client asks for.
pub const ATTRIBUTES: [u32; 2] = [0x0010_011a, 0x00b0_a23a];
/// What the Linux client asks for after a WRITE: change, size, space used, times of metadata and data.
pub const CACHE_CONSISTENCY: [u32; 2] = [0x0000_0018, 0x0030_2000];

/// A file that is open.
#[derive(Debug, Clone)]
pub struct Open {
    /// Its handle.
    pub handle: Vec<u8>,
    /// Its stateid.
    pub state: [u8; 16],
}

/// How to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// What exists, to read.
    Read,
    /// What exists or not, to read and write.
    Create,
    /// The same, and empties it.
    Truncate,
}

/// One client. Its last slot is its own; the others are the load's.
pub struct Client {
    stream: TcpStream,
    minor: u32,
    id: u64,
    session: [u8; 16],
    /// Slots of the load; the control slot follows them.
    slots: u32,
    /// Of the last call in the control slot.
    number: u32,
    /// Per open-owner in 4.0: RFC 7530 §9.1.7.
    owner_numbers: Vec<u32>,
    opened: Vec<Open>,
}

impl Client {
    /// Makes itself known as `name`, with `slots` slots for the load.
    pub fn connect(address: SocketAddr, minor: u32, name: &str, slots: u32) -> Result<Self> {
        let stream =
            TcpStream::connect_timeout(&address, PATIENCE).with_context(|| address.to_string())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut client = Self {
            stream,
            minor,
            id: 0,
            session: [0; 16],
            slots,
            number: 0,
            owner_numbers: vec![0; slots as usize + 1],
            opened: Vec::new(),
        };
        if minor == 0 {
            client.set_client_id(name).context("SETCLIENTID")?;
        } else {
            client.exchange_id(name).context("EXCHANGE_ID")?;
            client.create_session().context("CREATE_SESSION")?;
            client.run(|call| {
                call.op(58).word(0);
            })?;
        }
        Ok(client)
    }

    /// The connection.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The minor version.
    pub fn minor(&self) -> u32 {
        self.minor
    }

    /// Slots of the load.
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// A COMPOUND of the load in `slot`, up to its SEQUENCE; and where that has its number, if it has one.
    pub fn start(&self, slot: u32) -> (Message, Option<usize>) {
        let mut call = Message::new(self.minor);
        if self.minor == 0 {
            return (call, None);
        }
        call.op(53).fixed(&self.session);
        let number_at = call.here();
        call.words(&[0, slot, self.slots, 0]);
        (call, Some(number_at))
    }

    /// Calls in the control slot and waits; the reply's body from its first result after SEQUENCE.
    pub fn run(&mut self, write: impl FnOnce(&mut Message)) -> Result<Answer> {
        let (mut call, number_at) = self.start(self.slots);
        write(&mut call);
        let operations = call.operations();
        let mut bytes = call.finish(0);
        if let Some(at) = number_at {
            self.number += 1;
            put(&mut bytes, at, &self.number.to_be_bytes());
        }
        let answer = self.exchange(bytes, operations)?;
        let skipped = if number_at.is_some() {
            crate::reply::SEQUENCE_LENGTH
        } else {
            0
        };
        Ok(Answer {
            at: answer.at + skipped,
            ..answer
        })
    }

    /// The handle of what a path of names leads to.
    pub fn walk(&mut self, path: &[&str]) -> Result<Vec<u8>> {
        let answer = self
            .run(|call| {
                call.op(24);
                for name in path {
                    call.op(15).opaque(name.as_bytes());
                }
                call.op(10);
            })
            .with_context(|| path.join("/"))?;
        let mut reply = answer.reply();
        reply.result(24)?;
        for _ in path {
            reply.result(15)?;
        }
        reply.result(10)?;
        Ok(reply.opaque()?.to_vec())
    }

    /// A directory, made if it is not there.
    pub fn directory(&mut self, parent: &[u8], name: &str) -> Result<Vec<u8>> {
        // The name may be there; LOOKUP says it.
        let _ = self.run(|call| {
            call.op(22).opaque(parent).op(6).word(2);
            call.opaque(name.as_bytes()).words(&[2, 0, 2, 4, 0o755]);
        });
        self.lookup(parent, name)
    }

    /// Opens a file for open-owner `owner`, which may be one of the slots or `slots` itself.
    pub fn open(&mut self, directory: &[u8], name: &str, how: How, owner: u32) -> Result<Open> {
        let number = self.next_owner_number(owner);
        let answer = self
            .run_open(directory, name, how, owner, number)
            .with_context(|| format!("OPEN of {name}"))?;
        let mut reply = answer.reply();
        reply.result(22)?;
        let (mut state, confirm) = opened(&mut reply)?;
        reply.result(10)?;
        let handle = reply.opaque()?.to_vec();
        if confirm {
            state = self.confirm(&handle, &state, owner)?;
        }
        let open = Open { handle, state };
        self.opened.push(open.clone());
        Ok(open)
    }

    /// Looks a name up.
    pub fn lookup(&mut self, directory: &[u8], name: &str) -> Result<Vec<u8>> {
        let answer = self.run(|call| {
            call.op(22).opaque(directory);
            call.op(15).opaque(name.as_bytes()).op(10);
        })?;
        let mut reply = answer.reply();
        reply.result(22)?;
        reply.result(15)?;
        reply.result(10)?;
        Ok(reply.opaque()?.to_vec())
    }

    /// Locks one byte for a new lock-owner, exclusively; the stateid of its locks. For 4.1, as all about locks here.
    pub fn lock_first(&mut self, open: &Open, offset: u64) -> Result<[u8; 16]> {
        let id = self.id;
        let answer = self.run(|call| {
            call.op(22).opaque(&open.handle);
            call.op(12).words(&[2, 0]).long(offset).long(1);
            // A new owner, through the open.
            call.words(&[1, 0]).fixed(&open.state).word(0).long(id);
            call.opaque(b"lock-owner");
        })?;
        locked(&answer, 12)
    }

    /// Locks one byte more.
    pub fn lock(&mut self, open: &Open, owner: &mut [u8; 16], offset: u64) -> Result<()> {
        let answer = self.run(|call| {
            call.op(22).opaque(&open.handle);
            call.op(12).words(&[2, 0]).long(offset).long(1);
            call.word(0).fixed(owner).word(0);
        })?;
        *owner = locked(&answer, 12)?;
        Ok(())
    }

    /// Gives one byte back.
    pub fn unlock(&mut self, open: &Open, owner: &mut [u8; 16], offset: u64) -> Result<()> {
        let answer = self.run(|call| {
            call.op(22).opaque(&open.handle);
            call.op(14).words(&[2, 0]).fixed(owner).long(offset).long(1);
        })?;
        *owner = locked(&answer, 14)?;
        Ok(())
    }

    /// Writes at `offset`, so that it lasts.
    pub fn write(&mut self, open: &Open, offset: u64, parts: &[&[u8]]) -> Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let answer = self.run(|call| {
            call.op(22).opaque(&open.handle);
            call.op(38).fixed(&open.state).long(offset).word(2);
            call.opaque(&parts.concat());
        })?;
        let mut reply = answer.reply();
        reply.result(22)?;
        reply.result(38)?;
        ensure!(reply.word()? as usize == length, "a short WRITE");
        Ok(())
    }

    /// What is at `offset`.
    pub fn read(&mut self, open: &Open, offset: u64, length: u32) -> Result<Vec<u8>> {
        let answer = self.run(|call| {
            call.op(22).opaque(&open.handle);
            call.op(25).fixed(&open.state).long(offset).word(length);
        })?;
        let mut reply = answer.reply();
        reply.result(22)?;
        reply.result(25)?;
        reply.word()?;
        Ok(reply.opaque()?.to_vec())
    }

    /// Closes what `owner` has opened.
    pub fn close(&mut self, open: &Open, owner: u32) -> Result<()> {
        let number = self.next_owner_number(owner);
        self.run(|call| {
            call.op(22).opaque(&open.handle);
            call.op(4).word(number).fixed(&open.state);
        })?;
        self.opened.retain(|other| other.state != open.state);
        Ok(())
    }

    /// Closes what is open and, in 4.1, gives up the session and the client.
    pub fn leave(mut self) -> Result<()> {
        if self.minor == 0 {
            return Ok(());
        }
        for open in std::mem::take(&mut self.opened) {
            self.run(|call| {
                call.op(22).opaque(&open.handle);
                call.op(4).word(0).fixed(&open.state);
            })?;
        }
        let mut call = Message::new(self.minor);
        call.op(44).fixed(&self.session);
        self.exchange(call.finish(0), 1)?;
        let mut call = Message::new(self.minor);
        call.op(57).long(self.id);
        self.exchange(call.finish(0), 1).map(drop)
    }

    /// Number of the last OPEN or CLOSE of an owner; zero in 4.1.
    pub fn owner_number(&self, owner: u32) -> u32 {
        let number = self.owner_numbers.get(owner as usize);
        number.copied().unwrap_or_default()
    }

    fn next_owner_number(&mut self, owner: u32) -> u32 {
        if self.minor > 0 {
            return 0;
        }
        let Some(number) = self.owner_numbers.get_mut(owner as usize) else {
            return 0;
        };
        *number += 1;
        *number
    }

    /// Writes OPEN; where its owner's number is.
    pub fn write_open(
        &self,
        call: &mut Message,
        name: &str,
        how: How,
        (owner, number): (u32, u32),
    ) -> usize {
        let access = if how == How::Read { 1 } else { 3 };
        let access = match self.minor {
            0 => access,
            _ => access | WANT_NO_DELEGATION,
        };
        call.op(18);
        let number_at = call.here();
        call.words(&[number, access, 0]).long(self.id);
        call.opaque(format!("owner-{owner:04}").as_bytes());
        match how {
            How::Read => call.word(0),
            // UNCHECKED; the mode.
            How::Create => call.words(&[1, 0, 2, 0, 2, 4, 0o644]),
            // Size zero and the mode.
            How::Truncate => call.words(&[1, 0, 2, 0x10, 2, 12, 0, 0, 0o644]),
        };
        call.word(0).opaque(name.as_bytes());
        number_at
    }

    fn run_open(
        &mut self,
        directory: &[u8],
        name: &str,
        how: How,
        owner: u32,
        number: u32,
    ) -> Result<Answer> {
        let mut open = Message::new(self.minor);
        let start = open.here();
        self.write_open(&mut open, name, how, (owner, number));
        let open = open.finish(0).split_off(start);
        self.run(|call| {
            call.op(22).opaque(directory);
            // Number and arguments of OPEN.
            call.op(18).fixed(open.get(4..).unwrap_or_default()).op(10);
        })
    }

    fn confirm(&mut self, handle: &[u8], state: &[u8; 16], owner: u32) -> Result<[u8; 16]> {
        let number = self.next_owner_number(owner);
        let answer = self.run(|call| {
            call.op(22).opaque(handle);
            call.op(20).fixed(state).word(number);
        })?;
        let mut reply = answer.reply();
        reply.result(22)?;
        reply.result(20)?;
        Ok(reply.fixed(16)?.try_into()?)
    }

    fn set_client_id(&mut self, name: &str) -> Result<()> {
        let mut call = Message::new(0);
        call.op(35).long(verifier()).opaque(name.as_bytes());
        // No callbacks.
        call.word(0).opaque(b"tcp").opaque(b"0.0.0.0.0.0").word(0);
        let answer = self.exchange(call.finish(0), 1)?;
        let mut reply = answer.reply();
        reply.result(35)?;
        self.id = reply.long()?;
        let confirmation = reply.long()?;
        let mut call = Message::new(0);
        call.op(36).long(self.id).long(confirmation);
        self.exchange(call.finish(0), 1).map(drop)
    }

    fn exchange_id(&mut self, name: &str) -> Result<()> {
        let mut call = Message::new(self.minor);
        call.op(42).long(verifier()).opaque(name.as_bytes());
        call.words(&[0, 0, 0]);
        let answer = self.exchange(call.finish(0), 1)?;
        let mut reply = answer.reply();
        reply.result(42)?;
        self.id = reply.long()?;
        self.number = reply.word()?;
        Ok(())
    }

    fn create_session(&mut self) -> Result<()> {
        let mut call = Message::new(self.minor);
        call.op(43).long(self.id).words(&[self.number, 0]);
        call.words(&[0, LARGEST, LARGEST, 8192, 16, self.slots + 1, 0]);
        call.words(&[0, 4096, 4096, 0, 2, 1, 0]);
        // Program and security of callbacks, which nobody makes without a back channel.
        call.words(&[0x4000_0000, 1, 0]);
        self.number = 0;
        let answer = self.exchange(call.finish(0), 1)?;
        let mut reply = answer.reply();
        reply.result(43)?;
        self.session = reply.fixed(16)?.try_into()?;
        // Sequence number, flags, padding of headers; then the limits of the fore channel.
        let [_, _, _, largest_request, largest_reply, _, _, slots] = words(&mut reply)?;
        ensure!(
            slots > self.slots,
            "the server grants {slots} slots, of which one is ours; the load wants {}",
            self.slots
        );
        ensure!(
            largest_request.min(largest_reply) >= LARGEST,
            "the server grants messages of {largest_request} and {largest_reply} bytes"
        );
        Ok(())
    }

    /// Sends a record and takes its reply.
    fn exchange(&mut self, mut call: Vec<u8>, operations: u32) -> Result<Answer> {
        const XID: u32 = u32::MAX;
        put(&mut call, XID_AT, &XID.to_be_bytes());
        (&self.stream).write_all(&call)?;
        let mut mark = [0; 4];
        (&self.stream).read_exact(&mut mark)?;
        let length = u32::from_be_bytes(mark) & (u32::MAX >> 1);
        ensure!(length <= LARGEST, "a reply of {length} bytes");
        let mut bytes = vec![0; length as usize];
        (&self.stream).read_exact(&mut bytes)?;
        ensure!(
            bytes.first_chunk() == Some(&XID.to_be_bytes()),
            "a reply to another call"
        );
        Reply::accepted(&bytes, operations)?;
        Ok(Answer {
            bytes,
            at: crate::reply::RESULTS_AT,
        })
    }
}

/// A reply that went well.
pub struct Answer {
    bytes: Vec<u8>,
    at: usize,
}

impl Answer {
    /// Its results.
    pub fn reply(&self) -> Reply<'_> {
        Reply::new(self.bytes.get(self.at..).unwrap_or_default())
    }
}

/// The result of OPEN: its stateid, and whether that must be confirmed.
pub fn opened(reply: &mut Reply<'_>) -> Result<([u8; 16], bool)> {
    reply.result(18)?;
    let state = reply.fixed(16)?.try_into()?;
    // What changed in the directory.
    reply.fixed(20)?;
    let flags = reply.word()?;
    for _ in 0..reply.word()? {
        reply.word()?;
    }
    match reply.word()? {
        0 => {}
        // Of the reasons only contention (1) and resources (2) say whether they pass.
        OPEN_DELEGATE_NONE_EXT => {
            if matches!(reply.word()?, 1 | 2) {
                reply.word()?;
            }
        }
        kind => anyhow::bail!("a delegation of kind {kind}, which was not wanted"),
    }
    Ok((state, flags & OPEN_RESULT_CONFIRM != 0))
}

/// The stateid that LOCK or LOCKU returns.
fn locked(answer: &Answer, operation: u32) -> Result<[u8; 16]> {
    let mut reply = answer.reply();
    reply.result(22)?;
    reply.result(operation)?;
    Ok(reply.fixed(16)?.try_into()?)
}

fn words<const N: usize>(reply: &mut Reply<'_>) -> Result<[u32; N]> {
    let mut words = [0; N];
    for word in &mut words {
        *word = reply.word()?;
    }
    Ok(words)
}

/// Different at each start of a client.
fn verifier() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}
