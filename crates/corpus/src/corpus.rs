//! Logs made up for measuring: mixed text, access lines and JSON, the same for the same seed.
//!
//! Shape. *mixed*: bursts of 200 lines of one of eight kinds (sshd, kernel and systemd, HDFS-like, a Java application with
//! stack traces, a proxy, a cluster agent, a database, a message broker), every fifth burst combined access lines;
//! about 120 bytes a line; errors in 1 to 5 % of lines, numbers and addresses different in each. *access*: combined
//! access lines, 2 % of status 5xx. *json*: about 366 bytes and 17 keys a record, two nested objects and an array, level
//! ERROR in 1 %.

use std::fmt::Write;

use crate::random::Random;

/// How large a batch is: what a busy collector hands on.
const BATCH_BYTES: usize = 256 << 10;

/// Lines that are handed on together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The lines, each with its line feed.
    pub text: String,
    /// Where the lines end in it: at their line feeds.
    pub ends: Vec<u32>,
}

/// Logs in batches.
#[derive(Debug)]
pub struct Corpus {
    /// What they are like, for people.
    pub name: &'static str,
    /// In order; about 256 KiB each.
    pub batches: Vec<Batch>,
}

impl Corpus {
    /// Text of eight kinds and access lines, at least so many bytes.
    pub fn mixed(bytes: usize, seed: u64) -> Self {
        Self::of("mixed text", bytes, seed, |random, line, number| match number / 200 % 10 {
            4 | 9 => access(random, line),
            burst => text(random, line, burst),
        })
    }

    /// Combined access lines, at least so many bytes.
    pub fn access(bytes: usize, seed: u64) -> Self {
        Self::of("access lines", bytes, seed, |random, line, _| access(random, line))
    }

    /// JSON records, at least so many bytes.
    pub fn json(bytes: usize, seed: u64) -> Self {
        Self::of("JSON", bytes, seed, json)
    }

    /// The first lines, about so many bytes; 20 lines at least.
    #[must_use]
    pub fn slice(&self, bytes: usize) -> Corpus {
        let first = &self.batches[0];
        let batches = if bytes < first.text.len() {
            let lines = first.ends.partition_point(|&end| (end as usize) < bytes).max(20);
            let ends = first.ends[..lines].to_vec();
            vec![Batch { text: first.text[..=ends[lines - 1] as usize].to_owned(), ends }]
        } else {
            self.batches.iter().take(bytes / first.text.len()).cloned().collect()
        };
        Corpus { name: self.name, batches }
    }

    fn of(
        name: &'static str,
        bytes: usize,
        seed: u64,
        write: impl Fn(&mut Random, &mut String, u64),
    ) -> Self {
        let mut random = Random::new(seed);
        let mut batches = Vec::new();
        let mut batch = Batch { text: String::new(), ends: Vec::new() };
        let mut total = 0;
        let mut number = 0;
        while total < bytes {
            write(&mut random, &mut batch.text, number);
            number += 1;
            batch.ends.push(u32::try_from(batch.text.len()).expect("a small batch"));
            batch.text.push('\n');
            if batch.text.len() >= BATCH_BYTES {
                total += batch.text.len();
                batches.push(std::mem::replace(&mut batch, Batch { text: String::new(), ends: Vec::new() }));
            }
        }
        Self { name, batches }
    }

    /// Bytes of text, line feeds included.
    pub fn bytes(&self) -> usize {
        self.batches.iter().map(|batch| batch.text.len()).sum()
    }

    /// Lines in it.
    pub fn lines(&self) -> usize {
        self.batches.iter().map(|batch| batch.ends.len()).sum()
    }
}

macro_rules! put {
    ($line:expr, $($argument:tt)*) => { write!($line, $($argument)*).expect("a string takes all") };
}

fn clock(random: &mut Random) -> String {
    format!("{:02}:{:02}:{:02}", random.below(24), random.below(60), random.below(60))
}

fn address(random: &mut Random) -> String {
    format!("{}.{}.{}.{}", random.below(223) + 1, random.below(256), random.below(256), random.below(254) + 1)
}

const USERS: [&str; 6] = ["root", "admin", "oracle", "git", "backup", "jenkins"];
const CLASSES: [&str; 6] = [
    "shop.cart.CartService",
    "shop.billing.InvoiceWriter",
    "core.pool.ConnectionPool",
    "core.http.Dispatcher",
    "search.index.Merger",
    "auth.token.TokenStore",
];

