//! What must not be stored is stored nowhere: neither in the journal nor in the archive, snapshots, logs or messages.

use std::ffi::OsStr;

use watchbell_model::{EventFlags, LINE_BYTES_MAX};

use crate::support::http::{get, request};
use crate::support::process::Up;
use crate::support::receiver::Receiver;
use crate::support::records::archived;
use crate::support::site::Site;

/// Marked values that must appear nowhere.
const MARKED: [&str; 8] = [
    "4111 1111 1111 1111",
    "4111111111111111",
    "marked-bearer-token-1",
    "AKIAMARKEDMARKEDMARK",
    "marked-password",
    "marked.person@example.com",
    "marked-session",
    "marked-value-of-a-secret",
];

fn lines() -> Vec<String> {
    let [spaced, card, bearer, aws, password, email, session, secret] = MARKED;
    [
        format!("ERROR paid with {spaced} by {email}"),
        format!("{{\"level\":\"ERROR\",\"card\":{card},\"text\":\"it was {card}\"}}"),
        format!("ERROR Authorization: Bearer {bearer} and key {aws}"),
        format!("ERROR cannot reach postgres://shop:{password}@db/shop session={session}"),
        format!("ERROR a program printed {secret}, alas"),
        "ERROR nothing to hide".to_owned(),
    ]
    .to_vec()
}

fn body(receiver: &Receiver) -> String {
    format!(
        "[redaction]\npresets = [\"cards\", \"tokens\", \"emails\"]\n[redaction.patterns]\nsession = 'session=([\\w-]+)'\n\
         [log_groups.app]\nfiles = [\"*.log\"]\n[log_groups.traces]\nfiles = [\"*.trace\"]\nmultiline = \"java\"\n\
         [log_groups.http]\n[metric_filters.errors]\nlog_group = \"app\"\npattern = \"ERROR\"\n\
         metric = {{ namespace = \"Shop\", name = \"Errors\" }}\n[alarms.errors]\nmetric_filter = \"errors\"\n\
         period = \"60s\"\ncondition = \">= 5\"\nnotify = [\"ops\"]\n\
         [topics.ops]\nwebhook = {{ url = \"{}\", signing_key = {{ env = \"MARKED_KEY\" }} }}\n",
        receiver.url()
    )
}

#[test]
fn marked_values_appear_in_no_file_and_no_message() {
    let receiver = Receiver::start();
    let site = Site::new(&body(&receiver));
    let environment = [("MARKED_KEY", OsStr::new(MARKED[7]))];
    site.append("app.log", "first\n");
    site.append("stack.trace", "first\n");
    let up = Up::start_with(&site, &environment);
    up.wait_for_events("app", 1);
    let text = lines().join("\n") + "\n";
    site.append("app.log", &text);
    // One by one they take another way: with CRLF, with bytes that are not UTF-8, across the cut of a line that is too long.
    site.append("crlf.log", text.replace('\n', "\r\n"));
    site.append("bytes.log", [b"\xff\n".as_slice(), text.as_bytes()].concat());
    site.append("long.log", format!("{} {}{}\n", "x".repeat(LINE_BYTES_MAX - 8), MARKED[7], "y".repeat(50)));
    site.append(
        "stack.trace",
        format!("ERROR it broke\njava.lang.Error: {}\n\tat {}\nINFO\n", MARKED[7], MARKED[5]),
    );
    up.wait_for_events("app", 1 + 3 * 6 + 2);
    let answer = request(up.address, "POST", "/ingest/http", &[], text.as_bytes()).unwrap();
    assert_eq!((answer.status, &answer.json()["redacted_lines"]), (200, &5.into()), "{}", answer.body);
    let posts = receiver.wait_for(1);
    // A kill leaves what a stop would tidy up; a restart writes a snapshot.
    up.kill();
    let up = Up::start_with(&site, &environment);
    let metrics = get(up.address, "/metrics").body;
    for line in ["redacted_events_total{log_group=\"app\"} 16", "redacted_events_total{log_group=\"http\"} 5"]
    {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    let log = up.stderr();
    up.stop();
    let written = site
        .files()
        .into_iter()
        .filter(|(path, _)| path.extension().is_none_or(|it| it != "log" && it != "trace"));
    let mut texts: Vec<(String, Vec<u8>)> =
        written.map(|(path, bytes)| (path.display().to_string(), bytes)).collect();
    texts.extend(posts.into_iter().map(|post| ("a message".to_owned(), post.body)));
    texts.push(("the log".to_owned(), log.into_bytes()));
    // Objects of the archive are compressed: what is in them is read.
    let events = archived(&site.path("data/archive"));
    texts.extend(events.iter().map(|event| (event.message.clone(), event.message.clone().into_bytes())));
    for (name, bytes) in &texts {
        for marked in MARKED {
            let stands = bytes.windows(marked.len()).any(|window| window == marked.as_bytes());
            assert!(!stands, "{marked} stands in {name}");
        }
    }
    assert!(
        texts.iter().any(|(name, _)| name.contains("journal"))
            && texts.iter().any(|(name, _)| name.contains("snapshot"))
    );
    let of_app: Vec<_> =
        events.iter().filter(|event| event.log_group == "app" && event.stream.ends_with("app.log")).collect();
    let expected = [
        "first",
        "ERROR paid with [redacted:card] by [redacted:email]",
        "{\"level\":\"ERROR\",\"card\":\"[redacted:card]\",\"text\":\"it was [redacted:card]\"}",
        "ERROR Authorization: Bearer [redacted:token] and key [redacted:token]",
        "ERROR cannot reach postgres://shop:[redacted:token]@db/shop session=[redacted:session]",
        "ERROR a program printed [redacted:secret], alas",
        "ERROR nothing to hide",
    ];
    let mut found: Vec<_> = of_app.iter().map(|event| event.message.as_str()).collect();
    found.sort_by_key(|message| expected.iter().position(|known| known == message));
    assert_eq!(found, expected);
    for event in of_app {
        assert_eq!(
            event.flags.has(EventFlags::REDACTED),
            event.message.contains("[redacted:"),
            "{}",
            event.message
        );
    }
}
