//! Followed files: every line once, whatever happens to the file or to the process.

use std::os::unix::fs::symlink;

use watchbell_model::EventFlags;

use crate::support::eventually;
use crate::support::http::post;
use crate::support::input::{crlf_without_final_end, lf, pieces, sshd};
use crate::support::process::Up;
use crate::support::records::{archived, batches, messages};
use crate::support::site::{Site, append};

const GROUP: &str = "[log_groups.\"ssh/auth\"]\nfiles = [\"auth.log\"]\n";

/// A site with one line in `auth.log`; what is appended once that was read is new.
fn site(body: &str) -> Site {
    let site = Site::new(body);
    site.append("auth.log", "first\n");
    site
}

fn started(site: &Site) -> Up {
    let up = Up::start(site);
    up.wait_for_events("ssh/auth", 1);
    up
}

/// What must be in the archive: the first line and then these.
fn after_first(lines: &[String]) -> Vec<String> {
    std::iter::once("first".to_owned()).chain(lines.iter().cloned()).collect()
}

#[test]
fn a_file_that_grows_in_pieces_keeps_each_line_once_through_three_kills() {
    let site = site(GROUP);
    let lines = sshd(0..3000);
    let bytes = crlf_without_final_end(&lines);
    let log = site.path("auth.log");
    let mut up = Some(started(&site));
    let pieces = pieces(&bytes, 400);
    for (number, quarter) in pieces.chunks(pieces.len() / 4).enumerate() {
        // The file grows on while Watchbell is killed and started again.
        std::thread::scope(|scope| {
            scope.spawn(|| quarter.iter().for_each(|piece| append(&log, piece)));
            if number < 3 {
                up.take().unwrap().kill();
                up = Some(Up::start(&site));
            }
        });
    }
    eventually("the last line is accepted", || {
        batches(&site.data()).iter().map(|(_, _, batch)| batch.len()).sum::<usize>() == lines.len() + 1
    });
    up.unwrap().stop();
    assert_eq!(messages(&site.data()), after_first(&lines));
}

#[test]
fn lines_happen_when_they_say_in_the_zone_of_their_group() {
    let site = Site::new(
        "[log_groups.auth]\nfiles = [\"auth.log\"]\nparse = \"syslog\"\ntimestamp = { zone = \"Asia/Tokyo\" }\n\
         [log_groups.jobs]\nfiles = [\"jobs.log\"]\n\
         timestamp = { format = \"%Y-%m-%d %H:%M:%S\", after = \"] \", zone = \"Europe/Berlin\" }\n",
    );
    site.append(
        "auth.log",
        "2026-11-22T21:11:52.125+01:00 shop sshd[7]: x\nJan  1 00:30:00 shop sshd[7]: x\nno time\n",
    );
    site.append("jobs.log", "[main] 2026-07-01 12:00:00,978 x\n");
    let up = Up::start(&site);
    up.wait_for_events("auth", 3);
    up.wait_for_events("jobs", 1);
    let answer = post(up.address, "jobs", &[], b"[main] 2026-01-01 12:00:00 over HTTP\n");
    assert_eq!(answer.status, 200, "{}", answer.body);
    up.stop();
    let mut times: Vec<String> = Vec::new();
    for (_, arrival, batch) in batches(&site.data()) {
        let shown = batch.events().map(|event| match event.timestamp {
            Some(timestamp) if event.message.starts_with("Jan") => {
                assert!(timestamp.ms_since(arrival) <= 86_400_000, "{timestamp}");
                timestamp.to_string()[4..].to_owned()
            }
            timestamp => timestamp.map_or_else(|| "none".to_owned(), |timestamp| timestamp.to_string()),
        });
        times.extend(shown);
    }
    times.sort_unstable();
    let expected = [
        "-12-31T15:30:00.000Z",
        "2026-01-01T11:00:00.000Z",
        "2026-07-01T10:00:00.978Z",
        "2026-11-22T20:11:52.125Z",
        "none",
    ];
    assert_eq!(times, expected);
}