fn text(random: &mut Random, line: &mut String, kind: u64) {
    let time = clock(random);
    let (number, other) = (random.below(100_000), random.below(100_000_000));
    match kind {
        0 if random.chance(30) => put!(
            line,
            "Mar 12 {time} node-{:02} sshd[{number}]: Failed password for invalid user {} from {} port {} ssh2",
            number % 40,
            random.of(&USERS),
            address(random),
            other % 60000
        ),
        0 => put!(
            line,
            "Mar 12 {time} node-{:02} sshd[{number}]: pam_unix(sshd:session): session opened for user {} by (uid=0)",
            number % 40,
            random.of(&USERS)
        ),
        1 if random.chance(3) => put!(
            line,
            "Mar 12 {time} node-{:02} kernel: [{other}.{number:06}] Out of memory: Killed process {number} (worker) total-vm:{other}kB",
            number % 40
        ),
        1 => put!(
            line,
            "Mar 12 {time} node-{:02} systemd[1]: Started Session {number} of user {}, unit run-r{other:08x}.scope",
            number % 40,
            random.of(&USERS)
        ),
        2 => put!(
            line,
            "26031{} {number:06} {} INFO dfs.DataNode$PacketResponder: Received block blk_{other}{number} of size {other} from /{}",
            number % 9,
            number % 300,
            address(random)
        ),
        3 if random.chance(3) => put!(
            line,
            "2026-03-12 {time},{:03} ERROR [exec-{}] {} - request {other:08x} failed: java.io.IOException: connection reset by peer",
            number % 1000,
            number % 64,
            random.of(&CLASSES)
        ),
        3 if random.chance(6) => put!(
            line,
            "\tat {}.handle({}.java:{})",
            random.of(&CLASSES),
            random.of(&["Server", "Handler", "Session"]),
            number % 900
        ),
        3 => put!(
            line,
            "2026-03-12 {time},{:03} INFO  [exec-{}] {} - request {other:08x} done in {} ms, {} rows",
            number % 1000,
            number % 64,
            random.of(&CLASSES),
            number % 4000,
            number % 77
        ),
        5 => put!(
            line,
            "[03.12 {time}] browser.exe - proxy.example.com:5070 close, {number} bytes ({} KB) sent, {other} bytes received, lifetime 00:{:02}",
            number / 1024,
            number % 60
        ),
        6 if random.chance(2) => put!(
            line,
            "W0312 {time}.{number:06} 2417 pod_workers.go:{}] Error syncing pod {other:08x}-{:04x}, skipping: failed to start container \"api\": timeout",
            number % 900,
            number % 65536
        ),
        6 => put!(
            line,
            "I0312 {time}.{number:06} 2417 reconciler.go:{}] volume \"config-{other:08x}\" is attached to node \"node-{:02}\" pod \"api-{:05x}\"",
            number % 900,
            number % 40,
            number
        ),
        7 if random.chance(4) => put!(
            line,
            "2026-03-12 {time} UTC [{number}] ERROR:  deadlock detected while updating tuple ({},{}) in relation \"orders\"",
            number % 900,
            number % 70
        ),
        7 => put!(
            line,
            "2026-03-12 {time} UTC [{number}] LOG:  duration: {}.{:03} ms  statement: SELECT * FROM orders WHERE id = {other}",
            number % 90,
            number % 1000
        ),
        _ => put!(
            line,
            "[2026-03-12 {time},{:03}] INFO [Log partition=events-{}] Rolled new log segment at offset {other} in {} ms. (broker.Log)",
            number % 1000,
            number % 64,
            number % 90
        ),
    }
}

fn access(random: &mut Random, line: &mut String) {
    let status = if random.chance(2) {
        500 + random.below(4)
    } else {
        *random.of(&[&[200_u64][..], &[200], &[200], &[304], &[404], &[302]]).first().expect("one")
    };
    let path = random.of(&[
        "/",
        "/index.html",
        "/api/v1/items",
        "/api/v1/orders",
        "/static/app.css",
        "/login",
        "/search",
        "/images/logo.png",
    ]);
    let agent = random.of(&[
        "Mozilla/5.0 (X11; Linux x86_64)",
        "curl/8.5.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Firefox/115.0",
        "-",
    ]);
    put!(
        line,
        "{} - {} [12/Mar/2026:{} +0000] \"{} {path}?id={} HTTP/1.1\" {status} {} \"-\" \"{agent}\"",
        address(random),
        random.of(&["-", "-", "-", "alice", "bob"]),
        clock(random),
        random.of(&["GET", "GET", "GET", "POST", "PUT"]),
        random.below(100_000),
        random.below(100_000)
    );
}

pub(crate) const SERVICES: [&str; 12] = [
    "checkout", "payment", "catalog", "search", "cart", "auth", "mailer", "shipping", "invoice", "gateway",
    "pricing", "reviews",
];

fn json(random: &mut Random, line: &mut String, number: u64) {
    let level = match random.below(100) {
        0 => "ERROR",
        1..5 => "WARN",
        5..20 => "DEBUG",
        _ => "INFO",
    };
    let status = if level == "ERROR" {
        500 + random.below(4)
    } else {
        *random.of(&[&[200_u64][..], &[200], &[201], &[404]]).first().expect("one")
    };
    put!(
        line,
        "{{\"ts\":\"2026-03-12T{}.{:03}Z\",\"level\":\"{level}\",\"service\":\"{}\",\"msg\":\"request {} handled\",\"trace_id\":\"{:016x}\",",
        clock(random),
        random.below(1000),
        random.of(&SERVICES),
        number % 9973,
        random.next()
    );
    put!(
        line,
        "\"user\":{{\"id\":\"u-{}\",\"plan\":\"{}\"}},\"http\":{{\"method\":\"{}\",\"path\":\"/api/v{}/{}\",\"status\":{status},\"bytes\":{}}},",
        random.below(50_000),
        random.of(&["free", "pro", "team"]),
        random.of(&["GET", "POST"]),
        random.below(3),
        random.of(&SERVICES),
        random.below(100_000)
    );
    put!(
        line,
        "\"latency_ms\":{}.{},\"host\":\"node-{:02}\",\"region\":\"{}\",\"tags\":[\"canary\",\"blue\"],\"retry\":false,\"build\":\"{:07x}\"}}",
        random.below(2000),
        random.below(10),
        random.below(40),
        random.of(&["eu-1", "eu-2", "us-1"]),
        random.below(1 << 28)
    );
}
