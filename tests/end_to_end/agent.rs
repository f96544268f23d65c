//! `watchbell agent`: what it reads is on the other side, each line once, whatever breaks on the way.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use watchbell::agent::{Running, Setup, To};
use watchbell::client::{Call, Client};
use watchbell::run::clock::{Clock, HandWoundClock};
use watchbell_journal::{ModelDisk, RealDisk};
use watchbell_model::{Entry, EventFlags, LINE_BYTES_MAX, LossReason, Severity, Source};

use crate::support::authority::Authority;
use crate::support::http::post;
use crate::support::journalctl::{FOLLOWS, entries, entry, expected, write_script};
use crate::support::process::{Up, run, said};
use crate::support::records::{archived, batches, messages, records};
use crate::support::relay::Relay;
use crate::support::running::{InProcess, START};
use crate::support::site::Site;
use crate::support::{eventually, eventually_some};

const SERVER: &str = "tls = { certificate = \"server.pem\", key = \"server.key\" }\n[log_groups.app]\n\
    [roles.agents]\nallow = [\"logs:PutLogEvents\"]\non = [\"app\"]\n\
    [roles.operator]\nallow = [\"watchbell:GetStatus\", \"watchbell:GetMetrics\"]\non = [\"watchbell\"]\n\
    [tokens.web]\nvalue = { file = \"web.token\" }\nroles = [\"agents\"]\n\
    [tokens.operator]\nvalue = { file = \"operator.token\" }\nroles = [\"operator\"]\n";

/// A server over TLS, and an agent that ships to it through an address that stays.
struct Pair {
    authority: Authority,
    server: Site,
    agent: Site,
    relay: Relay,
}

impl Pair {
    fn new(agent: &str) -> Pair {
        let (authority, relay) = (Authority::new(), Relay::start());
        let server = Site::new(SERVER);
        authority.sign(&server);
        authority.introduce(&server);
        server.write("web.token", "web-token-value\n");
        server.write("operator.token", "operator-token-value\n");
        let to = relay.address();
        let agent = Site::new(&format!(
            "[agent]\nto = \"https://{to}\"\ntoken = {{ file = \"token\" }}\nca = \"ca.pem\"\nname = \"web-1\"\n{agent}"
        ));
        authority.introduce(&agent);
        agent.write("token", "web-token-value\n");
        Pair { authority, server, agent, relay }
    }

    /// Starts the server, and leads the agent to it.
    fn serve(&self) -> Up {
        let up = Up::start(&self.server);
        self.relay.lead_to(Some(up.address));
        up
    }

    /// What the server says at `path`.
    fn ask(&self, up: &Up, path: &str) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = Client::new(Some(&self.server.path("ca.pem"))).unwrap();
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("authorization", "Bearer operator-token-value".parse().unwrap());
        let (url, timeout) = (format!("https://{}{path}", up.address), Duration::from_mins(1));
        let call = Call { method: axum::http::Method::GET, url, headers, body: Vec::new(), timeout };
        String::from_utf8(runtime.block_on(client.call(call)).unwrap().body).unwrap()
    }

    /// Waits until so many events are in the server's journal.
    fn wait_for_events(&self, up: &Up, events: u64) {
        eventually(&format!("{events} events"), || {
            let text = self.ask(up, "/metrics");
            let line = "watchbell_incoming_log_events_total{log_group=\"app\"} ";
            let seen = text.lines().find_map(|it| it.strip_prefix(line)).map_or(0, |it| it.parse().unwrap());
            assert!(seen <= events, "{seen} events, more than {events}");
            seen == events
        });
    }

    fn sources(&self, up: &Up) -> Value {
        serde_json::from_str(&self.ask(up, "/sources")).unwrap()
    }
}

const FILES: &str = "[log_groups.app]\nfiles = [\"app.log\"]\n";

/// Numbered lines, told apart by more than their number.
fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.fold(String::new(), |mut text, number| {
        writeln!(text, "line {number} of a stream that is counted, {:016x}", number * 0x9e37_79b9).unwrap();
        text
    })
}

