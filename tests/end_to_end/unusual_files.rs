//! Files with content that no log should have: each has a declared treatment, and its neighbours lose nothing.

use std::path::Path;

use watchbell_model::{EventFlags, LINE_BYTES_MAX};

use crate::support::eventually;
use crate::support::process::Up;
use crate::support::records::{archived, messages};
use crate::support::site::Site;

const GROUP: &str = "[log_groups.\"odd/files\"]\nfiles = [\"logs/*\"]\n";

fn site() -> Site {
    let site = Site::new(GROUP);
    std::fs::create_dir(site.path("logs")).unwrap();
    site
}

fn lost(up: &Up, what: &str, reason: &str) -> u64 {
    up.metric(&format!("watchbell_{what}_total{{log_group=\"odd/files\",reason=\"{reason}\"}}"))
}

#[test]
fn line_ends_nul_and_bytes_that_are_not_utf_8_become_events_with_flags() {
    let site = site();
    site.append("logs/a.log", b"crlf\r\n\r\ntwo cr\r\r\nnul \0 here\nlone \r cr\n");
    // NUL among bytes that are not UTF-8 would make it a binary file.
    site.append("logs/b.log", b"latin-1 \xe9t\xe9\n\xff\xfe\n");
    let up = Up::start(&site);
    up.wait_for_events("odd/files", 7);
    up.stop();
    let events = archived(&site.path("data/archive"));
    let seen: Vec<_> = events.iter().map(|event| (event.message.as_str(), event.flags)).collect();
    let (none, repaired) = (EventFlags::default(), EventFlags::REPAIRED);
    let expected = [
        ("crlf", none),
        ("", none),
        ("two cr\r", none),
        ("nul \0 here", none),
        ("lone \r cr", none),
        ("latin-1 \u{fffd}t\u{fffd}", repaired),
        ("\u{fffd}\u{fffd}", repaired),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_line_of_20_megabytes_is_cut_and_counted_and_its_neighbours_are_whole() {
    const LONG: usize = 20_000_000;
    let site = site();
    let mut content = b"before\n".to_vec();
    content.resize(content.len() + LONG, b'x');
    content.extend(b"\nafter\n");
    site.append("logs/a.log", content);
    let up = Up::start(&site);
    up.wait_for_events("odd/files", 3);
    eventually("the loss is counted", || lost(&up, "losses", "line_too_long") == 1);
    assert_eq!(lost(&up, "lost_bytes", "line_too_long"), (LONG - LINE_BYTES_MAX) as u64);
    up.stop();
    let events = archived(&site.path("data/archive"));
    let seen: Vec<_> = events.iter().map(|event| (event.message.len(), event.flags)).collect();
    assert_eq!(
        seen,
        [(6, EventFlags::default()), (LINE_BYTES_MAX, EventFlags::CUT), (5, EventFlags::default())]
    );
}

#[test]
fn binary_and_compressed_files_are_refused_once_and_text_beside_them_is_read() {
    let site = site();
    site.append("logs/a.log.1.packed", b"\x1f\x8b\x08\0\0\0\0\0\0\x03text\n");
    site.append("logs/program", b"\x7fELF\x02\x01\x01\0\0\0\xff\xfe\n");
    site.append("logs/z.log", "text\n");
    std::fs::create_dir(site.path("logs/folder")).unwrap();
    let up = Up::start(&site);
    up.wait_for_events("odd/files", 1);
    eventually("both refusals are counted", || lost(&up, "losses", "not_text") == 2);
    site.append("logs/program", b"more\n");
    site.append("logs/z.log", "more text\n");
    up.wait_for_events("odd/files", 2);
    assert_eq!(lost(&up, "losses", "not_text"), 2);
    up.stop();
    assert_eq!(messages(&site.data()), ["text", "more text"]);
}

#[test]
fn compressed_neighbours_are_said_once_and_left_alone() {
    let site = site();
    for name in ["a.log.1.gz", "a.log.2.zst", "a.log.3.xz", "a.log.4.bz2", "a.log.5.zip"] {
        site.append(&format!("logs/{name}"), "looks like text\n");
    }
    site.append("logs/z.log", "text\n");
    let up = Up::start(&site);
    up.wait_for_events("odd/files", 1);
    site.append("logs/b.log.1.gz", "more that looks like text\n");
    site.append("logs/z.log", "more text\n");
    up.wait_for_events("odd/files", 2);
    assert_eq!(lost(&up, "losses", "not_text"), 0);
    let said =
        up.log().iter().filter(|event| event["message"] == "compressed files are not followed").count();
    assert_eq!(said, 1);
    up.stop();
    assert_eq!(messages(&site.data()), ["text", "more text"]);
}

#[test]
fn an_empty_file_and_a_folder_that_comes_later_are_no_trouble() {
    let site = Site::new("[log_groups.\"odd/files\"]\nfiles = [\"logs/*/*.log\"]\n");
    let up = Up::start(&site);
    up.wait_for_log("no file matches yet");
    std::fs::create_dir_all(site.path("logs/one")).unwrap();
    site.append("logs/one/a.log", "");
    site.append("logs/one/b.log", "b\n");
    up.wait_for_events("odd/files", 1);
    site.append("logs/one/a.log", "a\n");
    up.wait_for_events("odd/files", 2);
    up.stop();
    assert_eq!(messages(&site.data()), ["b", "a"]);
}

#[test]
fn log_content_chooses_no_path_in_the_archive() {
    let site = Site::new(&format!("{GROUP}app = \"../../escape\"\n"));
    std::fs::create_dir(site.path("logs")).unwrap();
    site.append("logs/a.log", "{\"level\":\"../../../error\",\"app\":\"/etc\"}\n");
    let up = Up::start(&site);
    up.wait_for_events("odd/files", 1);
    up.stop();
    let inside = |path: &Path| path.starts_with(site.path("data")) || path.parent() == Some(&site.path(""));
    let outside: Vec<_> =
        site.files().into_iter().map(|(path, _)| path).filter(|path| !inside(path)).collect();
    assert_eq!(outside, [site.path("logs/a.log")]);
    assert_eq!(messages(&site.data()).len(), 1);
}
