//! What goes wrong while Watchbell runs: the archive, the receiver, a client, the disk.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;

use watchbell_journal::{Journal, NewEntry, Options, RealDisk};
use watchbell_model::{Entry, InstallationId};

use crate::support::http::{post, request};
use crate::support::process::Up;
use crate::support::receiver::Receiver;
use crate::support::records::{archived, frames, messages, record};
use crate::support::running::{InProcess, START};
use crate::support::site::{Site, copy_folder};
use crate::support::{eventually, eventually_some};

const GROUP: &str = "[log_groups.\"shop/app\"]\n";

#[test]
fn an_archive_that_takes_nothing_keeps_the_lines_in_the_journal_until_it_does() {
    let site = Site::new(&format!("{GROUP}[archive]\nurl = \"archive\"\n"));
    let up = Up::start(&site);
    fs::remove_dir(site.path("archive")).unwrap();
    site.write("archive", "in the way");
    assert_eq!(post(up.address, "shop/app", &[], b"kept\n").status, 200);
    up.terminate();
    fs::remove_file(site.path("archive")).unwrap();
    let up = Up::start(&site);
    assert_eq!(post(up.address, "shop/app", &[], b"and more\n").status, 200);
    up.stop();
    let texts: Vec<_> = archived(&site.path("archive")).into_iter().map(|event| event.message).collect();
    assert_eq!(texts, ["kept", "and more"]);
}

#[test]
fn an_archive_plan_that_a_crash_interrupted_is_carried_out_again_over_the_same_objects() {
    let site = Site::new(&format!("{GROUP}app = \"one\"\n"));
    let running = InProcess::start(&site, START);
    assert_eq!(post(running.address(), "shop/app", &[], b"ERROR under one\nfine\n").status, 200);
    site.configure(&format!("{GROUP}app = \"two\"\n"));
    running.reload(&site).unwrap();
    assert_eq!(post(running.address(), "shop/app", &[], b"under two\n").status, 200);
    running.drain();
    let before = archived(&site.path("data/archive"));
    let apps: Vec<_> = before.iter().map(|event| (event.message.as_str(), event.app.as_str())).collect();
    assert_eq!(apps, [("ERROR under one", "one"), ("fine", "one"), ("under two", "two")]);

    // The journal as it was when the plan was on disk and its outcome was not.
    let crashed = Site::new(&format!("{GROUP}app = \"two\"\n"));
    copy_folder(&site.path("data/archive"), &crashed.path("data/archive"));
    cut_after(&site, &crashed, |entry| matches!(entry, Entry::ArchivePlan(_)));
    Up::start(&crashed).stop();
    assert_eq!(archived(&crashed.path("data/archive")), before);
}

/// Gives `to` the journal of `from` up to the first entry of this kind, as a crash right after it would have left it.
fn cut_after(from: &Site, to: &Site, is_last: impl Fn(&Entry) -> bool) {
    fs::create_dir_all(to.data()).unwrap();
    let identity = fs::read(from.path("data/installation.json")).unwrap();
    fs::write(to.path("data/installation.json"), &identity).unwrap();
    let identity: serde_json::Value = serde_json::from_slice(&identity).unwrap();
    let installation: InstallationId = identity["installation"].as_str().unwrap().parse().unwrap();
    let options = Options::new(installation.0);
    let (mut journal, _) = Journal::open(Arc::new(RealDisk), &to.path("data/journal"), options).unwrap();
    for frame in frames(&from.data()) {
        let watchbell_journal::Entry { kind, flags, time_ms, payload, .. } = &frame;
        let entry = NewEntry { kind: *kind, flags: *flags, time_ms: *time_ms, payload, rest: &[] };
        journal.append_batch(&[entry]).unwrap();
        if is_last(&record(&frame).entry) {
            return;
        }
    }
    panic!("no entry is of this kind");
}

#[test]
fn a_kill_9_right_after_the_first_plan_does_not_make_old_lines_new() {
    let site = Site::new(&format!("{GROUP}files = [\"app.log\"]\n"));
    site.append("app.log", "long ago\n");
    Up::start(&site).stop();
    let crashed = Site::new("");
    cut_after(&site, &crashed, |entry| matches!(entry, Entry::Plan(_)));
    std::fs::remove_dir_all(site.data()).unwrap();
    std::fs::rename(crashed.data(), site.data()).unwrap();
    let up = Up::start(&site);
    up.wait_for_events("shop/app", 1);
    let backfill = up.metric("watchbell_backfill_events_total{log_group=\"shop/app\"}");
    up.stop();
    assert_eq!(backfill, 1);
}