/// Each of these lines was archived once, and nothing else.
fn assert_each_once(server: &Site, expected: &str) {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for line in messages(&server.data()) {
        *count.entry(line).or_default() += 1;
    }
    let expected: BTreeMap<String, usize> = expected.lines().map(|line| (line.to_owned(), 1)).collect();
    let lost: Vec<_> = expected.keys().filter(|line| !count.contains_key(*line)).take(5).collect();
    let other: Vec<_> =
        count.iter().filter(|(line, times)| expected.get(*line) != Some(times)).take(5).collect();
    assert!(lost.is_empty() && other.is_empty(), "lost {lost:?}, doubled or not ours {other:?}");
}

#[test]
fn every_line_comes_once_through_rotation_kills_of_both_sides_and_silence() {
    let pair = Pair::new(FILES);
    pair.agent.append("app.log", lines(0..1));
    let server = pair.serve();
    let agent = Up::start_agent(&pair.agent);
    pair.wait_for_events(&server, 1);

    pair.agent.append("app.log", lines(1..200));
    pair.agent.rename("app.log", "app.log.1");
    pair.agent.append("app.log", lines(200..400));
    pair.wait_for_events(&server, 400);

    // The agent dies in the middle, and its file is rotated meanwhile.
    pair.agent.append("app.log", lines(400..600));
    agent.kill();
    pair.agent.rename("app.log", "app.log.2");
    pair.agent.append("app.log", lines(600..800));
    let agent = Up::start_agent(&pair.agent);
    pair.wait_for_events(&server, 800);

    // The server dies in the middle.
    pair.agent.append("app.log", lines(800..1200));
    server.kill();
    let server = pair.serve();
    pair.wait_for_events(&server, 1200);

    // Nobody answers for a while, in which the agent dies, too.
    pair.relay.lead_to(None);
    pair.agent.append("app.log", lines(1200..1400));
    agent.wait_for_log("not shipped now");
    agent.kill();
    pair.agent.append("app.log", lines(1400..1500));
    let agent = Up::start_agent(&pair.agent);
    agent.wait_for_log("not shipped now");
    pair.relay.lead_to(Some(server.address));
    pair.wait_for_events(&server, 1500);

    let bytes: u64 = ["app.log", "app.log.1", "app.log.2"]
        .iter()
        .map(|name| std::fs::metadata(pair.agent.path(name)).unwrap().len())
        .sum();
    let stream = format!("web-1{}", pair.agent.path("app.log").display());
    eventually("the books balance end to end", || {
        let told = pair.sources(&server);
        let source = told["sources"].as_array().unwrap().iter().find(|it| it["path"] == *stream).cloned();
        source.is_some_and(|it| {
            it["agent"] == "web-1"
                && it["read_bytes"] == bytes
                && it["journaled_bytes"] == bytes
                && it["lag_bytes"] == 0
                && it["events"] == 1500
        })
    });
    let told = pair.sources(&server);
    assert_eq!(
        (&told["agents"][0]["name"], &told["agents"][0]["principal"]),
        (&"web-1".into(), &"token web".into())
    );
    agent.stop();
    server.stop();
    assert_each_once(&pair.server, &lines(0..1500));
}

#[test]
fn a_wrong_token_an_unknown_group_and_a_foreign_authority_are_said_and_nothing_is_lost() {
    let pair = Pair::new(FILES);
    pair.agent.write("token", "wrong-token-value");
    pair.agent.append("app.log", lines(0..10));
    let server = pair.serve();
    let agent = Up::start_agent(&pair.agent);
    let refused = |agent: &Up, reason: &str| {
        eventually(reason, || {
            agent.log().iter().any(|event| {
                event["level"] == "ERROR" && event["reason"].as_str().is_some_and(|it| it.contains(reason))
            })
        });
    };
    refused(&agent, "401 no token has this value");
    pair.agent.write("token", "web-token-value");
    Authority::new().introduce(&pair.agent);
    agent.signal("HUP");
    refused(&agent, "not signed by an authority that is trusted here");
    pair.authority.introduce(&pair.agent);
    pair.server.configure(&SERVER.replace("[log_groups.app]", "[log_groups.other]"));
    server.signal("HUP");
    server.wait_for_log("reloaded");
    agent.signal("HUP");
    refused(&agent, "404 no log group");
    pair.server.configure(SERVER);
    server.signal("HUP");
    eventually("the group is back", || {
        agent.signal("HUP");
        pair.ask(&server, "/metrics").contains("incoming_log_events_total{log_group=\"app\"} 10")
    });
    agent.stop();
    server.stop();
    assert_each_once(&pair.server, &lines(0..10));
    for (path, bytes) in pair.agent.files().iter().filter(|(path, _)| !path.ends_with("token")) {
        assert!(!String::from_utf8_lossy(bytes).contains("token-value"), "{}", path.display());
    }
}

