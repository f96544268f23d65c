//! Rotation in every way that breaks collectors: what was written is read once, and what cannot be is reported.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::Duration;

use crate::support::eventually;
use crate::support::process::{Up, run, said};
use crate::support::records::messages;
use crate::support::site::Site;

const GROUP: &str = "[log_groups.app]\nfiles = [\"app.log\"]\n";
const GROUP_WITH_ROTATED: &str = "[log_groups.app]\nfiles = [\"app.log*\"]\n";
const TRUNCATED: &str = "watchbell_losses_total{log_group=\"app\",reason=\"truncated\"}";
const TRUNCATED_BYTES: &str = "watchbell_lost_bytes_total{log_group=\"app\",reason=\"truncated\"}";

/// A site with one old line in `app.log`; what comes after it is new.
fn started(body: &str) -> (Site, Up) {
    let site = Site::new(body);
    site.append("app.log", "first\n");
    let up = Up::start(&site);
    up.wait_for_events("app", 1);
    (site, up)
}

/// Numbered lines, told apart by more than their number.
fn lines(numbers: std::ops::Range<usize>) -> String {
    use std::fmt::Write as _;
    numbers.fold(String::new(), |mut text, number| {
        writeln!(text, "line {number} of a stream that is counted, {:016x}", number * 0x9e37_79b9).unwrap();
        text
    })
}

/// Each of these lines stands in the archive once, and nothing else does but the first.
fn assert_each_once(site: &Site, expected: &str) {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for line in messages(&site.data()) {
        *count.entry(line).or_default() += 1;
    }
    let expected: BTreeMap<String, usize> =
        expected.lines().chain(["first"]).map(|line| (line.to_owned(), 1)).collect();
    let lost: Vec<_> = expected.keys().filter(|line| !count.contains_key(*line)).collect();
    let other: Vec<_> = count.iter().filter(|(line, times)| expected.get(*line) != Some(times)).collect();
    assert!(lost.is_empty() && other.is_empty(), "lost {lost:?}, doubled or not ours {other:?}");
}

/// Renames as logrotate does: the oldest first.
fn rotate(site: &Site, kept: usize) {
    for number in (1..kept).rev() {
        let from = site.path(&format!("app.log.{number}"));
        if from.exists() {
            fs::rename(from, site.path(&format!("app.log.{}", number + 1))).unwrap();
        }
    }
    site.rename("app.log", "app.log.1");
}

