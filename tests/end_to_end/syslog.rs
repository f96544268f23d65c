//! Messages of syslog over real sockets: both forms, both transports, what is lost is counted, what waits is not lost.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;

use serde_json::{Value, json};
use watchbell_journal::{ModelDisk, Reader};
use watchbell_model::{Entry, EventFlags, LINE_BYTES_MAX, LossReason, Severity, Source, Transport};

use crate::support::authority::Authority;
use crate::support::input::pieces;
use crate::support::process::{Up, run, said};
use crate::support::records::{archived, batches, record};
use crate::support::running::{InProcess, START};
use crate::support::site::Site;
use crate::support::{eventually, eventually_some, http};

const GROUP: &str = "[log_groups.\"net/syslog\"]\nsyslog = { listen = \"127.0.0.1:0\" }\n";

fn sources(address: SocketAddr) -> Vec<Value> {
    http::get(address, "/sources").json()["sources"].as_array().unwrap().clone()
}

/// Where messages are taken over `transport`.
fn listener(address: SocketAddr, transport: &str) -> SocketAddr {
    let prefix = format!("{transport}://");
    let rows = sources(address);
    let names = rows.iter().filter_map(|row| row["path"].as_str()?.strip_prefix(&prefix));
    names.map(|name| name.parse().unwrap()).next().unwrap()
}

fn send_datagrams(to: SocketAddr, datagrams: &[&[u8]]) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for datagram in datagrams {
        assert_eq!(socket.send_to(datagram, to).unwrap(), datagram.len());
    }
}

fn send_stream(to: SocketAddr, bytes: &[u8]) {
    TcpStream::connect(to).unwrap().write_all(bytes).unwrap();
}

fn row(rows: &[Value], name: &str) -> Value {
    rows.iter().find(|row| row["path"] == name).unwrap_or_else(|| panic!("no row {name} in {rows:?}")).clone()
}

fn sum(values: &Value) -> u64 {
    values.as_object().unwrap().values().map(|value| value.as_u64().unwrap()).sum()
}

#[test]
fn both_forms_come_over_both_transports_and_their_books_balance() {
    let site = Site::new(GROUP);
    let up = Up::start(&site);
    let (udp, tcp) = (listener(up.address, "udp"), listener(up.address, "tcp"));
    let old = b"<34>Nov 22 06:55:46 web-1 sshd[12]: Failed password for root";
    let new = br#"<165>1 2026-11-22T21:11:52.003Z web-2 shop 7 ID1 [x@1 a="b"] paid"#;
    send_datagrams(udp, &[old, b"without a host\0"]);
    let counted =
        [format!("{} ", new.len()).as_bytes(), new.as_slice(), old, b"\r\n\n<11>last one \xff"].concat();
    send_stream(tcp, &counted);
    up.wait_for_events("net/syslog", 5);
    let rows = sources(up.address);
    let read: u64 = rows.iter().map(|row| row["read_bytes"].as_u64().unwrap()).sum();
    assert_eq!(read, (old.len() + 15 + counted.len()) as u64);
    for row in &rows {
        assert_eq!(row["read_bytes"], row["journaled_bytes"], "{row}");
    }
    assert_eq!(
        (row(&rows, "web-1")["events"].as_u64(), row(&rows, "127.0.0.1")["events"].as_u64()),
        (Some(2), Some(2))
    );
    assert_eq!(row(&rows, "web-2")["state"], "listening");
    up.stop();

    let mut events = archived(&site.path("data/archive"));
    events.sort_by(|a, b| a.message.cmp(&b.message));
    let found: Vec<_> =
        events.iter().map(|it| (it.stream.as_str(), it.message.as_str(), it.severity, it.flags)).collect();
    let (old, new) = (std::str::from_utf8(old).unwrap(), std::str::from_utf8(new).unwrap());
    let none = EventFlags::default();
    assert_eq!(
        found,
        [
            ("127.0.0.1", "<11>last one \u{fffd}", Severity::Unknown, EventFlags::REPAIRED),
            ("web-2", new, Severity::Info, none),
            ("web-1", old, Severity::Critical, none),
            ("web-1", old, Severity::Critical, none),
            ("127.0.0.1", "without a host\0", Severity::Unknown, none),
        ]
    );
    assert_eq!(events[1].timestamp.to_string(), "2026-11-22T21:11:52.003Z");
    assert_eq!(
        events[1].fields.as_deref(),
        Some(
            r#"{"host":"web-2","program":"shop","pid":"7","message_id":"ID1","data":{"x@1":{"a":"b"}},"message":"paid"}"#
        )
    );
    for (_, _, batch) in batches(&site.data()) {
        let Source::Syslog { transport, peer, .. } = &batch.source else { panic!("{batch:?}") };
        assert!(peer.is_loopback());
        assert!(*transport == Transport::Tcp || batch.stream != "web-2");
    }
    // After a restart a host is quiet until it sends again.
    let up = Up::start(&site);
    assert_eq!(row(&sources(up.address), "web-2")["state"], "quiet");
    let (_, table, _) = said(&run(&site, &["sources", "--address", &up.address.to_string()]));
    assert!(
        table.contains("listening") && table.contains("quiet") && table.contains("tcp://127.0.0.1:"),
        "{table}"
    );
}

