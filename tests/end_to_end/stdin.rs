//! Standard input: `… | watchbell up`.

use std::io::Write;

use serde_json::Value;
use watchbell_model::{EventFlags, LINE_BYTES_MAX};

use crate::support::input::{lf, pieces, sshd};
use crate::support::process::Up;
use crate::support::records::batches;
use crate::support::site::Site;
use crate::support::{eventually, http};

const GROUP: &str = "[log_groups.pipe]\nstdin = true\n";

fn events(site: &Site) -> Vec<(String, EventFlags)> {
    let all = batches(&site.data());
    let events = all.iter().flat_map(|(_, _, batch)| {
        assert_eq!(batch.stream, "stdin");
        batch.events().map(|it| (it.message.to_owned(), it.flags)).collect::<Vec<_>>()
    });
    events.collect()
}

fn row(up: &Up) -> Value {
    http::get(up.address, "/sources").json()["sources"][0].clone()
}

#[test]
fn lines_come_once_and_in_order_and_after_the_end_the_process_goes_on_serving() {
    let site = Site::new(GROUP);
    let (up, mut input) = Up::start_piped(&site);
    let lines = sshd(0..20_000);
    let bytes = [lf(&lines), b"the last has no end".to_vec()].concat();
    for piece in pieces(&bytes, 5000) {
        input.write_all(piece).unwrap();
    }
    assert_eq!(row(&up)["state"], "following");
    drop(input);
    up.wait_for_events("pipe", 20_001);
    up.wait_for_log("standard input has ended; watchbell goes on serving");
    eventually("it is told", || row(&up)["state"] == "ended");
    let row = row(&up);
    assert_eq!(
        (&row["read_bytes"], &row["journaled_bytes"]),
        (&Value::from(bytes.len()), &Value::from(bytes.len()))
    );
    assert_eq!(http::post(up.address, "pipe", &[], b"over HTTP\n").status, 200);
    up.stop();
    let found: Vec<String> = batches(&site.data())
        .iter()
        .filter(|(_, _, batch)| batch.stream == "stdin")
        .flat_map(|(_, _, batch)| batch.events().map(|it| it.message.to_owned()).collect::<Vec<_>>())
        .collect();
    assert!(found[..20_000] == lines[..] && found[20_000] == "the last has no end", "{}", found.len());
}

#[test]
fn long_lines_rests_and_stack_traces_are_as_in_files() {
    let site = Site::new(&format!("{GROUP}multiline = {{ preset = \"python\", timeout = \"100ms\" }}\n"));
    let (up, mut input) = Up::start_piped(&site);
    let long = vec![b'x'; 3 * LINE_BYTES_MAX];
    input.write_all(&[long.as_slice(), b"\nERROR it broke\nTraceback (most recent call last):\n  File \"a.py\", line 1\nKeyError: 1\n"].concat()).unwrap();
    up.wait_for_events("pipe", 2);
    input.write_all(b"INFO half").unwrap();
    up.wait_for_events("pipe", 3);
    input.write_all(b" a line\nINFO next\n").unwrap();
    up.wait_for_events("pipe", 5);
    assert_eq!(row(&up)["dropped_bytes"]["line_too_long"], 2 * LINE_BYTES_MAX);
    input.write_all(b"INFO in flight").unwrap();
    // It is taken when the process is told to stop, whether or not it had been quiet.
    up.stop();
    let none = EventFlags::default();
    let found: Vec<_> = events(&site)
        .into_iter()
        .map(|(text, flags)| (text.chars().take(30).collect::<String>(), flags))
        .collect();
    assert_eq!(
        found,
        [
            ("x".repeat(30), EventFlags::CUT),
            ("ERROR it broke\nTraceback (most".to_owned(), none),
            ("INFO half".to_owned(), none),
            (" a line".to_owned(), EventFlags::CONTINUED),
            ("INFO next".to_owned(), none),
            ("INFO in flight".to_owned(), none),
        ]
    );
}