#[test]
fn fifty_rotations_a_second_lose_nothing() {
    for body in [GROUP, GROUP_WITH_ROTATED] {
        let (site, up) = started(body);
        let mut written = 0;
        for _ in 0..50 {
            rotate(&site, 100);
            for _ in 0..4 {
                site.append("app.log", lines(written..written + 25));
                written += 25;
                // The pace of the program that logs; nothing waits for Watchbell here.
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        up.wait_for_events("app", written as u64 + 1);
        up.stop();
        assert_each_once(&site, &lines(0..written));
    }
}

#[test]
fn rotation_goes_on_through_kills_and_while_nobody_looks() {
    let (site, up) = started(GROUP);
    let mut up = Some(up);
    let mut written = 0;
    for round in 0..12 {
        match round % 4 {
            1 => up.take().unwrap().kill(),
            3 => up = Some(Up::start(&site)),
            _ => {}
        }
        for _ in 0..3 {
            site.append("app.log", lines(written..written + 10));
            rotate(&site, 100);
            site.append("app.log.1", lines(written + 10..written + 15));
            site.append("app.log", lines(written + 15..written + 20));
            written += 20;
        }
    }
    let up = up.unwrap();
    up.wait_for_events("app", written as u64 + 1);
    up.stop();
    assert_each_once(&site, &lines(0..written));
}

/// The path leads nowhere, then to a file that leaves it before anybody looks, and then to another one or nowhere again.
#[test]
fn a_file_that_had_the_path_only_between_two_looks_is_found() {
    let (site, up) = started(GROUP);
    let address = up.address.to_string();
    let mut written = 0;
    for round in 0..8 {
        if site.path("app.log").exists() {
            rotate(&site, 100);
        }
        eventually("it is noticed that the path leads nowhere", || {
            let (_, stdout, stderr) = said(&run(&site, &["sources", "--address", &address]));
            assert!(stdout.contains("app.log"), "{stdout} {stderr}");
            stdout.contains("rotated")
        });
        up.signal("STOP");
        site.append("app.log", lines(written..written + 5));
        rotate(&site, 100);
        if round % 2 == 0 {
            site.append("app.log", lines(written + 5..written + 10));
            written += 5;
        }
        written += 5;
        up.signal("CONT");
        up.wait_for_events("app", written as u64 + 1);
    }
    up.stop();
    assert_each_once(&site, &lines(0..written));
}

/// Two instances of a program say the same at their start, and the names of their logs differ by a number.
#[test]
fn a_file_that_begins_like_another_and_goes_on_alone_is_no_copy_of_it() {
    let site = Site::new("[log_groups.app]\nfiles = [\"app*.log\"]\n");
    let banner = "starting\nlistening\n";
    site.append("app.log", format!("first\n{banner}"));
    let up = Up::start(&site);
    up.wait_for_events("app", 3);
    site.append("app-2.log", format!("first\n{banner}"));
    up.wait_for_log("left alone as long as it looks like a copy");
    site.append("app-2.log", lines(0..3));
    up.wait_for_events("app", 9);
    up.stop();
    let expected = format!("first\n{banner}first\n{banner}{}", lines(0..3));
    assert_eq!(messages(&site.data()), expected.lines().collect::<Vec<_>>());
}

#[test]
fn old_files_beside_a_followed_one_are_not_taken_for_its_own() {
    let site = Site::new(GROUP);
    site.append("app.log.2", "much older\n");
    site.append("app.log.1", "older\n");
    // A file system's clock does not tell files apart that are made within milliseconds.
    std::thread::sleep(Duration::from_millis(20));
    site.append("app.log", "first\n");
    let up = Up::start(&site);
    up.wait_for_events("app", 1);
    for number in 0..3 {
        rotate(&site, 100);
        site.append("app.log", lines(number..number + 1));
        up.wait_for_events("app", number as u64 + 2);
    }
    up.stop();
    assert_each_once(&site, &lines(0..3));
}

#[test]
fn a_file_on_the_inode_of_a_deleted_one_is_another_file() {
    let (site, up) = started(GROUP);
    let mut up = Some(up);
    for number in 0..20 {
        // While it is followed its inode is not given away; while nobody follows it is, usually at once.
        up.take().unwrap().stop();
        fs::remove_file(site.path("app.log")).unwrap();
        site.append("app.log", lines(number..number + 1));
        up = Some(Up::start(&site));
        up.as_ref().unwrap().wait_for_events("app", number as u64 + 2);
    }
    for number in 20..60 {
        fs::remove_file(site.path("app.log")).unwrap();
        site.append("app.log", lines(number..number + 1));
        up.as_ref().unwrap().wait_for_events("app", number as u64 + 2);
    }
    up.unwrap().stop();
    assert_each_once(&site, &lines(0..60));
}

#[test]
fn a_link_that_is_swapped_leaves_no_line_behind() {
    let site = Site::new("[log_groups.app]\nfiles = [\"current.log\"]\n");
    site.append("app-0.log", "first\n");
    symlink("app-0.log", site.path("current.log")).unwrap();
    let up = Up::start(&site);
    up.wait_for_events("app", 1);
    for number in 0..10 {
        let (old, new) = (format!("app-{number}.log"), format!("app-{}.log", number + 1));
        site.append(&new, lines(number * 3..number * 3 + 1));
        symlink(&new, site.path("next")).unwrap();
        site.rename("next", "current.log");
        // The program still has the old one open.
        site.append(&old, lines(number * 3 + 1..number * 3 + 2));
        site.append(&new, lines(number * 3 + 2..number * 3 + 3));
        up.wait_for_events("app", number as u64 * 3 + 4);
    }
    up.stop();
    assert_each_once(&site, &lines(0..30));
}

#[test]
fn a_deleted_file_that_is_still_open_is_read_to_its_end() {
    let (site, up) = started(GROUP);
    let mut open = OpenOptions::new().append(true).open(site.path("app.log")).unwrap();
    fs::remove_file(site.path("app.log")).unwrap();
    open.write_all(lines(0..5).as_bytes()).unwrap();
    up.wait_for_events("app", 6);
    site.append("app.log", lines(5..10));
    up.wait_for_events("app", 11);
    open.write_all(lines(10..15).as_bytes()).unwrap();
    up.stop();
    assert_each_once(&site, &lines(0..15));
}

/// What `copytruncate` does: copies, and then truncates.
fn copy_and_truncate(site: &Site, between: impl FnOnce()) {
    fs::copy(site.path("app.log"), site.path("app.log.1")).unwrap();
    between();
    File::options().write(true).truncate(true).open(site.path("app.log")).unwrap();
}

/// Makes room for the next copy.
fn shift_copies(site: &Site) {
    for number in (1..100).rev().filter(|number| site.path(&format!("app.log.{number}")).exists()) {
        site.rename(&format!("app.log.{number}"), &format!("app.log.{}", number + 1));
    }
}

#[test]
fn what_copytruncate_takes_away_is_read_from_the_copy() {
    for body in [GROUP, GROUP_WITH_ROTATED] {
        let (site, up) = started(body);
        let mut written = 0;
        for _ in 0..30 {
            // Whether these were read before they are gone is left to chance.
            site.append("app.log", lines(written..written + 40));
            written += 40;
            shift_copies(&site);
            copy_and_truncate(&site, || {});
            site.append("app.log", lines(written..written + 3));
            written += 3;
            // The pace of the program that logs; nothing waits for Watchbell here.
            std::thread::sleep(Duration::from_millis(20));
        }
        up.wait_for_events("app", written as u64 + 1);
        assert_eq!(up.metric(TRUNCATED_BYTES), 0, "nothing is known to be lost, and nothing is lost");
        up.stop();
        assert_each_once(&site, &lines(0..written));
    }
}

#[test]
fn what_copytruncate_takes_away_while_nobody_looks_is_read_from_the_copy() {
    for body in [GROUP, GROUP_WITH_ROTATED] {
        let (site, up) = started(body);
        site.append("app.log", lines(0..40));
        up.wait_for_events("app", 41);
        up.kill();
        site.append("app.log", lines(40..80));
        copy_and_truncate(&site, || {});
        site.append("app.log", lines(80..90));
        // The second start finds what the first had not finished.
        Up::start(&site).kill();
        let up = Up::start(&site);
        up.wait_for_events("app", 91);
        up.stop();
        assert_each_once(&site, &lines(0..90));
    }
}

/// What is written after the copy and before the truncation is nowhere: it is lost unless it had been read by then. What of
/// it had been seen is in the count, and never more than was lost.
#[test]
fn what_copytruncate_loses_is_reported_as_far_as_it_was_seen() {
    let (site, up) = started(GROUP);
    let (mut expected, mut unsure, mut written, mut lost_bytes) = (String::new(), String::new(), 0, 0);
    for _ in 0..30 {
        expected += &lines(written..written + 40);
        site.append("app.log", lines(written..written + 40));
        written += 40;
        shift_copies(&site);
        let between = lines(written..written + 2);
        written += 2;
        copy_and_truncate(&site, || site.append("app.log", &between));
        unsure += &between;
        expected += &lines(written..written + 3);
        site.append("app.log", lines(written..written + 3));
        written += 3;
        std::thread::sleep(Duration::from_millis(20));
    }
    eventually("all that can be read is", || {
        let events = up.metric("watchbell_incoming_log_events_total{log_group=\"app\"}");
        events > expected.lines().count() as u64
    });
    let reported = up.metric(TRUNCATED_BYTES);
    up.stop();
    let archived = messages(&site.data());
    for line in unsure.lines() {
        if archived.iter().any(|known| known == line) {
            expected += line;
            expected += "\n";
        } else {
            lost_bytes += line.len() as u64 + 1;
        }
    }
    assert_each_once(&site, &expected);
    assert!(reported <= lost_bytes, "{reported} bytes reported, {lost_bytes} lost");
}

#[test]
fn a_truncation_without_a_copy_reports_what_had_been_seen() {
    let (site, up) = started(GROUP);
    // It waits for its line end.
    site.append("app.log", "0123456789");
    let lag = "watchbell_source_lag_bytes{log_group=\"app\"}";
    eventually("the half line is seen or accepted", || {
        up.metric(lag) == 10 || up.metric("watchbell_incoming_log_events_total{log_group=\"app\"}") == 2
    });
    site.write("app.log", "x\n");
    eventually("the truncation is counted", || up.metric(TRUNCATED) == 1);
    let reported = up.metric(TRUNCATED_BYTES);
    up.stop();
    let accepted = messages(&site.data()).contains(&"0123456789".to_owned());
    assert_eq!(reported, if accepted { 0 } else { 10 });
}