#[test]
fn a_receiver_that_never_answers_does_not_keep_a_stop_from_ending_well() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = |url: &str| {
        format!(
            "{GROUP}[metric_filters.errors]\nlog_group = \"shop/app\"\npattern = 'ERROR'\n\
             metric = {{ namespace = \"S\", name = \"E\", value = \"1\" }}\n[alarms.errors]\n\
             metric_filter = \"errors\"\nstatistic = \"Sum\"\nperiod = \"60s\"\ncondition = \">= 1\"\n\
             notify = [\"ops\"]\n[topics.ops.webhook]\nurl = \"{url}\"\n"
        )
    };
    let folder = Site::new(&site(&format!("http://{}/", silent.local_addr().unwrap())));
    let up = Up::start(&folder);
    assert_eq!(post(up.address, "shop/app", &[], b"ERROR\n").status, 200);
    let held = silent.accept().unwrap();
    // A client that never finishes its request is no reason to wait for ever either.
    let mut client = TcpStream::connect(up.address).unwrap();
    client.write_all(b"POST /ingest/shop/app HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf").unwrap();
    up.stop();
    drop(held);
    let receiver = Receiver::start();
    folder.configure(&site(&receiver.url()));
    let up = Up::start(&folder);
    receiver.wait_for(1);
    up.stop();
    assert_eq!(receiver.states(), ["ALARM"]);
    assert_eq!(messages(&folder.data()), ["ERROR"]);
}

#[test]
fn a_disk_that_takes_no_more_stops_the_process_and_loses_nothing_that_was_acknowledged() {
    let site = Site::new(GROUP);
    Up::start(&site).stop();
    // No file may grow over 64 KiB; with the signal ignored, the next writes fail as on a full disk.
    let stderr = site.path("stderr-limited.txt");
    let mut child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$0\" up --log json 2> stderr-limited.txt"])
        .arg(env!("CARGO_BIN_EXE_watchbell"))
        .current_dir(site.path(""))
        .spawn()
        .unwrap();
    let address = eventually_some("it watches", || {
        let log = fs::read_to_string(&stderr).ok()?;
        let line = log.lines().find(|line| line.contains("\"watching\""))?;
        serde_json::from_str::<serde_json::Value>(line).ok()?["address"].as_str()?.parse().ok()
    });
    let mut acknowledged = Vec::new();
    for number in 0..1000 {
        let line = format!("{number} {}", "x".repeat(1000));
        match request(address, "POST", "/ingest/shop/app", &[], line.as_bytes()) {
            Ok(answer) if answer.status == 200 => acknowledged.push(line),
            _ => break,
        }
    }
    let status = eventually_some("it ends by itself", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(74), "{status}: {}", fs::read_to_string(&stderr).unwrap());
    assert!(!acknowledged.is_empty() && acknowledged.len() < 1000);
    Up::start(&site).stop();
    let archived = messages(&site.data());
    assert_eq!(archived[..acknowledged.len()], acknowledged);
    assert!(archived.len() <= acknowledged.len() + 1, "only the line without an answer may be there too");
}

#[test]
fn a_connection_that_sends_nonsense_is_answered_or_closed_and_nothing_else_suffers() {
    let site = Site::new(GROUP);
    let up = Up::start(&site);
    for nonsense in [&b"\x16\x03\x01\x02\0\x01"[..], b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n\r\n", b"POST"] {
        let mut stream = TcpStream::connect(up.address).unwrap();
        stream.write_all(nonsense).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // A reset is as good as an answer.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(post(up.address, "shop/app", &[], b"fine\n").status, 200);
    up.stop();
    assert_eq!(messages(&site.data()), ["fine"]);
}

#[test]
fn a_folder_with_brackets_in_its_name_is_no_pattern() {
    let outer = tempfile::tempdir().unwrap();
    let site = Site::at(&outer.path().join("we[i]rd *"), &format!("{GROUP}files = [\"app.log\"]\n"));
    site.append("app.log", "line\n");
    let up = Up::start(&site);
    up.wait_for_events("shop/app", 1);
    up.stop();
    assert_eq!(messages(&site.data()), ["line"]);
}

#[test]
fn a_kill_9_in_the_middle_of_old_lines_does_not_make_the_rest_of_them_new() {
    let receiver = Receiver::start();
    let site = Site::new(&format!(
        "{GROUP}files = [\"app.log\"]\n[metric_filters.errors]\nlog_group = \"shop/app\"\npattern = 'ERROR'\n\
         metric = {{ namespace = \"S\", name = \"E\", value = \"1\" }}\n[alarms.errors]\nmetric_filter = \"errors\"\n\
         statistic = \"Sum\"\nperiod = \"60s\"\ncondition = \">= 1\"\nnotify = [\"ops\"]\n\
         [topics.ops.webhook]\nurl = \"{}\"\n",
        receiver.url()
    ));
    site.append("app.log", "ERROR long ago\n".repeat(400_000));
    let up = Up::start(&site);
    eventually("some of it is in the journal", || {
        up.metric("watchbell_incoming_log_events_total{log_group=\"shop/app\"}") > 0
    });
    up.kill();
    let up = Up::start(&site);
    up.wait_for_events("shop/app", 400_000);
    let backfill = up.metric("watchbell_backfill_events_total{log_group=\"shop/app\"}");
    up.stop();
    assert_eq!(backfill, 400_000);
    assert_eq!(receiver.posts().len(), 0);
}
