//! Callbacks of 4.0: over a connection that the server makes, to the address that the client gave.
//! <https://www.rfc-editor.org/rfc/rfc7530#section-10.2.2>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-16.33>
//!
//! Nothing that a client does waits for that connection. It is made when the client is confirmed or
//! moves its callbacks, by a task of which each client has at most one, and again when it is needed and
//! was lost. A client that can't be reached is left alone for longer and longer, and all of them
//! together never keep more than a fixed number of attempts under way.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};

use super::wire::{self, Frame, Refused, Results};
use super::{Answer, Call, Callbacks, Endpoint, Failure, Line, Patience};
use crate::rpc::{AuthSys, CallbackCred, Records, reply_xid};
use crate::state::v40::Callback;
use crate::state::{Client, Principal};
use crate::status::Status;

/// Largest reply: CB_GETATTR's is a few hundred bytes.
const REPLY_MAX: usize = 64 * 1024;
/// How long a client may take nothing of what is sent to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client that could not be reached is left alone, at first and at most.
const REST: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_mins(1);

/// How one 4.0 client is called.
#[derive(Debug, Default)]
pub struct Dial {
    state: Mutex<State>,
    /// Held by whoever connects.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    target: Callback,
    path: Path,
    /// Counts the targets.
    generation: u64,
    /// Attempts in a row that failed.
    failures: u32,
    /// Before this, no further attempt is made.
    rest_until: Option<Instant>,
    /// Whether a task is finding out whether the client can be reached.
    probing: bool,
}

#[derive(Debug, Default)]
enum Path {
    /// Not tried yet.
    #[default]
    Unknown,
    /// It has answered, over this connection, which may be closed by now.
    Up(Arc<Line>),
    /// It did not answer.
    Down,
}

/// What is to be done to reach a client.
enum Step {
    /// It is connected.
    Use(Arc<Line>, Callback),
    /// Connect; the target is of this generation.
    Connect(Endpoint, Callback, u64),
    /// Wait.
    Rest(Instant),
    /// It can't be reached.
    Nowhere,
}

impl Dial {
    /// Where the client wants to be called.
    pub fn target(&self) -> Callback {
        self.state.lock().target.clone()
    }

    /// The client wants to be called elsewhere. A new address may be tried soon, but not at once if
    /// the last attempt failed: who changes it again and again wins nothing.
    pub fn retarget(&self, target: Callback) {
        let mut state = self.state.lock();
        if let Path::Up(line) = std::mem::take(&mut state.path) {
            line.close();
        }
        state.target = target;
        state.generation += 1;
        state.failures = 0;
        let soon = Instant::now() + REST;
        state.rest_until = state.rest_until.map(|rest| rest.min(soon));
    }

    /// Whether the client was tried, and did not answer.
    pub fn is_down(&self) -> bool {
        let state = self.state.lock();
        match state.path {
            Path::Unknown => state.target.endpoint.is_none(),
            Path::Up(_) => false,
            Path::Down => true,
        }
    }

    fn step(&self) -> Step {
        let state = self.state.lock();
        if let Path::Up(line) = &state.path
            && !line.is_closed()
        {
            return Step::Use(Arc::clone(line), state.target.clone());
        }
        let Some(endpoint) = state.target.endpoint else {
            return Step::Nowhere;
        };
        match state.rest_until {
            Some(rest) if rest > Instant::now() => Step::Rest(rest),
            _ => Step::Connect(endpoint, state.target.clone(), state.generation),
        }
    }

    /// Notes how an attempt ended, unless the target has moved meanwhile.
    fn settle(&self, generation: u64, line: Option<&Arc<Line>>) {
        let mut state = self.state.lock();
        let moved = state.generation != generation;
        match line {
            Some(line) if moved => line.close(),
            Some(line) => {
                state.path = Path::Up(Arc::clone(line));
                state.failures = 0;
                state.rest_until = None;
            }
            None => {
                let rest = REST * 2_u32.saturating_pow(state.failures);
                state.rest_until = Some(Instant::now() + rest.min(REST_MAX));
                if !moved {
                    state.failures = state.failures.saturating_add(1);
                    state.path = Path::Down;
                }
            }
        }
    }