#[test]
fn check_asks_the_other_side_and_says_what_is_wrong() {
    let pair = Pair::new(FILES);
    let check = || said(&run(&pair.agent, &["agent", "--check"]));
    let (code, _, stderr) = check();
    assert!(code == Some(69) && stderr.contains("is watchbell up running there?"), "{stderr}");
    let server = pair.serve();
    let to = pair.relay.address();
    let good = format!("https://{to} takes what web-1 reads: 1 log group\n");
    assert_eq!(check(), (Some(0), good, String::new()));
    pair.agent.write("token", "wrong-token-value");
    let (code, _, stderr) = check();
    assert!(code == Some(69) && stderr.contains("401") && stderr.contains("help"), "{stderr}");
    pair.agent.configure("[log_groups.app]\nfiles = [\"app.log\"]\n");
    let (code, _, stderr) = check();
    assert!(code == Some(78) && stderr.contains("has no [agent]"), "{stderr}");
    pair.agent.configure(&format!("[agent]\nto = \"http://{to}\"\n[log_groups.app]\n"));
    let (code, _, stderr) = check();
    assert!(code == Some(78) && stderr.contains("nothing to ship"), "{stderr}");
    assert!(!pair.agent.data().exists(), "a check keeps nothing");
    assert_eq!(pair.sources(&server)["agents"], serde_json::json!([]));
}

#[test]
fn an_event_keeps_source_range_times_and_flags_and_is_redacted_once() {
    let agent = "[redaction.patterns]\nkey = 'key=(\\S+)'\n[log_groups.app]\nfiles = [\"app.log\"]\nparse = \"json\"\n";
    let pair = Pair::new(agent);
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(LINE_BYTES_MAX));
    let text = format!("{{\"time\":\"2026-11-20T10:00:00Z\",\"m\":\"key=s3cret-word\"}}\n{long}\nplain\n");
    pair.agent.append("app.log", &text);
    let server = pair.serve();
    let agent = Up::start_agent(&pair.agent);
    pair.wait_for_events(&server, 3);
    agent.stop();
    server.stop();
    let agents = batches(&pair.agent.data().join("agent"));
    let accepted: BTreeMap<u64, i64> = agents.iter().map(|(offset, time, _)| (offset.0, time.0)).collect();
    let (mut end, mut events) = (0, Vec::new());
    for (_, _, batch) in batches(&pair.server.data()) {
        let Source::Agent { principal, shipped, origin } = &batch.source else {
            panic!("{:?}", batch.source)
        };
        let Source::File { path, range, .. } = &**origin else { panic!("{origin:?}") };
        assert_eq!((principal.as_str(), shipped.host.as_str()), ("token web", "web-1"));
        assert_eq!(*path, pair.agent.path("app.log").to_string_lossy());
        assert_eq!(batch.stream, format!("web-1{path}"));
        assert_eq!(shipped.accepted.0, accepted[&shipped.offset.0]);
        assert_eq!(range.start, end, "no gap");
        end = range.end;
        events.extend(
            batch
                .events()
                .map(|it| (it.flags, it.timestamp.unwrap().0, it.message.to_owned(), shipped.accepted.0)),
        );
    }
    assert_eq!(end, text.len() as u64);
    assert_eq!(
        events.iter().map(|it| it.0).collect::<Vec<_>>(),
        [EventFlags::REDACTED, EventFlags::CUT, EventFlags::default()]
    );
    assert_eq!(events[0].1, 1_795_168_800_000, "the time in the line");
    assert_eq!(events[2].1, events[2].3, "when the agent took it in");
    assert!(events[0].2.contains("key=") && !events[0].2.contains("s3cret"), "{}", events[0].2);
    for (path, bytes) in pair.server.files() {
        assert!(!String::from_utf8_lossy(&bytes).contains("s3cret-word"), "{}", path.display());
    }
}

