//! What keeps `watchbell up` from starting: each with an exit code, a place and a way out, and nothing is changed.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use watchbell_journal::{Journal, NewEntry, Options, RealDisk};

use crate::support::http::post;
use crate::support::process::{Up, run, said};
use crate::support::records::frames;
use crate::support::site::Site;

const GROUP: &str = "[log_groups.\"shop/app\"]\n";

/// `up` must end with this code and say all of these on standard error, and nothing else on standard output.
fn refused(site: &Site, code: i32, texts: &[&str]) -> String {
    let (status, stdout, stderr) = said(&run(site, &["up", "--log", "json"]));
    assert_eq!(status, Some(code), "{stderr}");
    assert_eq!(stdout, "");
    for text in texts {
        assert!(stderr.contains(text), "{text:?} is not in {stderr}");
    }
    stderr
}

/// A data folder that was used and left in order.
fn used() -> Site {
    let site = Site::new(GROUP);
    let up = Up::start(&site);
    for number in 0..3 {
        assert_eq!(post(up.address, "shop/app", &[], format!("line {number}\n").as_bytes()).status, 200);
    }
    up.stop();
    site
}

fn only_file(site: &Site, folder: &str, extension: &str) -> PathBuf {
    let entries = fs::read_dir(site.data().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|it| it == extension)).collect();
    found.sort();
    found.pop().unwrap()
}

#[test]
fn a_port_in_use_is_unavailable_and_changes_nothing_on_disk() {
    let site = Site::new(GROUP);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let text = fs::read_to_string(site.config()).unwrap();
    site.write("watchbell.toml", text.replace("127.0.0.1:0", &format!("127.0.0.1:{port}")));
    refused(&site, 69, &["http.listen", &port.to_string(), "help: "]);
    assert!(!site.data().exists());
}

#[test]
fn a_data_folder_or_archive_that_cannot_be_made_is_an_io_error_with_its_path() {
    let site = Site::new(GROUP);
    site.write("file", "");
    let text = fs::read_to_string(site.config()).unwrap();
    site.write("watchbell.toml", text.replace("\"data\"", "\"file/data\""));
    refused(&site, 74, &["file/data", "help: "]);
    site.configure(&format!("{GROUP}[archive]\nurl = \"file\"\n"));
    let path = site.path("file");
    refused(&site, 74, &["archive", path.to_str().unwrap()]);
    assert_eq!(fs::read(site.path("file")).unwrap(), b"");
}

#[test]
fn a_second_one_on_the_same_data_folder_is_turned_away_and_the_first_goes_on() {
    let site = Site::new(GROUP);
    let up = Up::start(&site);
    refused(&site, 69, &["lock"]);
    assert_eq!(post(up.address, "shop/app", &[], b"still here\n").status, 200);
    up.stop();
}

#[test]
fn a_bad_file_shows_every_mistake_at_once_and_a_missing_one_says_how_to_name_it() {
    let site = Site::new(
        "[log_groups.\"shop/app\"]\nparse = \"jsno\"\n[metric_filters.errors]\nlog_group = \"shop/ap\"\n\
         pattern = \"{ $.level = \"\nmetric = { namespace = \"Shop\", name = \"Errors\", value = \"1\" }\n\
         [alarms.errors]\nmetric_filter = \"erors\"\nstatistic = \"Summe\"\nperiod = \"45s\"\ncondition = \"> 1\"\n\
         notify = [\"ops\"]\n[topics.ops]\nslack = { webhook_url = \"https://hooks.slack.com/hunter2\" }\n",
    );
    let stderr =
        refused(&site, 78, &["jsno", "shop/ap", "erors", "Summe", "45s", "did you mean", "watchbell.toml:"]);
    assert!(!stderr.contains("hunter2"), "{stderr}");
    assert!(!site.data().exists());
    fs::remove_file(site.config()).unwrap();
    refused(&site, 78, &["watchbell.toml", "--config"]);
    site.write("watchbell.toml", b"version = 1\n\xff\n");
    refused(&site, 78, &["watchbell.toml", "UTF-8"]);
}