#[test]
fn lines_that_are_too_long_are_cut_and_counted_and_secrets_touch_no_disk() {
    let site = Site::new(&format!("{GROUP}[redaction]\npresets = \"emails\"\n"));
    let up = Up::start(&site);
    let long = "x".repeat(LINE_BYTES_MAX + 5000);
    let stream = format!(
        "<14>{long}\n{} <14>{long}<13>Nov 22 06:55:46 h su: mail from jane@mail.example.com\n",
        long.len() + 4
    );
    send_stream(listener(up.address, "tcp"), stream.as_bytes());
    up.wait_for_events("net/syslog", 3);
    let rows = sources(up.address);
    let cut = row(&rows, "127.0.0.1");
    assert_eq!(cut["dropped_bytes"]["line_too_long"], 2 * 5004);
    assert_eq!(
        cut["read_bytes"].as_u64().unwrap(),
        cut["journaled_bytes"].as_u64().unwrap() + sum(&cut["dropped_bytes"])
    );
    assert_eq!(row(&rows, "h")["redacted_events"], 1);
    up.stop();
    let found: Vec<_> = batches(&site.data())
        .iter()
        .flat_map(|(_, _, batch)| batch.events().map(|it| (it.message.len(), it.flags)).collect::<Vec<_>>())
        .collect();
    assert!(found.iter().filter(|it| **it == (LINE_BYTES_MAX, EventFlags::CUT)).count() == 2, "{found:?}");
    for (path, bytes) in site.files() {
        assert!(memchr::memmem::find(&bytes, b"jane@").is_none(), "{}", path.display());
    }
}

#[test]
fn many_connections_in_pieces_lose_nothing_when_the_process_is_told_to_stop() {
    let site = Site::new(GROUP);
    let up = Up::start(&site);
    let tcp = listener(up.address, "tcp");
    let lines =
        |sender: usize| (0..2000).map(move |number| format!("<14>Nov 22 06:55:46 h{sender} app: {number}"));
    // Every sender has sent everything before the process is told; the last line of each has no end.
    let senders: Vec<TcpStream> = (0..20)
        .map(|sender| {
            let text = lines(sender).collect::<Vec<_>>().join("\n");
            let mut stream = TcpStream::connect(tcp).unwrap();
            for piece in pieces(text.as_bytes(), 3000) {
                stream.write_all(piece).unwrap();
            }
            stream
        })
        .collect();
    eventually("every sender was accepted", || {
        sources(up.address).iter().filter(|row| row["path"].as_str().unwrap().starts_with('h')).count() == 20
    });
    up.stop();
    drop(senders);
    for sender in 0..20 {
        let found: Vec<String> = batches(&site.data())
            .iter()
            .filter(|(_, _, batch)| batch.stream == format!("h{sender}"))
            .flat_map(|(_, _, batch)| batch.events().map(|it| it.message.to_owned()).collect::<Vec<_>>())
            .collect();
        assert!(
            found.iter().eq(lines(sender).collect::<Vec<_>>().iter()),
            "sender {sender}: {}",
            found.len()
        );
    }
}

