//! Messages of syslog, over UDP, TCP and TLS.
//!
//! A message is stored as it was sent, with its priority and without its line end. The log stream is the host that it
//! names, else the address that it came from. What came waits within [`WAITING_BYTES_MAX`]; when that is full nothing
//! is read: senders over TCP wait, and the kernel counts the datagrams that it drops.

mod drops;
mod framing;
pub(super) mod gate;
mod socket;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use watchbell_intake::stream_name;
use watchbell_model::{
    BatchBuilder, EventFlags, GroupName, LossReason, OTHER, Source, Syslog, Taken, Timestamp, Transport,
    without_end,
};
use watchbell_parse::syslog_host;

use self::framing::Frame;
use self::gate::Gate;
use self::socket::Door;
use super::{Hands, Reading};
use crate::run::door::TurnedAwayCount;
use crate::run::sources::{InputNow, SourceState};
use crate::{ExitStatus, Failure};

/// Bytes that one log group's messages may have while they wait for the journal.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a message counts for at least while it waits: it takes memory beside its text.
const MESSAGE_BYTES_MIN: usize = 128;

/// Bytes of messages that are handed to the writer at a time, and one read more.
const ROUND_BYTES_MAX: usize = 1024 * 1024;

/// Log streams of one log group since the start; messages of further hosts go to the stream `(other)`.
const STREAMS_MAX: usize = 1000;

/// Longest name of a host that names a stream, in bytes. Source: RFC 5424 §6.
const HOST_BYTES_MAX: usize = 255;

/// The sockets of one log group.
pub(super) struct Opened {
    group: GroupName,
    gate: Gate,
    sockets: Vec<socket::Opened>,
}

/// Reads the certificate and binds what a log group listens on.
pub(super) fn open(group: &GroupName, syslog: &Syslog) -> Result<Opened, Failure> {
    let certificate = gate::certificate(syslog.tls.as_ref());
    let certificate = certificate.map_err(|error| Failure::new(ExitStatus::Configuration, error))?;
    let sockets = syslog.transports.iter().map(|transport| socket::open(*transport, syslog.listen));
    let gate = Gate::new(syslog, certificate);
    Ok(Opened { group: group.clone(), gate, sockets: sockets.collect::<Result<_, _>>()? })
}

/// Messages that came together over one socket.
struct Piece {
    transport: Transport,
    messages: Vec<(IpAddr, Frame)>,
    at: Timestamp,
    /// Their share of [`WAITING_BYTES_MAX`].
    share: OwnedSemaphorePermit,
}

impl Opened {
    pub(super) fn group(&self) -> &GroupName {
        &self.group
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The tasks that read, and what the thread that makes events does.
    pub(super) fn start(
        self,
        hands: Hands,
        stopping: &watch::Receiver<bool>,
    ) -> (Vec<JoinHandle<()>>, Box<dyn FnOnce() + Send>) {
        let (send, pieces) = unbounded_channel();
        let room = Arc::new(Semaphore::new(WAITING_BYTES_MAX));
        let mut tasks = Vec::new();
        let mut names = Vec::new();
        let key = format!("log_groups.\"{}\".syslog.allow", self.group);
        for socket in self.sockets {
            let name = socket.name().to_owned();
            tracing::info!(log_group = %self.group, input = name, "listening for syslog");
            hands.tell(&self.group, &name, SourceState::Listening, None);
            let turned_away = Arc::new(TurnedAwayCount::new(&name, &key));
            hands.sources.turns_away(&self.group, &name, Arc::clone(&turned_away));
            let door = Door {
                group: self.group.clone(),
                name: name.clone(),
                gate: self.gate.clone(),
                turned_away: Arc::clone(&turned_away),
                hands: hands.clone(),
                room: Arc::clone(&room),
                send: send.clone(),
            };
            names.push(name);
            tasks.push(tokio::spawn(socket.serve(door, stopping.clone())));
        }
        let intake =
            Intake { group: self.group, names, room, hands, streams: BTreeSet::new(), is_full: false };
        (tasks, Box::new(move || intake.run(pieces)))
    }
}

/// Makes events of messages.
struct Intake {
    group: GroupName,
    /// Of its sockets.
    names: Vec<String>,
    room: Arc<Semaphore>,
    hands: Hands,
    streams: BTreeSet<String>,
    /// There were more hosts than streams; it has been said.
    is_full: bool,
}

/// Messages of one host that came the same way.
type Key = (String, Transport, IpAddr);

impl Intake {
    fn run(mut self, mut pieces: UnboundedReceiver<Piece>) {
        while let Some(first) = pieces.blocking_recv() {
            let mut bytes = first.bytes();
            let mut round = vec![first];
            while bytes < ROUND_BYTES_MAX
                && let Ok(piece) = pieces.try_recv()
            {
                bytes += piece.bytes();
                round.push(piece);
            }
            self.take(round);
        }
    }

