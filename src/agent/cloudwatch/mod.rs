//! The shipper to CloudWatch Logs: puts what is in the agent's journal into log streams, in order, one call at a time.
//!
//! Promise: the cursor moves only after every call of a shipment has arrived, and the move is journaled. Before a call is made
//! it is journaled; when nobody knows whether it has arrived, after a crash or a lost answer, the stream is looked at, and it
//! is made again only if it is not there. What cannot be sent is kept and tried again, however long it takes.
//! Not here: what a call may hold ([`calls`]), the protocol ([`crate::aws`]).

pub mod calls;
mod metric;
mod stream;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::runtime::Handle;
use watchbell_journal::{JournalError, Reader};
use watchbell_model::{Aws, Entry, GroupName, Loss, LossReason, Offset, Put, Timestamp};

use self::calls::{CALL_BYTES_MAX, CALL_EVENTS_MAX, Call, Calls};
pub(super) use self::metric::Fleet;
pub use self::stream::name as stream_name;
use super::desk::{Desk, Go, Order, Unshipped};
use crate::aws::{AwsError, Logs, Looked, Metrics, PutError, Rejected, instance_id, sdk_config};
use crate::run::collector;
use crate::run::puts::Puts;

/// Not more often than this is something shipped that fills no call: a call costs a round trip and counts against the quota of
/// the account.
const LINGER: Duration = Duration::from_secs(1);

/// How long a call may take to be seen in its stream, in milliseconds: reading lags behind putting.
const SETTLE_MS: i64 = 10_000;

/// How long it is waited until the next look.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How often a call that can be repeated is made before it counts as failed.
const ATTEMPTS: u32 = 3;

/// An account of AWS, as the agent uses it.
pub(super) struct Account {
    logs: Logs,
    pub(super) metrics: Metrics,
    /// The instance of EC2 that this is.
    pub(super) instance: Option<String>,
}

impl Account {
    /// Of the region, and at the endpoint, of `[aws]`.
    pub(super) async fn open(aws: &Aws) -> Account {
        let config = sdk_config(aws, ATTEMPTS).await;
        let instance = instance_id(&config).await;
        Account { logs: Logs::new(&config), metrics: Metrics::new(&config), instance }
    }

    /// The groups of these that are not there.
    pub(super) async fn missing(
        &self,
        groups: impl Iterator<Item = &GroupName>,
    ) -> Result<Vec<GroupName>, AwsError> {
        let mut missing = Vec::new();
        for group in groups {
            if !self.logs.has_group(group.as_str()).await? {
                missing.push(group.clone());
            }
        }
        Ok(missing)
    }
}

/// The way out if a group is not there.
pub(super) const HELP_GROUP: &str =
    "`watchbell aws deploy` makes the log groups of the file; [aws] says in which region";

/// The thread's own side.
pub(super) struct Shipper {
    desk: Desk,
    logs: Logs,
    /// Where it ships to, for people.
    to: String,
    /// What it is called.
    host: String,
    puts: Puts,
}

/// Entries, as calls.
struct Shipment {
    calls: Vec<Call>,
    /// Bytes of the entries.
    bytes: usize,
    /// There is something that is to be shipped, if only a loss, which is the agent's own.
    is_some: bool,
    /// More waits, most likely.
    is_full: bool,
}

impl Shipper {
    pub(super) fn new(desk: Desk, account: &Account, to: String, host: String) -> Shipper {
        let puts = desk.fold.look().buffer.puts().clone();
        Shipper { desk, logs: account.logs.clone(), to, host, puts }
    }

    /// Ships until it is told to end; `shipped` is how far it is already.
    ///
    /// # Errors
    /// [`JournalError`] if the agent's own journal cannot be read.
    pub(super) fn run(mut self, mut shipped: Offset, runtime: &Handle) -> Result<(), JournalError> {
        let mut reader = self.desk.readers.reader(shipped.0)?;
        let mut next = shipped;
        let mut pending = self.puts.pending().filter(|put| put.from == shipped).cloned();
        self.desk.release(shipped);
        loop {
            // Asked before it is looked at: what is journaled from here on wakes.
            self.desk.durable.mark_unchanged();
            let order = *self.desk.orders.borrow_and_update();
            if order == Order::Stop {
                return Ok(());
            }
            let shipment = self.gather(&mut reader, &mut next, pending.as_ref().map(|put| put.to))?;
            if shipment.is_some {
                if runtime.block_on(self.ship(&shipment, (shipped, next), pending.take())) == Go::Home {
                    return Ok(());
                }
                shipped = next;
                if order == Order::Run && !shipment.is_full {
                    runtime.block_on(self.desk.pause(LINGER, false));
                }
            } else if order == Order::Finish {
                return Ok(());
            } else {
                runtime.block_on(self.wait_for_more());
            }
        }
    }

