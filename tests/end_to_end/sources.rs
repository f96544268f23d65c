//! The ledger: bytes read = bytes journaled + bytes dropped + bytes skipped, and `watchbell sources` shows it.

use serde_json::Value;
use watchbell_model::LINE_BYTES_MAX;

use crate::support::eventually;
use crate::support::process::{Up, run, said};
use crate::support::records::batches;
use crate::support::site::Site;

const GROUPS: &str =
    "[log_groups.app]\nfiles = [\"*.log\"]\n[log_groups.late]\nfiles = [\"late.txt\"]\nstart = \"end\"\n";

fn sources(site: &Site, up: &Up, more: &[&str]) -> Vec<Value> {
    let address = up.address.to_string();
    let arguments = [&["sources", "--address", &address, "--format", "json"], more].concat();
    let (code, stdout, stderr) = said(&run(site, &arguments));
    assert_eq!(code, Some(0), "{stderr}");
    let answer: Value = serde_json::from_str(&stdout).unwrap();
    answer["sources"].as_array().unwrap().clone()
}

fn sum(values: &Value) -> u64 {
    values.as_object().unwrap().values().map(|value| value.as_u64().unwrap()).sum()
}

/// Every source's books balance, and all of them together are these bytes.
fn assert_balanced(sources: &[Value], bytes: u64) {
    let mut read = 0;
    for source in sources {
        let number = |key: &str| source[key].as_u64().unwrap();
        let settled = number("journaled_bytes") + sum(&source["dropped_bytes"]) + number("skipped_bytes");
        assert_eq!(number("read_bytes"), settled, "{source}");
        read += number("read_bytes");
    }
    assert_eq!(read, bytes);
}

#[test]
fn the_ledger_balances_through_cut_lines_skipped_lines_rotation_and_kill_9() {
    let site = Site::new(GROUPS);
    site.append("late.txt", "skipped\n");
    site.append("a.log", "first\r\nsecond\n");
    let up = Up::start(&site);
    up.wait_for_events("app", 2);
    let long = vec![b'x'; LINE_BYTES_MAX + 1000];
    site.append("a.log", [long.as_slice(), b"\nafter\n"].concat());
    up.wait_for_events("app", 4);
    site.append("late.txt", "new\n");
    up.wait_for_events("late", 1);
    site.rename("a.log", "a.log.1");
    site.append("a.log", "next\n");
    up.wait_for_events("app", 5);
    up.kill();
    site.append("a.log", "while nobody looked\n");
    let up = Up::start(&site);
    up.wait_for_events("app", 6);
    let bytes =
        ["a.log", "a.log.1", "late.txt"].map(|name| std::fs::metadata(site.path(name)).unwrap().len());
    let found = sources(&site, &up, &[]);
    assert_balanced(&found, bytes.iter().sum());
    let of = |group: &str| found.iter().find(|it| it["log_group"] == group).unwrap();
    assert_eq!(of("app")["dropped_bytes"]["line_too_long"], 1000);
    assert_eq!((&of("app")["state"], &of("app")["lag_bytes"]), (&Value::from("following"), &Value::from(0)));
    assert_eq!((&of("late")["skipped_bytes"], &of("late")["events"]), (&Value::from(8), &Value::from(1)));
    let total = |name: &str, labels: &str| {
        up.metric(&format!("watchbell_source_{name}_bytes_total{{log_group=\"app\"{labels}}}"))
    };
    let dropped = total("dropped", ",reason=\"line_too_long\"");
    assert_eq!((total("read", ""), dropped), (total("journaled", "") + dropped, 1000));
    up.stop();
    // The books say what the events themselves say: text, line ends (one of them CRLF), and nothing twice.
    let journaled: u64 = batches(&site.data())
        .iter()
        .filter(|(_, _, batch)| batch.group.as_str() == "app")
        .map(|(_, _, batch)| batch.message_bytes() + batch.len() as u64)
        .sum();
    assert_eq!(of("app")["journaled_bytes"].as_u64().unwrap(), journaled + 1);
}

#[test]
fn a_file_is_shown_as_it_is() {
    let site = Site::new(GROUPS);
    site.append("a.log", "first\n");
    site.append("b.log", "first\n");
    site.append("c.log", b"\x7fELF\x02\x01\x01\0\0\0\xff\xfe\n");
    let up = Up::start(&site);
    up.wait_for_events("app", 2);
    site.rename("a.log", "elsewhere");
    let open = std::fs::File::open(site.path("b.log")).unwrap();
    std::fs::remove_file(site.path("b.log")).unwrap();
    let states = |more: &[&str]| {
        let found = sources(&site, &up, more);
        let state = |it: &Value| {
            let path = it["path"].as_str().unwrap();
            (path[path.len() - 5..].to_owned(), it["state"].as_str().unwrap().to_owned())
        };
        found.iter().map(state).collect::<Vec<_>>()
    };
    let expected = [("a.log", "rotated"), ("b.log", "deleted"), ("c.log", "error")];
    let expected: Vec<_> =
        expected.iter().map(|(path, state)| ((*path).to_owned(), (*state).to_owned())).collect();
    eventually("states are told", || states(&["--log-group", "ap*"]) == expected);
    drop(open);
    let (code, stdout, _) = said(&run(&site, &["sources", "--address", &up.address.to_string()]));
    assert_eq!(code, Some(0));
    assert!(stdout.starts_with("LOG GROUP") && stdout.contains("deleted but open"), "{stdout}");
    assert!(stdout.contains("c.log (holds no text)"), "{stdout}");
    up.stop();
}

#[test]
fn nobody_to_ask_is_unavailable() {
    let site = Site::new(GROUPS);
    let (code, _, stderr) = said(&run(&site, &["sources", "--address", "127.0.0.1:9"]));
    assert_eq!(code, Some(69));
    assert!(stderr.contains("is watchbell up running?"), "{stderr}");
}