    fn take(&mut self, round: Vec<Piece>) {
        let reading = self.hands.settings.of(&self.group);
        let mut open: BTreeMap<Key, (BatchBuilder, Taken)> = BTreeMap::new();
        let mut shares = Vec::new();
        for Piece { transport, messages, at, share } in round {
            shares.push(share);
            for (peer, frame) in messages {
                self.add(&mut open, &reading, (transport, peer, at), &frame);
            }
        }
        self.tell(Some(self.hands.clock.now()));
        let batch = |((stream, transport, peer), (events, taken)): (Key, (BatchBuilder, Taken))| {
            events.build(self.group.clone(), stream, Source::Syslog { transport, peer, taken }, false)
        };
        self.hands.hand_over(open.into_iter().map(batch).collect());
        drop(shares);
        self.tell(None);
    }

    fn add(
        &mut self,
        open: &mut BTreeMap<Key, (BatchBuilder, Taken)>,
        reading: &Reading,
        (transport, peer, at): (Transport, IpAddr, Timestamp),
        frame: &Frame,
    ) {
        let kept = reading.redactor.kept(without_end(&frame.text));
        let stream = self.stream(&kept.text, peer);
        let (events, taken) = open.entry((stream, transport, peer)).or_default();
        taken.bytes += frame.bytes;
        taken.drop_bytes(LossReason::LineTooLong, frame.beyond + kept.dropped_bytes as u64);
        if kept.text.is_empty() {
            return;
        }
        let cut = frame.broken || frame.beyond > 0;
        let flags = if cut { kept.flags.with(EventFlags::CUT) } else { kept.flags };
        events.push(&kept.text, reading.timestamps.of(&kept.text, at), flags);
    }

    /// The log stream of a message.
    fn stream(&mut self, text: &str, peer: IpAddr) -> String {
        let host = syslog_host(text).filter(|host| host.len() <= HOST_BYTES_MAX);
        let stream = stream_name(&host.map_or_else(|| peer.to_string(), str::to_owned));
        if self.streams.contains(&stream) {
            return stream;
        }
        if self.streams.len() >= STREAMS_MAX {
            if !self.is_full {
                self.is_full = true;
                self.hands.tell(&self.group, OTHER, SourceState::Listening, None);
                tracing::warn!(
                    log_group = %self.group,
                    "more than {STREAMS_MAX} hosts send syslog: messages of further ones go to the stream \"{OTHER}\""
                );
            }
            return OTHER.to_owned();
        }
        self.hands.tell(&self.group, &stream, SourceState::Listening, None);
        self.streams.insert(stream.clone());
        stream
    }

    /// Tells what waits, and since when for the journal.
    fn tell(&self, waiting_since: Option<Timestamp>) {
        let lag_bytes = (WAITING_BYTES_MAX - self.room.available_permits()) as u64;
        let reason = self.is_full.then(|| format!("more than {STREAMS_MAX} hosts"));
        for name in &self.names {
            let now =
                InputNow { state: SourceState::Listening, reason: reason.clone(), waiting_since, lag_bytes };
            self.hands.sources.input(&self.group, name, now);
        }
    }
}

impl Piece {
    fn bytes(&self) -> usize {
        self.messages.iter().map(|(_, frame)| frame.text.len()).sum()
    }
}