    /// The next entries; with `until`, those before it.
    fn gather(
        &self,
        reader: &mut Reader,
        next: &mut Offset,
        until: Option<Offset>,
    ) -> Result<Shipment, JournalError> {
        let (mut calls, mut bytes, mut is_some) = (Calls::default(), 0, false);
        let is_full = |calls: &Calls| calls.bytes() >= CALL_BYTES_MAX || calls.count() >= CALL_EVENTS_MAX;
        while until.map_or_else(|| !is_full(&calls), |until| *next < until) {
            let Some(entry) = reader.next()? else { break };
            *next = Offset(entry.offset).next();
            if Entry::is_shipped(entry.kind) {
                (is_some, bytes) = (true, bytes + entry.payload.len());
                match Entry::decode(entry.kind, &entry.payload) {
                    Ok(Entry::Batch(batch)) => calls.push(&batch, Timestamp(entry.time_ms)),
                    // It has been said and counted here.
                    Ok(_) => {}
                    Err(error) => unreachable!("the fold has read entry {}: {error}", entry.offset),
                }
            }
        }
        let is_full = is_full(&calls);
        let (calls, losses) = calls.finish();
        if until.is_none() {
            for loss in losses {
                self.lose(loss);
            }
        }
        Ok(Shipment { calls, bytes, is_some, is_full })
    }

    fn lose(&self, loss: Loss) {
        collector::say(&loss);
        self.desk.writer.append(Entry::Loss(loss));
    }

    async fn wait_for_more(&mut self) {
        tokio::select! {
            _ = self.desk.durable.changed() => {}
            _ = self.desk.orders.changed() => {}
        }
    }

    /// Makes the calls of a shipment; `pending` may have been made, and those before it have arrived.
    async fn ship(
        &mut self,
        shipment: &Shipment,
        (from, to): (Offset, Offset),
        mut pending: Option<Put>,
    ) -> Go {
        // A version that makes other calls of these entries makes all of them: doubled is better than lost.
        pending = pending.filter(|put| (put.call as usize) < shipment.calls.len());
        for (number, call) in (0_u32..).zip(&shipment.calls) {
            let known = match &pending {
                Some(put) if number < put.call => continue,
                Some(put) if number == put.call => pending.take(),
                _ => None,
            };
            let in_doubt = known.is_some();
            let put = known.unwrap_or_else(|| self.put_of(call, number, (from, to)));
            if self.deliver(call, put, in_doubt).await == Go::Home {
                return Go::Home;
            }
        }
        self.puts.shipped();
        self.desk.shipped_to(to, shipment.bytes).await;
        Go::On
    }

    fn put_of(&mut self, call: &Call, number: u32, (from, to): (Offset, Offset)) -> Put {
        let stream = stream_name(&self.host, &call.source);
        let latest = Timestamp(call.times().1);
        // The call before this one has arrived.
        self.puts.shipped();
        let before = self.puts.events_at(&call.group, &stream, latest);
        let (group, latest_events) = (call.group.clone(), call.latest_events());
        Put { from, to, call: number, group, stream, latest, latest_events, before, again: false }
    }

    /// Makes a call until it has arrived; [`Go::Home`] if it is to end before that.
    async fn deliver(&mut self, call: &Call, mut put: Put, mut in_doubt: bool) -> Go {
        let mut is_noted = in_doubt;
        let mut sent_at = self.desk.clock.now();
        let mut orders = self.desk.orders.clone();
        loop {
            let attempt = async {
                if in_doubt { self.is_there(call, &put).await } else { self.put(call, &put, is_noted).await }
            };
            let outcome = tokio::select! {
                outcome = attempt => outcome,
                _ = orders.wait_for(|order| *order == Order::Stop) => return Go::Home,
            };
            is_noted = true;
            let pause = match outcome {
                Outcome::Arrived(rejected) => {
                    self.puts.put(&put);
                    self.desk.worked(&self.to);
                    self.count_rejected(call, rejected);
                    return Go::On;
                }
                Outcome::Home => return Go::Home,
                Outcome::Absent { may_come } => {
                    let settled = self.desk.clock.now().ms_since(sent_at) >= SETTLE_MS;
                    if may_come && !settled {
                        LOOK_AGAIN
                    } else {
                        tracing::info!(log_group = %put.group, log_stream = put.stream, "a call has not arrived, and is made again");
                        (in_doubt, is_noted, put.again) = (false, false, true);
                        continue;
                    }
                }
                Outcome::Failed(unshipped) => self.desk.say_trouble(&self.to, unshipped),
                Outcome::Unknown(unshipped) => {
                    (in_doubt, sent_at) = (true, self.desk.clock.now());
                    self.desk.say_trouble(&self.to, unshipped)
                }
            };
            if *self.desk.orders.borrow() != Order::Run {
                return Go::Home;
            }
            self.desk.pause(pause, false).await;
        }
    }

