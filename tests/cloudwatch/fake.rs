//! CloudWatch Logs as far as an agent sees it: groups and streams, the rules of `PutLogEvents`, and what can go wrong.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use serde_json::{Value, json};

/// What happens to the next call that puts events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is stored, and the connection ends within the answer.
    StoreAndReset,
    /// The connection ends before anything is stored.
    Reset,
    /// It is stored, and there is no answer as long as the caller lives.
    StoreAndHang,
    /// Nothing is stored, and there is no answer as long as the caller lives.
    Hang,
    /// An error with this code and status; nothing is stored.
    Error(u16, &'static str),
    /// It is stored, and the answer is an error of the service.
    StoreAndFail,
}

/// What it holds.
#[derive(Default)]
pub(crate) struct State {
    /// Times and messages, by group and stream.
    pub(crate) groups: BTreeMap<String, BTreeMap<String, Vec<(i64, String)>>>,
    pub(crate) faults: VecDeque<Fault>,
    /// Events of each call that was stored.
    pub(crate) calls: Vec<usize>,
    /// Calls that break a rule.
    pub(crate) violations: Vec<String>,
    /// Calls that ended in `Hang` or `StoreAndHang`.
    pub(crate) hung: usize,
    /// Bodies of `PutMetricData`.
    pub(crate) metrics: Vec<Vec<u8>>,
}

/// The running fake; it ends with the test's process.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// Source of this and the next: CloudWatch Logs API Reference, `PutLogEvents`.
const OLDEST_MS: i64 = 14 * 24 * 60 * 60 * 1000;
const AHEAD_MS: i64 = 2 * 60 * 60 * 1000;

impl Fake {
    pub(crate) fn start(groups: &[&str]) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let groups = groups.iter().map(|group| ((*group).to_owned(), BTreeMap::new())).collect();
        let state = Arc::new(Mutex::new(State { groups, ..State::default() }));
        let fake = Fake { address: listener.local_addr().unwrap(), state };
        let shared = fake.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let fake = shared.clone();
                // A caller that dies ends its connection.
                std::thread::spawn(move || fake.serve(&connection));
            }
        });
        fake
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, connection: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(connection.try_clone().ok()?);
        loop {
            let (mut line, mut length, mut target) = (String::new(), 0, String::new());
            reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
            if line.contains("/operation/PutMetricData") {
                "PutMetricData".clone_into(&mut target);
            }
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).ok().filter(|bytes| *bytes > 0)?;
                match header.trim_end().split_once(": ") {
                    None => break,
                    Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                        length = value.parse().unwrap();
                    }
                    Some((name, value)) if name.eq_ignore_ascii_case("x-amz-target") => {
                        value.rsplit('.').next().unwrap().clone_into(&mut target);
                    }
                    Some(_) => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            let (status, answer) = if target == "PutMetricData" {
                self.state().metrics.push(body);
                answer(
                    connection,
                    200,
                    "smithy-protocol: rpc-v2-cbor\r\ncontent-type: application/cbor\r\n",
                    &[0xa0],
                )?;
                continue;
            } else {
                let request: Value = serde_json::from_slice(&body).unwrap();
                let Some(answer) = self.answer(&target, &request) else {
                    if self.has_hung(&mut reader) {
                        continue;
                    }
                    return None;
                };
                answer
            };
            let head = "content-type: application/x-amz-json-1.1\r\n";
            answer_json(connection, status, head, &answer)?;
        }
    }

    /// Waits until the caller has gone.
    fn has_hung(&self, reader: &mut BufReader<TcpStream>) -> bool {
        if self.state().faults.front() != Some(&Fault::Hang) {
            return false;
        }
        self.state().faults.pop_front();
        self.state().hung += 1;
        reader.read_exact(&mut [0]).is_ok()
    }

    /// `None`: the connection ends, or hangs if that is the next fault.
    fn answer(&self, target: &str, request: &Value) -> Option<(u16, Value)> {
        let mut state = self.state();
        let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
        let (group, stream) = (text("logGroupName"), text("logStreamName"));
        if !state.groups.contains_key(&group) {
            return Some(error(400, "ResourceNotFoundException"));
        }
        if target == "CreateLogStream" {
            let streams = state.groups.get_mut(&group).unwrap();
            if stream.is_empty() || stream.chars().count() > 512 || stream.contains([':', '*']) {
                state.violations.push(format!("stream {stream:?}"));
            } else if streams.insert(stream, Vec::new()).is_some() {
                return Some(error(400, "ResourceAlreadyExistsException"));
            }
            return Some((200, json!({})));
        }
        if target == "DescribeLogStreams" {
            return Some((200, json!({ "logStreams": [] })));
        }
        let Some(events) = state.groups[&group].get(&stream) else {
            return Some(error(400, "ResourceNotFoundException"));
        };
        if target == "GetLogEvents" {
            // Pages of three: whoever looks must turn them.
            let (start, end) = (request["startTime"].as_i64().unwrap(), request["endTime"].as_i64().unwrap());
            let from: usize = request["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
            let mut found: Vec<_> = events.iter().filter(|(at, _)| (start..end).contains(at)).collect();
            found.sort_by_key(|(at, _)| *at);
            let page: Vec<_> = found.iter().skip(from).take(3).collect();
            let next = (from + page.len()).to_string();
            let page: Vec<Value> =
                page.iter().map(|(at, message)| json!({ "timestamp": at, "message": message })).collect();
            return Some((200, json!({ "events": page, "nextForwardToken": next })));
        }
        assert_eq!(target, "PutLogEvents");
        let fault = state.faults.front().copied();
        match fault {
            Some(Fault::Hang) => return None,
            Some(_) => drop(state.faults.pop_front()),
            None => {}
        }
        match fault {
            Some(Fault::Reset) => return None,
            Some(Fault::Error(status, code)) => return Some(error(status, code)),
            _ => {}
        }
        let answer = state.put(&group, &stream, request["logEvents"].as_array().unwrap());
        match fault {
            Some(Fault::StoreAndReset) => None,
            Some(Fault::StoreAndFail) => Some(error(500, "InternalFailure")),
            Some(Fault::StoreAndHang) => {
                state.faults.push_front(Fault::Hang);
                None
            }
            _ => Some(answer),
        }
    }
}