    /// The client was reached over this connection, and did not answer a call.
    fn failed(&self, line: &Arc<Line>) {
        line.close();
        let mut state = self.state.lock();
        if matches!(&state.path, Path::Up(current) if Arc::ptr_eq(current, line)) {
            state.path = Path::Down;
            state.rest_until = Some(Instant::now() + REST);
        }
    }

    /// Whether somebody has to find out whether the client can be reached; it is the caller then.
    fn begin_probe(&self) -> bool {
        let mut state = self.state.lock();
        let rests = state.rest_until.is_some_and(|rest| rest > Instant::now());
        let due = match state.path {
            Path::Unknown => true,
            Path::Up(_) => false,
            Path::Down => !rests,
        };
        let begins = due && !state.probing && state.target.endpoint.is_some();
        state.probing |= begins;
        begins
    }

    /// Whether the probe is over: nobody moved the target meanwhile.
    fn end_probe(&self) -> bool {
        let mut state = self.state.lock();
        state.probing = matches!(state.path, Path::Unknown) && state.target.endpoint.is_some();
        !state.probing
    }
}

/// The client is gone, and its connection goes with it.
impl Drop for Dial {
    fn drop(&mut self) {
        if let Path::Up(line) = &self.state.get_mut().path {
            line.close();
        }
    }
}

impl Callbacks {
    /// A 4.0 client was confirmed, or has moved its callbacks: finds out whether it can be
    /// reached, without anybody waiting for it.
    pub fn introduced(&self, client: &Client) {
        if !client.dial.begin_probe() {
            return;
        }
        let (this, dial) = (self.clone(), Arc::downgrade(&client.dial));
        tokio::spawn(async move {
            while let Some(dial) = dial.upgrade() {
                let rest = if let Step::Rest(until) = dial.step() {
                    until
                } else {
                    let _ = this.connect(&dial).await;
                    if dial.end_probe() {
                        return;
                    }
                    Instant::now() + REST
                };
                drop(dial);
                tokio::time::sleep_until(rest).await;
            }
        });
    }

    /// Whether a 4.0 client has answered when it was last tried. One that has not is tried again.
    pub(super) fn has_answered(&self, client: &Client) -> bool {
        self.introduced(client);
        matches!(client.dial.state.lock().path, Path::Up(_))
    }

    pub(super) async fn call_v40(
        &self,
        client: &Client,
        call: &Call,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let mut patience = Patience::until(deadline);
        let mut sent = false;
        loop {
            let Ok(connected) = timeout_at(deadline, self.connect(&client.dial)).await else {
                return Err(Failure::NoPath);
            };
            let (line, target) = connected?;
            if std::mem::replace(&mut sent, true) {
                self.metrics.retries.inc();
            }
            let cred = credential(client.principal);
            let frame = Frame::V40 {
                ident: target.ident,
            };
            let request = wire::compound(target.program, &cred, &frame, Some(call));
            let answer = match ask(&line, request, deadline).await {
                Ok(message) => wire::results(message)
                    .and_then(Results::new)
                    .and_then(|results| results.answer(call)),
                // Once more over a new connection; if the client ended this one because of
                // the call, the deadline ends it.
                Err(Failure::NoPath) => Ok(Err(Status::Delay)),
                Err(failure) => {
                    client.dial.failed(&line);
                    return Err(failure);
                }
            };
            match answer {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(Status::Delay)) => {}
                Ok(Err(status)) => return Err(Failure::Refused(status)),
                Err(Refused::Rpc | Refused::Garbage) => {
                    client.dial.failed(&line);
                    return Err(Failure::NoPath);
                }
            }
            patience.wait().await?;
        }
    }

    /// The client's connection, made if need be and allowed.
    async fn connect(&self, dial: &Dial) -> Result<(Arc<Line>, Callback), Failure> {
        if let Step::Use(line, target) = dial.step() {
            return Ok((line, target));
        }
        let _turn = dial.turn.lock().await;
        let (endpoint, target, generation) = match dial.step() {
            Step::Use(line, target) => return Ok((line, target)),
            Step::Connect(endpoint, target, generation) => (endpoint, target, generation),
            Step::Rest(_) | Step::Nowhere => return Err(Failure::NoPath),
        };
        let _permit = self.dials.try_acquire().map_err(|_| Failure::NoPath)?;
        let line = attempt(endpoint, target.program, self.timeout()).await;
        dial.settle(generation, line.as_ref());
        line.map(|line| (line, target)).ok_or(Failure::NoPath)
    }
}