    /// Makes the call once; before that it is journaled, unless it is.
    async fn put(&self, call: &Call, put: &Put, is_noted: bool) -> Outcome {
        if !is_noted {
            let told = self.desk.writer.append_told(Entry::Put(put.clone())).await;
            if !matches!(told, Ok(Ok(_))) {
                // The disk has failed, which stops the process, or the writer is at its end.
                return Outcome::Home;
            }
        }
        let (group, stream) = (put.group.as_str(), put.stream.as_str());
        match self.logs.put(group, stream, &call.events).await {
            Ok(rejected) => Outcome::Arrived(rejected),
            Err(PutError::NoStream) => match self.logs.create_stream(group, stream).await {
                // Nothing was stored; now it can be.
                Ok(Some(())) => match self.logs.put(group, stream, &call.events).await {
                    Ok(rejected) => Outcome::Arrived(rejected),
                    Err(PutError::NoStream) => Outcome::Failed(no_stream(put)),
                    Err(PutError::NotStored(error)) => Outcome::Failed(unshipped(&error)),
                    Err(PutError::Unknown(error)) => Outcome::Unknown(unshipped(&error)),
                },
                Ok(None) => Outcome::Failed(no_group(&put.group)),
                Err(error) => Outcome::Failed(unshipped(&error)),
            },
            Err(PutError::NotStored(error)) => Outcome::Failed(unshipped(&error)),
            Err(PutError::Unknown(error)) => Outcome::Unknown(unshipped(&error)),
        }
    }

    /// Looks whether the call has arrived.
    async fn is_there(&self, call: &Call, put: &Put) -> Outcome {
        let looked = self.logs.look(put.group.as_str(), &put.stream, call.times()).await;
        match looked {
            Ok(Looked::Events(found)) if has_arrived(call, put, &found) => {
                Outcome::Arrived(Rejected::default())
            }
            Ok(Looked::Events(_)) => Outcome::Absent { may_come: put.before.is_some() },
            Ok(Looked::NoStream | Looked::TooMany) => Outcome::Absent { may_come: false },
            Err(error @ AwsError::Denied { .. }) => {
                tracing::warn!(%error, "it cannot be looked whether a call has arrived: it may be there twice");
                Outcome::Absent { may_come: false }
            }
            Err(error) => Outcome::Failed(unshipped(&error)),
        }
    }

    fn count_rejected(&self, call: &Call, rejected: Rejected) {
        let Rejected { too_old_end, expired_end, too_new_start } = rejected;
        let end = call.events.len();
        let (too_old, expired) = (0..too_old_end.min(end), too_old_end.min(end)..expired_end.min(end));
        let too_new = too_new_start.map_or(end..end, |start| start.min(end)..end);
        for (reason, range) in
            [(LossReason::TooOld, too_old), (LossReason::Expired, expired), (LossReason::TooNew, too_new)]
        {
            if let Some(loss) = call.loss(reason, range) {
                self.lose(loss);
            }
        }
    }
}

/// What became of an attempt.
enum Outcome {
    Arrived(Rejected),
    /// It is not in its stream; with `may_come` it may yet be.
    Absent {
        may_come: bool,
    },
    /// Nothing has changed.
    Failed(Unshipped),
    /// It may have arrived.
    Unknown(Unshipped),
    /// There is nothing more to do.
    Home,
}

/// Whether what was `found` in the stream holds the call, beside what had been put there before.
fn has_arrived(call: &Call, put: &Put, found: &[(i64, String)]) -> bool {
    let Some(before) = put.before else { return false };
    let latest = found.iter().filter(|(at, _)| *at == put.latest.0).count() as u64;
    if latest < before + put.latest_events {
        return false;
    }
    let mut count: BTreeMap<(i64, &str), usize> = BTreeMap::new();
    for (at, message) in found {
        *count.entry((*at, message)).or_default() += 1;
    }
    call.events.iter().all(|(at, message)| match count.get_mut(&(*at, message.as_str())) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    })
}

fn unshipped(error: &AwsError) -> Unshipped {
    let (reason, help) = (error.to_string(), error.help());
    match error {
        AwsError::NoAnswer { .. } | AwsError::Throttled { .. } => Unshipped::Again { reason, after: None },
        AwsError::Refused { code, .. }
            if code.starts_with("ServiceUnavailable") || code.starts_with("Internal") =>
        {
            Unshipped::Again { reason, after: None }
        }
        _ => Unshipped::Refused { reason, help },
    }
}

fn no_group(group: &GroupName) -> Unshipped {
    let reason = format!("log group {group} does not exist");
    Unshipped::Refused { reason, help: Some(HELP_GROUP.to_owned()) }
}

/// It was made, and is not seen yet.
fn no_stream(put: &Put) -> Unshipped {
    let reason = format!("log stream {} of {} does not exist yet", put.stream, put.group);
    Unshipped::Again { reason, after: None }
}