#[test]
fn a_full_buffer_lets_files_wait_and_everything_comes_in_the_end() {
    let pair = Pair::new(&format!("buffer = \"16MiB\"\n{FILES}"));
    let agent = Up::start_agent(&pair.agent);
    let line = |number: usize| format!("{number:08} {}\n", "z".repeat(4000));
    let count = 12_000;
    for from in (0..count).step_by(500) {
        pair.agent.append("app.log", (from..from + 500).map(line).collect::<String>());
    }
    agent.wait_for_log("the buffer is full");
    // An agent that is stopped now keeps what waits, and reads no more of the file.
    agent.stop();
    let agent = Up::start_agent(&pair.agent);
    let server = pair.serve();
    pair.wait_for_events(&server, count as u64);
    agent.wait_for_log("the buffer has room again");
    agent.stop();
    server.stop();
    let mut numbers: Vec<String> =
        messages(&pair.server.data()).iter().map(|it| it[..8].to_owned()).collect();
    numbers.sort_unstable();
    assert!(numbers.iter().enumerate().all(|(at, number)| *number == format!("{at:08}")));
    assert_eq!(numbers.len(), count);
}

/// An agent in this process, with a clock that is wound by hand.
#[test]
fn a_server_without_room_gets_everything_once_it_has_room_and_not_before_it_said() {
    let (server, disk) = (Site::new("[log_groups.app]\n"), ModelDisk::new());
    let up = InProcess::start_on(&server, START, Arc::new(disk.clone()));
    let agent = Site::new(&format!("[agent]\nto = \"http://{}\"\nname = \"web-1\"\n{FILES}", up.address()));
    let clock = Arc::new(HandWoundClock::new(START));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let setup = Setup { to: To::Watchbell, plan: agent.plan(), clock: shared, disk: Arc::new(RealDisk) };
    let running = Running::start(setup, runtime.handle()).unwrap();
    agent.append("app.log", lines(0..5));
    eventually("the first lines come", || {
        clock.wind_ms(1000);
        up.events("app") == 5
    });

    disk.set_full(true);
    let mut taken = 5;
    while post(up.address(), "app", &[], b"x\n").status == 200 {
        taken += 1;
    }
    up.wait_for_events("app", taken);
    agent.append("app.log", lines(5..10));
    eventually("the agent has been told to come back", || {
        clock.wind_ms(100);
        running.trouble().is_some_and(|reason| reason.starts_with("507"))
    });
    disk.set_full(false);
    eventually("the server has room", || post(up.address(), "app", &[], b"x\n").status == 200);
    up.wait_for_events("app", taken + 1);
    clock.wind_ms(20_000);
    assert_eq!(up.events("app"), taken + 1, "it was told to wait for 30 s");
    eventually("the other lines come", || {
        clock.wind_ms(1000);
        up.events("app") == taken + 6
    });
    runtime.block_on(running.drain()).unwrap();
    up.drain();
}

const INPUTS: &str = "[log_groups.app]\nsyslog = { listen = \"127.0.0.1:0\" }\n\
    journald = { command = \"./journalctl\", units = [\"a.service\", \"b.service\"] }\n";

/// Where the agent takes messages of syslog over `transport`.
fn listener(agent: &Up, transport: &str) -> SocketAddr {
    let prefix = format!("{transport}://");
    let of = |event: &Value| event["input"].as_str()?.strip_prefix(&prefix)?.parse().ok();
    agent.log().iter().filter(|event| event["message"] == "listening for syslog").find_map(of).unwrap()
}

/// The messages in a data folder's journal that came from the system's journal, and from syslog, in the order in which they
/// stand there.
fn messages_of_inputs(data: &Path) -> (Vec<String>, Vec<String>) {
    let (mut journald, mut syslog) = (Vec::new(), Vec::new());
    for (_, _, batch) in batches(data) {
        let messages = match batch.source.origin() {
            Source::Journald { .. } => &mut journald,
            Source::Syslog { .. } => &mut syslog,
            other => panic!("{other:?}"),
        };
        messages.extend(batch.events().map(|event| event.message.to_owned()));
    }
    (journald, syslog)
}