#[test]
fn rotation_by_renaming_loses_nothing_while_running() {
    let site = site(GROUP);
    let lines = sshd(0..900);
    let up = started(&site);
    for (number, part) in (1..).zip(lines.chunks(300)) {
        let (early, late) = part.split_at(200);
        site.append("auth.log", lf(early));
        // A file that came and went before anybody could look is nobody's to read.
        up.wait_for_events("ssh/auth", number * 300 - 99);
        site.rename("auth.log", "auth.log.1");
        // The program that logs has not noticed yet.
        site.append("auth.log.1", lf(late));
        site.append("auth.log", "");
        up.wait_for_events("ssh/auth", number * 300 + 1);
    }
    up.stop();
    let mut archived = messages(&site.data());
    archived.sort();
    let mut expected = after_first(&lines);
    expected.sort();
    assert_eq!(archived, expected);
}

#[test]
fn rotation_by_renaming_loses_nothing_while_stopped() {
    let site = site(GROUP);
    let lines = sshd(0..30);
    let up = started(&site);
    site.append("auth.log", lf(&lines[..10]));
    up.wait_for_events("ssh/auth", 11);
    up.stop();
    site.append("auth.log", lf(&lines[10..20]));
    site.rename("auth.log", "auth.log.1");
    site.append("auth.log", lf(&lines[20..]));
    let up = Up::start(&site);
    up.wait_for_events("ssh/auth", 31);
    up.stop();
    let mut archived = messages(&site.data());
    archived.sort();
    let mut expected = after_first(&lines);
    expected.sort();
    assert_eq!(archived, expected);
}

#[test]
fn a_glob_that_also_matches_rotated_files_reads_nothing_twice() {
    let site = site("[log_groups.\"ssh/auth\"]\nfiles = [\"auth.log*\"]\n");
    let up = started(&site);
    for number in 1..=3 {
        for older in (1..number).rev() {
            site.rename(&format!("auth.log.{older}"), &format!("auth.log.{}", older + 1));
        }
        site.rename("auth.log", "auth.log.1");
        site.append("auth.log", format!("after rotation {number}\n"));
        up.wait_for_events("ssh/auth", 1 + number);
    }
    // The oldest is compressed.
    site.append("auth.log.3.gz", b"\x1f\x8b\x08\0first\n");
    std::fs::remove_file(site.path("auth.log.3")).unwrap();
    up.wait_for_log("compressed files are not followed");
    up.kill();
    site.append("auth.log", "at last\n");
    let up = Up::start(&site);
    up.wait_for_events("ssh/auth", 5);
    up.stop();
    let mut archived = messages(&site.data());
    archived.sort();
    assert_eq!(archived, ["after rotation 1", "after rotation 2", "after rotation 3", "at last", "first"]);
}

#[test]
fn two_log_groups_may_follow_one_file_and_each_gets_every_line() {
    let site = site(&format!("{GROUP}[log_groups.\"copy/auth\"]\nfiles = [\"auth.*\"]\n"));
    let up = started(&site);
    up.wait_for_events("copy/auth", 1);
    site.append("auth.log", "second\n");
    up.wait_for_events("ssh/auth", 2);
    up.wait_for_events("copy/auth", 2);
    up.kill();
    site.append("auth.log", "third\n");
    let up = Up::start(&site);
    up.wait_for_events("ssh/auth", 3);
    up.wait_for_events("copy/auth", 3);
    up.stop();
    let events = archived(&site.path("data/archive"));
    for group in ["ssh/auth", "copy/auth"] {
        let of_group = events.iter().filter(|event| event.log_group == group);
        let texts: Vec<_> = of_group.map(|event| event.message.as_str()).collect();
        assert_eq!(texts, ["first", "second", "third"], "{group}");
    }
}

#[test]
fn truncation_is_counted_and_reading_goes_on() {
    let site = site(GROUP);
    let up = started(&site);
    site.append("auth.log", "second\n");
    up.wait_for_events("ssh/auth", 2);
    site.write("auth.log", "x\n");
    up.wait_for_events("ssh/auth", 3);
    let lost = "watchbell_losses_total{log_group=\"ssh/auth\",reason=\"truncated\"}";
    eventually("the truncation is counted", || up.metric(lost) == 1);
    site.append("auth.log", "y\n");
    up.wait_for_events("ssh/auth", 4);
    up.stop();
    assert_eq!(messages(&site.data()), ["first", "second", "x", "y"]);
}

#[test]
fn truncation_while_stopped_is_counted_too() {
    let site = site(GROUP);
    started(&site).stop();
    site.write("auth.log", "other\n");
    let up = Up::start(&site);
    up.wait_for_events("ssh/auth", 2);
    let lost = "watchbell_losses_total{log_group=\"ssh/auth\",reason=\"truncated\"}";
    assert_eq!(up.metric(lost), 1);
    up.stop();
    assert_eq!(messages(&site.data()), ["first", "other"]);
}