/// Connects to a callback service and has it answer CB_NULL.
async fn attempt(endpoint: Endpoint, program: u32, patience: Duration) -> Option<Arc<Line>> {
    let deadline = Instant::now() + patience;
    let stream = timeout_at(deadline, open(endpoint)).await.ok()?.ok()?;
    let line = Arc::new(Line::default());
    tokio::spawn(serve(stream, Arc::clone(&line)));
    let answered = ask(&line, wire::null(program), deadline).await;
    if answered.is_ok_and(|message| wire::results(message).is_ok()) {
        return Some(line);
    }
    line.close();
    None
}

/// From the address at which the client knows the server: it may well accept no other.
async fn open(endpoint: Endpoint) -> std::io::Result<TcpStream> {
    let socket = if endpoint.address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if endpoint.source.is_ipv4() == endpoint.address.is_ipv4() {
        socket.bind((endpoint.source, 0).into())?;
    }
    let stream = socket.connect(endpoint.address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One call and its reply.
async fn ask(
    line: &Arc<Line>,
    request: Vec<u8>,
    deadline: Instant,
) -> Result<bytes::Bytes, Failure> {
    let mut sent = line.send(request).map_err(|_| Failure::NoPath)?;
    match timeout_at(deadline, sent.reply()).await {
        Ok(Ok(message)) => Ok(message),
        Ok(Err(_)) => Err(Failure::NoPath),
        Err(_) => Err(Failure::Timeout),
    }
}

/// Writes what is queued and hands in replies, until either side ends it.
async fn serve(mut stream: TcpStream, line: Arc<Line>) {
    let mut records = Records::new(REPLY_MAX);
    let mut out = BytesMut::new();
    while !line.is_closed() {
        line.take(&mut out);
        if !out.is_empty() {
            let written = timeout(WRITE_TIMEOUT, stream.write_all(&out)).await;
            if !matches!(written, Ok(Ok(()))) {
                break;
            }
            out.clear();
        }
        tokio::select! {
            () = line.rung() => {}
            ready = stream.readable() => {
                if ready.is_err() || !receive(&stream, &mut records, &line) {
                    break;
                }
            }
        }
    }
    line.close();
}

/// Takes in what has arrived; false at the end of the stream, or of sense.
fn receive(stream: &TcpStream, records: &mut Records, line: &Line) -> bool {
    match stream.try_read_buf(&mut records.input()) {
        Ok(0) => return false,
        Ok(_) => {}
        Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
    }
    loop {
        match records.take() {
            Ok(None) => {
                records.release();
                return true;
            }
            Err(_) => return false,
            Ok(Some(record)) => match reply_xid(&record) {
                Some(xid) => line.answer(xid, record),
                None => return false,
            },
        }
    }
}

/// The flavor that the client used for SETCLIENTID (RFC 7530 §16.33.5). The user is the server's,
/// which is nobody that the client would know by another number.
fn credential(principal: Principal) -> CallbackCred {
    match principal {
        Principal::Nobody => CallbackCred::Nobody,
        Principal::Sys(_) => CallbackCred::Sys(AuthSys {
            stamp: 0,
            machine: bytes::Bytes::from_static(b"dittofs"),
            cred: dittofs_sdk::vfs::Cred::user(0, 0),
        }),
    }
}