/// Bytes, and times, that the agent counted as lost for this reason.
fn losses(agent: &Site, reason: LossReason) -> (u64, u64) {
    let mut sum = (0, 0);
    for record in records(&agent.data().join("agent")) {
        if let Entry::Loss(loss) = record.entry
            && loss.reason == reason
        {
            sum = (sum.0 + loss.bytes, sum.1 + loss.times);
        }
    }
    sum
}

#[test]
fn the_systems_journal_and_syslog_come_once_through_kills_of_both_sides() {
    let pair = Pair::new(INPUTS);
    write_script(&pair.agent, FOLLOWS);
    pair.agent.append("journal.json", entries(0..50));
    let (mut server, mut agent) = (pair.serve(), Up::start_agent(&pair.agent));
    let mut sent = Vec::new();
    for round in 1..5 {
        let lines = (0..10).map(|number| format!("<11>Nov 22 06:55:46 router app: {round}.{number}"));
        let lines: Vec<String> = lines.collect();
        let mut stream = TcpStream::connect(listener(&agent, "tcp")).unwrap();
        stream.write_all(format!("{}\n", lines.join("\n")).as_bytes()).unwrap();
        sent.extend(lines);
        // Nobody tells a sender of syslog that a message has arrived: what is in the agent's journal counts.
        eventually("the messages are in the agent's journal", || {
            messages_of_inputs(&pair.agent.data().join("agent")).1.len() == sent.len()
        });
        (server, agent) = std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in round * 50..round * 50 + 50 {
                    pair.agent.append("journal.json", entries(number..number + 1));
                }
            });
            agent.kill();
            let server = if round == 3 {
                server.kill();
                pair.serve()
            } else {
                server
            };
            (server, Up::start_agent(&pair.agent))
        });
    }
    pair.wait_for_events(&server, 290);

    let taken = std::fs::metadata(pair.agent.path("journal.json")).unwrap().len()
        + sent.iter().map(|line| line.len() as u64 + 1).sum::<u64>();
    let told = eventually_some("the books balance end to end", || {
        let rows = pair.sources(&server)["sources"].as_array().unwrap().clone();
        let sum = |key: &str| rows.iter().map(|row| row[key].as_u64().unwrap()).sum::<u64>();
        (sum("read_bytes") == taken && sum("journaled_bytes") == taken && sum("lag_bytes") == 0)
            .then_some(rows)
    });
    let state = |path: &str| {
        let row =
            told.iter().find(|row| row["path"] == path).unwrap_or_else(|| panic!("no {path} in {told:?}"));
        assert_eq!(row["agent"], "web-1");
        row["state"].clone()
    };
    let socket = format!("web-1/tcp://{}", listener(&agent, "tcp"));
    let states = ["web-1/journald", "web-1/router", &socket].map(state);
    assert_eq!(states, ["following", "quiet", "listening"]);
    agent.stop();
    server.stop();

    assert_eq!(messages_of_inputs(&pair.server.data()), (expected(0..250), sent));
    let events = archived(&pair.server.data().join("archive"));
    let of = |message: &str| {
        let event = events.iter().find(|event| event.message == message).unwrap();
        (event.stream.as_str(), event.severity, event.timestamp.0)
    };
    assert_eq!(of("message 0"), ("web-1/a.service", Severity::Error, 1_795_381_912_000));
    assert_eq!(of("message 4"), ("web-1/b.service", Severity::Info, 1_795_381_912_004));
    assert_eq!(of("<11>Nov 22 06:55:46 router app: 1.0").0, "web-1/router");
}