#[test]
fn while_the_disk_is_full_tcp_waits_and_the_kernel_counts_what_it_drops_of_udp() {
    let (site, disk) = (Site::new(GROUP), ModelDisk::new());
    let running = InProcess::start_on(&site, START, Arc::new(disk.clone()));
    let (udp, tcp) = (listener(running.address(), "udp"), listener(running.address(), "tcp"));
    disk.set_full(true);
    let datagram = [b"<14>Nov 22 06:55:46 u app: ".as_slice(), &vec![b'x'; 30_000]].concat();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let drops = || {
        let rows = sources(running.address());
        let row = row(&rows, &format!("udp://{udp}"));
        row["losses"]["receive_buffer"].as_u64().unwrap_or(0)
    };
    let mut sent = 0_u64;
    eventually("the kernel drops datagrams", || {
        for _ in 0..50 {
            socket.send_to(&datagram, udp).unwrap();
            sent += 1;
        }
        drops() > 0
    });
    let line = "<14>Nov 22 06:55:46 t app: waits\n";
    send_stream(tcp, line.repeat(100).as_bytes());
    eventually("the input says that it is paused", || {
        running.clock.wind_ms(1000);
        row(&sources(running.address()), &format!("udp://{udp}"))["state"] == "paused"
    });
    disk.set_full(false);
    eventually_some("every datagram is journaled or counted as dropped", || {
        let journaled = running.events("net/syslog");
        let dropped = drops();
        assert!(journaled + dropped <= sent + 100, "{journaled} + {dropped} > {sent} + 100");
        (journaled + dropped == sent + 100).then_some(())
    });
    running.drain();
}

#[test]
fn an_address_in_use_is_told_before_anything_is_written_and_another_one_needs_a_restart() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let site = Site::new(&GROUP.replace("127.0.0.1:0", &address.to_string()));
    let (code, _, stderr) = said(&run(&site, &["up"]));
    assert_eq!(code, Some(69));
    assert!(
        stderr.contains(&format!("syslog.listen udp://{address}")) && stderr.contains("another port"),
        "{stderr}"
    );
    assert!(!site.data().exists());

    site.configure(GROUP);
    let running = InProcess::start(&site, START);
    site.configure(&GROUP.replace("\"127.0.0.1:0\"", "\"127.0.0.1:0\", transport = \"udp\""));
    let error = running.reload(&site).unwrap_err().to_string();
    assert_eq!(error, "log_groups.*.syslog cannot change while watchbell runs; restart it");
    site.configure(&format!("{GROUP}parse = \"plain\"\n"));
    running.reload(&site).unwrap();
    send_stream(listener(running.address(), "tcp"), b"<14>Nov 22 06:55:46 t app: still here\n");
    running.wait_for_events("net/syslog", 1);
    running.drain();
}