#[test]
fn missing_secrets_are_named_all_at_once_and_nothing_is_made() {
    let site = Site::new(&format!(
        "{GROUP}[[roles.all]]\nallow = \"logs:PutLogEvents\"\non = \"*\"\n\
         [tokens.ci]\nvalue = {{ env = \"WATCHBELL_TEST_NOT_SET\" }}\nroles = \"all\"\n\
         [tokens.cd]\nvalue = {{ file = \"no-such-file\" }}\nroles = \"all\"\n"
    ));
    refused(&site, 78, &["WATCHBELL_TEST_NOT_SET", "no-such-file", "token \"ci\"", "token \"cd\"", "help: "]);
    assert!(!site.data().exists());
}

#[test]
fn damage_in_the_middle_of_the_journal_names_file_and_offset_and_is_left_as_it_is() {
    let site = used();
    let segment = only_file(&site, "journal", "segment");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[64 + 56 + 4] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    refused(&site, 74, &[segment.to_str().unwrap(), "64"]);
    assert_eq!(fs::read(&segment).unwrap(), bytes);
}

#[test]
fn a_torn_last_frame_is_cut_and_said() {
    let site = used();
    let segment = only_file(&site, "journal", "segment");
    let mut bytes = fs::read(&segment).unwrap();
    // Behind the last frame its page is full of zeros.
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    bytes.truncate(end);
    bytes.extend(b"WBF1\x40\0\0\0torn");
    fs::write(&segment, &bytes).unwrap();
    let up = Up::start(&site);
    up.wait_for_log("cut an unfinished write");
    assert_eq!(post(up.address, "shop/app", &[], b"line 3\n").status, 200);
    up.stop();
    assert_eq!(crate::support::records::messages(&site.data()), ["line 0", "line 1", "line 2", "line 3"]);
}

#[test]
fn a_snapshot_of_another_version_or_a_damaged_one_is_refused_by_name() {
    let site = used();
    let path = only_file(&site, "snapshots", "snapshot");
    let good = fs::read(&path).unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    fs::write(&path, text.replacen("\"version\":1", "\"version\":2", 1)).unwrap();
    refused(&site, 74, &[path.to_str().unwrap(), "version 2", "help: "]);
    fs::write(&path, &good[..good.len() - 7]).unwrap();
    refused(&site, 74, &[path.to_str().unwrap(), "damaged", "help: "]);
    // The way out that the help names.
    fs::rename(&path, site.path("moved-away")).unwrap();
    Up::start(&site).stop();
}

#[test]
fn an_entry_of_a_newer_data_format_names_the_format_it_needs() {
    let site = used();
    let identity: serde_json::Value =
        serde_json::from_slice(&fs::read(site.data().join("installation.json")).unwrap()).unwrap();
    let installation: watchbell_model::InstallationId =
        identity["installation"].as_str().unwrap().parse().unwrap();
    let folder = site.data().join("journal");
    let (mut journal, recovery) =
        Journal::open(Arc::new(RealDisk), &folder, Options::new(installation.0)).unwrap();
    let time_ms = frames(&site.data()).last().unwrap().time_ms;
    journal.append_batch(&[NewEntry { kind: 0x0207, flags: 0, time_ms, payload: b"{}", rest: &[] }]).unwrap();
    drop(journal);
    refused(&site, 74, &["data format 2", &format!("entry {}", recovery.next_offset)]);
}

#[test]
fn a_data_folder_of_a_newer_watchbell_or_without_its_name_is_refused() {
    let site = used();
    let path = site.data().join("installation.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"version\":1", "\"version\":9", 1)).unwrap();
    refused(&site, 74, &["installation.json", "9", "help: "]);
    fs::write(&path, "").unwrap();
    refused(&site, 74, &["installation.json", "help: "]);
    // A new name beside an old journal would make its ids ambiguous.
    fs::remove_file(&path).unwrap();
    refused(&site, 74, &["installation"]);
}
