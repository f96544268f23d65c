//! `docs/reference/queue.md` does what it shows: its file is run, its commands are called, and what they print stands
//! under them. `UPDATE=1` writes what was printed into the page; the diff is the review.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;

use crate::support::process::Up;
use crate::support::site::Site;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/queue.md");
const ADDRESS: &str = "127.0.0.1:8420";

/// What `command` prints, with an address, an installation, times and ages as a page has them.
fn printed(command: &str, address: SocketAddr) -> String {
    let command = command.replace(ADDRESS, &address.to_string());
    let output = Command::new("sh").arg("-c").arg(&command).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut shown = String::new();
    for (index, piece) in text.split('"').enumerate() {
        let separator = if index == 0 { "" } else { "\"" };
        let is_time = piece.len() == 24 && piece.ends_with('Z') && piece.as_bytes()[10] == b'T';
        let installation = piece.split_once('-').filter(|(head, _)| head.len() == 16);
        let piece = match installation {
            _ if is_time => "2026-11-22T21:12:00.125Z".to_owned(),
            Some((head, rest)) if head.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                format!("3c1d559c6306d4f0-{rest}")
            }
            _ => piece.to_owned(),
        };
        write!(shown, "{separator}{piece}").unwrap();
    }
    shown
}

#[test]
fn the_page_shows_what_its_commands_print() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let part = |mark: &str| {
        let (_, rest) = page.split_once(&format!("<!-- {mark} -->\n```toml\n")).unwrap();
        rest.split_once("```").unwrap().0
    };
    // Only read: state changes of these alarms would be messages, whenever they come.
    drop(Site::new(&format!("{}\n{}", part("file"), part("alarm"))).plan());
    let site = Site::new(part("file"));
    let up = Up::start(&site);
    let (mut followed, mut in_console, mut commands) = (String::new(), false, 0);
    for line in page.lines() {
        match line {
            "```console" => in_console = true,
            "```" => in_console = false,
            _ => {}
        }
        let command = line.strip_prefix("$ ").filter(|_| in_console);
        if in_console && command.is_none() && line != "```console" {
            continue;
        }
        writeln!(followed, "{line}").unwrap();
        if let Some(command) = command {
            commands += 1;
            let printed = printed(command, up.address);
            if !printed.is_empty() {
                writeln!(followed, "{}", printed.trim_end()).unwrap();
            }
        }
    }
    up.stop();
    assert_eq!(commands, 11);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(PAGE, &followed).unwrap();
    } else {
        assert_eq!(page, followed, "run with UPDATE=1 and look at the diff");
    }
}