#[test]
fn with_a_full_buffer_the_systems_journal_and_senders_wait_and_what_is_lost_is_counted() {
    let pair = Pair::new(&format!("buffer = \"16MiB\"\n{INPUTS}"));
    write_script(&pair.agent, FOLLOWS);
    let count = 6000;
    let message = |number: usize| format!("{number:08} {}", "z".repeat(4000));
    pair.agent
        .append("journal.json", (0..count).map(|at| entry(at, &json!(message(at)))).collect::<String>());
    let agent = Up::start_agent(&pair.agent);
    agent.wait_for_log("the buffer is full");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let short = b"<14>Nov 22 06:55:46 u app: too late";
    for _ in 0..100 {
        socket.send_to(short, listener(&agent, "udp")).unwrap();
    }
    agent.stop();
    assert_eq!(losses(&pair.agent, LossReason::NoSpace).0, 100 * short.len() as u64);

    let agent = Up::start_agent(&pair.agent);
    agent.wait_for_log("the buffer is full");
    let mut stream = TcpStream::connect(listener(&agent, "tcp")).unwrap();
    stream.write_all("<14>Nov 22 06:55:46 t app: waits\n".repeat(1000).as_bytes()).unwrap();
    let long = [b"<14>Nov 22 06:55:46 u app: ".as_slice(), &vec![b'x'; 30_000]].concat();
    let mut datagrams = 0;
    eventually("the kernel drops datagrams", || {
        for _ in 0..50 {
            socket.send_to(&long, listener(&agent, "udp")).unwrap();
            datagrams += 1;
        }
        losses(&pair.agent, LossReason::ReceiveBuffer).1 > 0
    });
    let (journald, _) = messages_of_inputs(&pair.agent.data().join("agent"));
    assert!(journald.len() < count, "the system's journal waits as well");

    let server = pair.serve();
    eventually("everything comes, or is counted", || {
        let rows = pair.sources(&server)["sources"].as_array().unwrap().clone();
        let events: u64 = rows.iter().map(|row| row["events"].as_u64().unwrap()).sum();
        let dropped: u64 = rows.iter().filter_map(|row| row["losses"]["receive_buffer"].as_u64()).sum();
        let all = count as u64 + 1000 + datagrams;
        assert!(events + dropped <= all, "{events} + {dropped} > {all}");
        events + dropped == all
    });
    agent.wait_for_log("the buffer has room again");
    agent.stop();
    server.stop();
    let (journald, syslog) = messages_of_inputs(&pair.server.data());
    assert!(journald.iter().enumerate().all(|(at, text)| *text == message(at)), "in order");
    assert_eq!(journald.len(), count);
    assert_eq!(syslog.iter().filter(|text| text.ends_with(": waits")).count(), 1000);
}

#[test]
fn an_agent_says_what_it_does_not_take_in_and_what_of_its_inputs_needs_a_restart() {
    let pair = Pair::new("");
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let head = std::fs::read_to_string(pair.agent.config()).unwrap();
    let configure = |body: &str| pair.agent.write("watchbell.toml", format!("{head}{body}"));
    configure(&INPUTS.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string()));
    let (code, _, stderr) = said(&run(&pair.agent, &["agent"]));
    assert!(code == Some(69) && stderr.contains("syslog.listen udp://"), "{stderr}");
    assert!(!pair.agent.data().exists());

    let others = "stdin = true\notlp = { service = \"shop\" }\n";
    configure(&format!("{INPUTS}{others}"));
    write_script(&pair.agent, FOLLOWS);
    pair.agent.append("journal.json", entry(0, &json!("key=s3cret-one")));
    let (server, agent) = (pair.serve(), Up::start_agent(&pair.agent));
    let left_out: Vec<Value> = agent
        .log()
        .iter()
        .filter(|event| event["message"] == "an agent does not take this in; only watchbell up does")
        .map(|event| json!([event["level"], event["log_group"], event["input"]]))
        .collect();
    assert_eq!(left_out, [json!(["WARN", "app", "stdin"]), json!(["WARN", "app", "otlp"])]);
    pair.wait_for_events(&server, 1);

    configure(&format!("{}{others}", INPUTS.replace("\"b.service\"", "\"c.service\"")));
    agent.signal("HUP");
    agent.wait_for_log("not reloaded");
    let reason = "log_groups.*.journald cannot change while the agent runs; restart it";
    assert!(agent.stderr().contains(reason), "{}", agent.stderr());
    configure(&format!("{INPUTS}[redaction.patterns]\nkey = 'key=(\\S+)'\n"));
    agent.signal("HUP");
    eventually("it has been reloaded", || agent.log().iter().any(|event| event["message"] == "reloaded"));
    pair.agent.append("journal.json", entry(1, &json!("key=s3cret-two")));
    pair.wait_for_events(&server, 2);
    agent.stop();
    server.stop();
    let (journald, _) = messages_of_inputs(&pair.server.data());
    assert!(journald[0] == "key=s3cret-one" && !journald[1].contains("s3cret"), "{journald:?}");
}