#[test]
fn what_had_been_taken_in_when_the_process_ends_with_a_full_disk_is_a_counted_loss() {
    let (site, disk) = (Site::new(GROUP), ModelDisk::new());
    let running = InProcess::start_on(&site, START, Arc::new(disk.clone()));
    let tcp = listener(running.address(), "tcp");
    disk.set_full(true);
    let mut stream = TcpStream::connect(tcp).unwrap();
    let mut sent = 0;
    let line = format!("<14>Nov 22 06:55:46 t app: {}\n", "x".repeat(5000));
    let mut send = || {
        stream.write_all(line.as_bytes()).unwrap();
        sent += line.len() as u64;
    };
    eventually("nothing is taken any more", || {
        send();
        http::get(running.address(), "/readyz").status == 503
    });
    send();
    drop(stream);
    running.drain();
    let mut reader = Reader::open(Arc::new(disk), &site.data().join("journal"), 0).unwrap();
    let (mut journaled, mut lost) = (0, 0);
    while let Some(frame) = reader.next().unwrap() {
        match record(&frame).entry {
            Entry::Batch(batch) => journaled += batch.source.taken().unwrap().bytes,
            Entry::Loss(loss) if loss.reason == LossReason::NoSpace => lost += loss.bytes,
            _ => {}
        }
    }
    assert!(lost > 0);
    assert_eq!(journaled + lost, sent);
}

#[test]
fn hosts_beyond_the_limit_share_a_stream_and_it_is_said() {
    let site = Site::new(GROUP);
    let up = Up::start(&site);
    let line = |host: usize| format!("<14>Nov 22 06:55:46 h{host} app: x\n");
    let lines = (0..1005).map(line).collect::<Vec<_>>().concat();
    send_datagrams(listener(up.address, "udp"), &[b""]);
    send_stream(listener(up.address, "tcp"), lines.as_bytes());
    up.wait_for_events("net/syslog", 1005);
    let rows = sources(up.address);
    assert_eq!(row(&rows, "(other)")["events"], 5);
    assert_eq!(row(&rows, "h999")["events"], 1);
    up.wait_for_log("more than 1000 hosts send syslog");
    up.stop();
}

/// Over TLS and UDP, from one address of this machine only: 127.0.0.2 is a stranger.
const GUARDED: &str = "[log_groups.\"net/syslog\"]\nsyslog = { listen = \"127.0.0.1:0\", transport = [\"tls\", \"udp\"], \
    tls = { certificate = \"server.pem\", key = \"server.key\" }, allow = \"127.0.0.1\" }\n";

/// A connection from this address.
fn connect_from(from: &str, to: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
        socket.connect(to).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream
}

#[test]
fn over_tls_those_who_are_allowed_are_heard_and_others_are_turned_away_and_counted() {
    let site = Site::new(GUARDED);
    let authority = Authority::new();
    authority.sign(&site);
    let up = Up::start(&site);
    let (tls, udp) = (listener(up.address, "tls"), listener(up.address, "udp"));
    let silent = TcpStream::connect(tls).unwrap();
    // Whoever only writes and closes at once has said everything.
    let messages: Vec<String> =
        (0..20_000).map(|number| format!("<14>Nov 22 06:55:46 h app: {number}\nof two lines")).collect();
    let counted: Vec<String> = messages.iter().map(|it| format!("{} {it}", it.len())).collect();
    let mut sender = authority.connect(tls).unwrap();
    sender.write_all(counted.concat().as_bytes()).unwrap();
    sender.conn.send_close_notify();
    sender.flush().unwrap();
    drop(sender);
    send_datagrams(udp, &[b"<14>Nov 22 06:55:46 h app: known"]);
    up.wait_for_events("net/syslog", 20_001);

    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    stranger.send_to(b"<14>Nov 22 06:55:46 h app: strange", udp).unwrap();
    let mut rest = Vec::new();
    let _ = connect_from("127.0.0.2", tls).read_to_end(&mut rest);
    assert_eq!(rest, b"");
    let mut plain = TcpStream::connect(tls).unwrap();
    plain.write_all(b"<14>Nov 22 06:55:46 h app: in the clear\n").unwrap();
    let _ = plain.read_to_end(&mut rest);
    let refused = |name: String| row(&sources(up.address), &name)["refused"].clone();
    eventually("all are counted", || {
        refused(format!("tls://{tls}")) == json!({ "network": 1, "handshake": 1 })
            && refused(format!("udp://{udp}")) == json!({ "network": 1 })
    });
    let metric = |reason| {
        up.metric(&format!("watchbell_syslog_refused_total{{log_group=\"net/syslog\",reason=\"{reason}\"}}"))
    };
    assert_eq!((metric("network"), metric("handshake")), (2, 1));
    up.wait_for_log("its network is not in log_groups.\"net/syslog\".syslog.allow");
    let (_, table, _) = said(&run(&site, &["sources", "--address", &up.address.to_string()]));
    assert!(table.contains(&format!("tls://{tls} (2 refused)")), "{table}");
    drop(silent);
    up.stop();
    let batches = batches(&site.data());
    let of = |wanted: Transport| {
        let is_it =
            |source: &Source| matches!(source, Source::Syslog { transport, .. } if *transport == wanted);
        let wanted = batches.iter().filter(|(_, _, batch)| is_it(&batch.source));
        wanted.flat_map(|(_, _, batch)| batch.events().map(|it| it.message.to_owned())).collect::<Vec<_>>()
    };
    assert!(of(Transport::Tls) == messages);
    assert_eq!(of(Transport::Udp), ["<14>Nov 22 06:55:46 h app: known"]);
}

