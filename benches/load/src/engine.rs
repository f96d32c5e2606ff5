//! One thread that keeps all lanes busy for a while.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::lane::{Lane, Tally};
use crate::usage::{self, Usage};

/// Longest wait for any reply.
const PATIENCE: Duration = Duration::from_secs(30);
const EVENTS: usize = 64;

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Time that is not counted, at the beginning.
    pub warm_up: Duration,
    /// Time that is.
    pub duration: Duration,
    /// The server whose use of the CPUs is measured.
    pub server: Option<u32>,
}

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    /// One for each group of lanes.
    pub tallies: Vec<Tally>,
    /// Time that it took.
    pub elapsed: Duration,
    /// What the server used of the CPUs.
    pub server: Option<Usage>,
    /// What this thread used.
    pub generator: Duration,
}

impl Run {
    /// Loads all lanes, whose groups are below `groups`; each operation that has begun is ended.
    pub fn load(&self, lanes: &mut [Lane], groups: usize) -> Result<Measured> {
        let mut tallies = vec![Tally::default(); groups];
        let start = Instant::now();
        let mut waiting = Waiting::new(lanes)?;
        for lane in &mut *lanes {
            lane.begin(0);
            lane.send(tallies.get_mut(lane.group()).context("no such group")?)?;
        }
        let clock = || start.elapsed().as_nanos() as u64;
        let until = |waiting: &mut Waiting, lanes: &mut [Lane], tallies: &mut [Tally], end| {
            while start.elapsed() < end {
                waiting.round(lanes, tallies, clock, false)?;
            }
            anyhow::Ok(())
        };
        until(&mut waiting, lanes, &mut tallies, self.warm_up)?;
        tallies.iter_mut().for_each(Tally::clear);
        let before = self.usage()?;
        let (began, own) = (start.elapsed(), usage::of_this_thread());
        until(&mut waiting, lanes, &mut tallies, began + self.duration)?;
        let elapsed = start.elapsed().saturating_sub(began);
        let generator = usage::of_this_thread().saturating_sub(own);
        let server = match (before, self.usage()?) {
            (Some(before), Some(after)) => Some(after.since(&before)),
            _ => None,
        };
        let mut rest = vec![Tally::default(); groups];
        while lanes.iter().any(|lane| lane.under_way() > 0) {
            waiting.round(lanes, &mut rest, clock, true)?;
        }
        for lane in lanes {
            lane.stream().set_nonblocking(false)?;
        }
        Ok(Measured {
            tallies,
            elapsed,
            server,
            generator,
        })
    }

    fn usage(&self) -> Result<Option<Usage>> {
        self.server.map(Usage::of).transpose()
    }
}

/// How it waits for replies: a single lane in `read`, which saves a system call.
enum Waiting {
    Single,
    Many {
        epoll: rustix::fd::OwnedFd,
        events: Vec<Event>,
    },
}

impl Waiting {
    fn new(lanes: &[Lane]) -> Result<Self> {
        if let [lane] = lanes {
            lane.stream().set_nonblocking(false)?;
            lane.stream().set_read_timeout(Some(PATIENCE))?;
            return Ok(Self::Single);
        }
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        for (index, lane) in lanes.iter().enumerate() {
            lane.stream().set_nonblocking(true)?;
            let data = EventData::new_u64(index as u64);
            // What `begin` makes due may be more than the socket takes.
            epoll::add(
                &epoll,
                lane.stream(),
                data,
                EventFlags::IN | EventFlags::OUT,
            )?;
        }
        Ok(Self::Many {
            epoll,
            events: Vec::with_capacity(EVENTS),
        })
    }

    fn round(
        &mut self,
        lanes: &mut [Lane],
        tallies: &mut [Tally],
        clock: impl Fn() -> u64,
        ending: bool,
    ) -> Result<()> {
        match self {
            Self::Single => {
                for lane in lanes {
                    let came = serve(lane, tallies, &clock, ending)?;
                    ensure!(came, "no reply within {PATIENCE:?}");
                }
            }
            Self::Many { epoll, events } => {
                events.clear();
                let patience = rustix::time::Timespec {
                    tv_sec: PATIENCE.as_secs() as i64,
                    tv_nsec: 0,
                };
                let spare = rustix::buffer::spare_capacity(events);
                epoll::wait(&*epoll, spare, Some(&patience))?;
                ensure!(!events.is_empty(), "no reply within {PATIENCE:?}");
                for event in &*events {
                    let (data, flags) = (event.data, event.flags);
                    let lane = lanes.get_mut(data.u64() as usize);
                    let lane = lane.context("no such lane")?;
                    serve(lane, tallies, &clock, ending)?;
                    watch(&*epoll, lane, data, flags)?;
                }
            }
        }
        Ok(())
    }
}

/// Asks to be told when the socket takes more, if there is more. Being told so needlessly is how it is known that it
/// was asked for.
fn watch(
    epoll: impl rustix::fd::AsFd,
    lane: &Lane,
    data: EventData,
    flags: EventFlags,
) -> Result<()> {
    let told = flags.contains(EventFlags::OUT);
    if lane.is_due() && !told {
        epoll::modify(epoll, lane.stream(), data, EventFlags::IN | EventFlags::OUT)?;
    } else if told && !lane.is_due() {
        epoll::modify(epoll, lane.stream(), data, EventFlags::IN)?;
    }
    Ok(())
}

/// Whether anything came.
fn serve(
    lane: &mut Lane,
    tallies: &mut [Tally],
    clock: impl Fn() -> u64,
    ending: bool,
) -> Result<bool> {
    let tally = tallies.get_mut(lane.group()).context("no such group")?;
    if lane.is_due() {
        lane.send(tally)?;
    }
    let came = lane.receive(tally, clock, ending)?;
    lane.send(tally)?;
    Ok(came)
}