impl State {
    fn put(&mut self, group: &str, stream: &str, events: &[Value]) -> (u16, Value) {
        let events: Vec<(i64, String)> = events
            .iter()
            .map(|it| (it["timestamp"].as_i64().unwrap(), it["message"].as_str().unwrap().to_owned()))
            .collect();
        let bytes: usize = events.iter().map(|(_, message)| message.len() + 26).sum();
        let span = events.last().map_or(0, |last| last.0 - events[0].0);
        let rules = [
            ("size", bytes <= 1_048_576),
            ("count", (1..=10_000).contains(&events.len())),
            ("order", events.is_sorted_by_key(|(at, _)| *at)),
            ("span", span <= 24 * 60 * 60 * 1000),
            ("empty", events.iter().all(|(_, message)| !message.is_empty())),
            ("time", events.iter().all(|(at, _)| *at >= 0)),
        ];
        let broken: Vec<&str> = rules.iter().filter(|(_, holds)| !holds).map(|(name, _)| *name).collect();
        if !broken.is_empty() {
            self.violations.push(format!("{broken:?} of {} events, {bytes} bytes, {span} ms", events.len()));
            return error(400, "InvalidParameterException");
        }
        self.calls.push(events.len());
        let now = now_ms();
        let too_old = events.partition_point(|(at, _)| *at < now - OLDEST_MS);
        let too_new = events.partition_point(|(at, _)| *at <= now + AHEAD_MS);
        let mut rejected = serde_json::Map::new();
        if too_old > 0 {
            rejected.insert("tooOldLogEventEndIndex".to_owned(), too_old.into());
        }
        if too_new < events.len() {
            rejected.insert("tooNewLogEventStartIndex".to_owned(), too_new.into());
        }
        let streams = self.groups.get_mut(group).unwrap();
        streams.get_mut(stream).unwrap().extend_from_slice(&events[too_old..too_new]);
        let mut answer = json!({ "nextSequenceToken": "1" });
        if !rejected.is_empty() {
            answer["rejectedLogEventsInfo"] = Value::Object(rejected);
        }
        (200, answer)
    }

    /// Every message of a group, with how often it is there.
    pub(crate) fn messages(&self, group: &str) -> BTreeMap<String, usize> {
        let mut count = BTreeMap::new();
        for (_, message) in self.groups[group].values().flatten() {
            *count.entry(message.clone()).or_default() += 1;
        }
        count
    }
}

#[expect(clippy::disallowed_methods, reason = "a service has a clock")]
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

fn error(status: u16, code: &str) -> (u16, Value) {
    (status, json!({ "__type": code, "message": format!("{code}, says the fake") }))
}

fn answer_json(connection: &TcpStream, status: u16, head: &str, body: &Value) -> Option<()> {
    answer(connection, status, head, body.to_string().as_bytes())
}

fn answer(mut connection: &TcpStream, status: u16, head: &str, body: &[u8]) -> Option<()> {
    let head = format!("HTTP/1.1 {status} Told\r\n{head}content-length: {}\r\n\r\n", body.len());
    connection.write_all(&[head.as_bytes(), body].concat()).ok()
}
