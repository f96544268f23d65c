//! The guides' commands, run: what `docs/guides` shows is what the program prints.
//!
//! In a guide, `<!-- file: NAME -->` or `<!-- append: NAME -->` before a block writes the block to that file, and a
//! `console` block holds commands after `$ ` with everything that they print; an exit code other than 0 stands in
//! brackets on the last line. `UPDATE=1` writes what was printed into the guide; the diff is the review.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::folder::Folder;
use crate::support::logs::write_samples;

const GUIDES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guides");

/// A guide being followed.
struct Reader<'a> {
    folder: &'a Folder,
    /// The guide as it should be.
    page: String,
    commands: usize,
}

impl Reader<'_> {
    fn follow(&mut self, guide: &str) {
        let mut lines = guide.lines();
        let mut target: Option<(bool, String)> = None;
        while let Some(line) = lines.next() {
            self.keep(line);
            if let Some(name) = marked(line, "file") {
                target = Some((false, name));
            } else if let Some(name) = marked(line, "append") {
                target = Some((true, name));
            } else if let Some(language) = line.strip_prefix("```") {
                let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
                match (language, target.take()) {
                    ("console", _) => self.run_block(&block),
                    (_, Some((append, name))) => {
                        self.write(&name, append, &block);
                        for line in block {
                            self.keep(line);
                        }
                    }
                    _ => block.iter().for_each(|line| self.keep(line)),
                }
                self.keep("```");
            }
        }
    }

    fn keep(&mut self, line: &str) {
        self.page.push_str(line);
        self.page.push('\n');
    }

    fn write(&self, name: &str, append: bool, block: &[&str]) {
        let mut options = OpenOptions::new();
        options.create(true).write(true).append(append).truncate(!append);
        let mut file = options.open(self.folder.file(name)).unwrap();
        writeln!(file, "{}", block.join("\n")).unwrap();
    }

    fn run_block(&mut self, block: &[&str]) {
        for command in block.iter().filter_map(|line| line.strip_prefix("$ ")) {
            self.commands += 1;
            let printed = self.run(command);
            self.keep(&format!("$ {command}"));
            self.page.push_str(&printed);
        }
    }

    fn run(&self, command: &str) -> String {
        let program = Path::new(env!("CARGO_BIN_EXE_watchbell")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{{ {command}\n}} 2>&1")]).current_dir(self.folder.path());
        let output = shell
            .env("PATH", path)
            .env("TZ", "UTC")
            .env_remove("WATCHBELL_CONFIG")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let mut printed = String::from_utf8(output.stdout).unwrap();
        assert!(printed.is_empty() || printed.ends_with('\n'), "{command}: {printed:?}");
        match output.status.code() {
            Some(0) => {}
            code => writeln!(printed, "[exit code {}]", code.unwrap()).unwrap(),
        }
        printed
    }
}

/// The name in `<!-- KIND: NAME -->`.
fn marked(line: &str, kind: &str) -> Option<String> {
    let name = line.strip_prefix(&format!("<!-- {kind}: "))?.strip_suffix(" -->")?;
    Some(name.to_owned())
}

fn follow(name: &str) {
    let path = Path::new(GUIDES).join(name);
    let guide = fs::read_to_string(&path).unwrap();
    let folder = Folder::new("");
    write_samples(folder.path());
    // A guide begins without one.
    fs::remove_file(folder.file("watchbell.toml")).unwrap();
    let mut reader = Reader { folder: &folder, page: String::new(), commands: 0 };
    reader.follow(&guide);
    assert!(reader.commands > 3, "{name} shows hardly a command");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, &reader.page).unwrap();
    } else {
        assert!(guide == reader.page, "run with UPDATE=1 and look at the diff\n{}", reader.page);
    }
}

#[test]
fn test_your_rules_shows_what_the_program_prints() {
    follow("test-your-rules.md");
}

#[test]
fn backtest_shows_what_the_program_prints() {
    follow("backtest.md");
}

#[test]
fn start_with_your_logs_shows_what_the_program_prints() {
    follow("start-with-your-logs.md");
}

#[test]
fn alarms_that_say_who_shows_what_the_program_prints() {
    follow("alarms-that-say-who.md");
}

#[test]
fn every_guide_is_followed() {
    let mut names: Vec<String> = fs::read_dir(GUIDES)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|it| it == "md"))
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["alarms-that-say-who.md", "backtest.md", "start-with-your-logs.md", "test-your-rules.md"],
        "name the new one here, and follow it"
    );
}