#[test]
fn handshakes_that_never_end_hold_their_places_for_a_bounded_time() {
    let site = Site::new(GUARDED);
    let authority = Authority::new();
    authority.sign(&site);
    let up = Up::start(&site);
    let tls = listener(up.address, "tls");
    let all_places: Vec<TcpStream> = (0..256).map(|_| TcpStream::connect(tls).unwrap()).collect();
    up.wait_for_log("256 connections are open");
    // Waits in the kernel until their time is over.
    authority.connect(tls).unwrap().write_all(b"32 <14>Nov 22 06:55:46 h app: heard").unwrap();
    up.wait_for_events("net/syslog", 1);
    let refused = row(&sources(up.address), &format!("tls://{tls}"))["refused"]["handshake"].as_u64();
    assert!(refused > Some(0), "{refused:?}");
    drop(all_places);
    up.stop();
}

#[test]
fn a_reload_changes_who_is_heard_and_under_which_certificate() {
    let site = Site::new(GUARDED);
    let (old, new) = (Authority::new(), Authority::new());
    old.sign(&site);
    let running = InProcess::start(&site, START);
    let (tls, udp) = (listener(running.address(), "tls"), listener(running.address(), "udp"));
    let mut before = old.connect(tls).unwrap();

    site.write("server.pem", "not a certificate\n");
    let error = running.reload(&site).unwrap_err().to_string();
    assert!(error.contains("server.pem: no certificate in PEM is in this file"), "{error}");
    old.connect(tls).unwrap();

    new.sign(&site);
    site.configure(&GUARDED.replace("allow = \"127.0.0.1\"", "allow = [\"127.0.0.1\", \"127.0.0.2\"]"));
    running.reload(&site).unwrap();
    assert!(old.connect(tls).is_err());
    new.connect(tls).unwrap().write_all(b"30 <14>Nov 22 06:55:46 h app: new").unwrap();
    before.write_all(b"30 <14>Nov 22 06:55:46 h app: old").unwrap();
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    stranger.send_to(b"<14>Nov 22 06:55:46 h app: no stranger any more", udp).unwrap();
    running.wait_for_events("net/syslog", 3);

    site.configure(GUARDED);
    running.reload(&site).unwrap();
    stranger.send_to(b"<14>Nov 22 06:55:46 h app: a stranger again", udp).unwrap();
    let refused = || row(&sources(running.address()), &format!("udp://{udp}"))["refused"]["network"].clone();
    eventually("it is turned away", || refused() == 1);
    running.drain();
}

#[test]
fn a_certificate_that_cannot_be_used_for_syslog_keeps_it_from_starting() {
    let site = Site::new(GUARDED);
    let (code, _, stderr) = said(&run(&site, &["up"]));
    assert!(code == Some(78) && stderr.contains("server.pem"), "{stderr}");
    assert!(!site.data().exists(), "nothing was changed on disk");
}