#[test]
fn a_file_and_a_link_that_come_later_are_found_and_a_second_name_is_not_read_twice() {
    let site = Site::new("[log_groups.\"ssh/auth\"]\nfiles = [\"logs/*.log\"]\n");
    std::fs::create_dir(site.path("logs")).unwrap();
    site.append("logs/a.log", "first\n");
    site.append("target.txt", "behind a link\n");
    let up = started(&site);
    site.append("logs/b.log", "later\n");
    symlink(site.path("target.txt"), site.path("logs/c.log")).unwrap();
    symlink(site.path("logs/a.log"), site.path("logs/d.log")).unwrap();
    up.wait_for_events("ssh/auth", 3);
    site.append("target.txt", "more behind it\n");
    site.append("logs/a.log", "second\n");
    up.wait_for_events("ssh/auth", 5);
    up.stop();
    let mut archived = messages(&site.data());
    archived.sort();
    assert_eq!(archived, ["behind a link", "first", "later", "more behind it", "second"]);
}

#[test]
fn an_unfinished_last_line_is_accepted_once_and_its_rest_is_a_continuation() {
    let site = site(GROUP);
    let up = started(&site);
    site.append("auth.log", "half");
    up.wait_for_events("ssh/auth", 2);
    site.append("auth.log", " and half\nwhole\nlast");
    up.wait_for_events("ssh/auth", 5);
    // Its end alone is no event.
    site.append("auth.log", "\nnext\n");
    up.wait_for_events("ssh/auth", 6);
    up.stop();
    let events = archived(&site.path("data/archive"));
    let seen: Vec<_> = events.iter().map(|event| (event.message.as_str(), event.flags)).collect();
    let none = EventFlags::default();
    let expected = [("first", none), ("half", none), (" and half", EventFlags::CONTINUED)];
    assert_eq!(seen[..3], expected);
    assert_eq!(seen[3..], [("whole", none), ("last", none), ("next", none)]);
}

#[test]
fn an_unfinished_last_line_is_accepted_on_drain_and_not_again_after_it() {
    let site = site(GROUP);
    let up = started(&site);
    site.append("auth.log", "half");
    up.stop();
    assert_eq!(messages(&site.data()), ["first", "half"]);
    Up::start(&site).stop();
    site.append("auth.log", "\nnext\n");
    let up = Up::start(&site);
    up.wait_for_events("ssh/auth", 3);
    up.stop();
    assert_eq!(messages(&site.data()), ["first", "half", "next"]);
}

#[test]
fn start_at_the_end_skips_what_is_there_and_nothing_after_it() {
    let site = Site::new(&format!("{GROUP}start = \"end\"\n"));
    site.append("auth.log", lf(&sshd(0..50)));
    let up = Up::start(&site);
    eventually("the checkpoint is in the journal", || !batches(&site.data()).is_empty());
    site.append("auth.log", "new\n");
    up.wait_for_events("ssh/auth", 1);
    up.kill();
    site.append("auth.log", "while down\n");
    let up = Up::start(&site);
    up.wait_for_events("ssh/auth", 2);
    up.stop();
    assert_eq!(messages(&site.data()), ["new", "while down"]);
}

#[test]
fn a_file_with_much_to_read_keeps_the_others_waiting_for_no_longer_than_a_round() {
    let site = Site::new(
        "[log_groups.much]\nfiles = [\"much.txt\"]\n[log_groups.little]\nfiles = [\"little.log\"]\n",
    );
    let line = format!("{}\n", "one of many lines ".repeat(12));
    let lines = 200_000;
    site.write("much.txt.part", line.repeat(lines));
    site.append("little.log", "first\n");
    let up = Up::start(&site);
    up.wait_for_events("little", 1);
    site.rename("much.txt.part", "much.txt");
    let read = "watchbell_incoming_log_events_total{log_group=\"much\"}";
    eventually("reading has begun", || up.metric(read) > 0);
    site.append("little.log", "second\n");
    up.wait_for_events("much", lines as u64);
    up.wait_for_events("little", 2);
    up.stop();
    let order = batches(&site.data());
    let groups: Vec<&str> = order.iter().map(|(_, _, batch)| batch.group.as_str()).collect();
    let last = groups.iter().rposition(|group| *group == "little").unwrap();
    assert!(last < groups.len() - 1, "the second line came last, of {} batches", groups.len());
}
