//! `watchbell init`: looks at real files and writes a `watchbell.toml` that suits them.

use std::fs::{DirEntry, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use watchbell_config::{Source, TestCase};

use super::{Format, Global, say, written};
use crate::init::group::Group;
use crate::init::heartbeat::Heartbeat;
use crate::init::sample::{Sample, Skipped};
use crate::init::{Findings, Looker, form, text};
use crate::replay::try_out;
use crate::run::clock::{Clock, SystemClock};
use crate::{ExitStatus, Failure, out};

/// Looks at log files and writes a watchbell.toml that suits them.
#[derive(Args)]
#[command(after_help = "Examples:\n  watchbell init /var/log/auth.log /var/log/nginx/access.log\n  \
                        watchbell init logs/                    every file in a folder\n  \
                        watchbell init app.log --output -       print it\n\n\
                        Reads the first and the last MiB of each file and changes none. The file it writes is\n\
                        ./watchbell.toml, or the one named by --config; one that is there already stays, unless --force.")]
pub(super) struct Options {
    /// Log files, or folders of them
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Where the file goes, - for standard output; by default where --config says
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let output = options.output.as_ref().unwrap_or(&global.config);
    let target = (output != Path::new("-")).then_some(output.as_path());
    // Before the work, not after it; the write itself looks again.
    if let Some(target) = target
        && target.exists()
        && !options.force
    {
        return Err(in_the_way(target));
    }
    let folder = folder_of(target)?;
    let (samples, skipped) = samples(&options.files)?;
    let looker = Looker { now: SystemClock.now(), zone: machine_zone(), folder: &folder };
    let findings = looker.look(samples, skipped);
    let reported = report(&findings);
    if findings.groups.is_empty() {
        for (path, why) in &findings.skipped {
            say(&format!("{path}: {why}"));
        }
        let failure = Failure::new(ExitStatus::Usage, "none of these files has lines to look at");
        return Err(failure.help("name log files that are written to"));
    }
    let text = text::text(&findings);
    check(&text, &folder)?;
    if global.format == Format::Text {
        say(&in_words(&findings, &reported));
    }
    match target {
        Some(target) => {
            store(target, &text, options.force)?;
            if global.format == Format::Json {
                let object = json!({ "file": target.to_string_lossy(), "log_groups": reported.0, "skipped": reported.1 });
                return written(out::line(&object.to_string()));
            }
            let named = if target == Path::new("watchbell.toml") {
                String::new()
            } else {
                format!(" -c {}", target.display())
            };
            say(&format!(
                "{} is written; watchbell replay{named} shows what it would have done, watchbell up{named} does it",
                target.display()
            ));
            Ok(())
        }
        None if global.format == Format::Json => {
            let object = json!({ "text": text, "log_groups": reported.0, "skipped": reported.1 });
            written(out::line(&object.to_string()))
        }
        None => written(out::text(&text)),
    }
}

/// A file is there already, and stays.
pub(super) fn in_the_way(target: &Path) -> Failure {
    let failure = Failure::new(ExitStatus::Usage, format!("{} is there already", target.display()));
    failure.help("--force writes over it, --output FILE takes another name, --output - prints")
}

/// The folder that paths in the file will be relative to.
fn folder_of(target: Option<&Path>) -> Result<PathBuf, Failure> {
    let target = target.unwrap_or(Path::new("watchbell.toml"));
    let absolute = std::path::absolute(target).map_err(|error| Failure::io(target.display(), &error))?;
    Ok(absolute.parent().unwrap_or(Path::new("/")).to_owned())
}

type Samples = (Vec<Sample>, Vec<(String, Skipped)>);

/// Both ends of every file; of a folder, every file right in it.
fn samples(paths: &[PathBuf]) -> Result<Samples, Failure> {
    let (mut samples, mut skipped) = (Vec::new(), Vec::new());
    for path in paths {
        let failed = |error: std::io::Error| Failure::io(path.display(), &error);
        for file in files_of(path).map_err(failed)? {
            match Sample::read(&file, file == *path).map_err(|error| Failure::io(file.display(), &error))? {
                Ok(sample) => samples.push(sample),
                Err(why) => skipped.push((file.to_string_lossy().into_owned(), why)),
            }
        }
    }
    Ok((samples, skipped))
}

fn files_of(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let kind = path.metadata()?.file_type();
    if kind.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !kind.is_dir() {
        // A pipe would be waited for without end.
        return Err(std::io::Error::other("neither a file nor a folder"));
    }
    let entries = path.read_dir()?.collect::<std::io::Result<Vec<_>>>()?;
    let mut files: Vec<PathBuf> = entries
        .into_iter()
        .filter(|entry| !is_hidden(entry))
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    Ok(files)
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

/// The machine's time zone, if it has a name and is not UTC.
fn machine_zone() -> Option<String> {
    let zone = jiff::tz::TimeZone::try_system().ok()?;
    let name = zone.iana_name()?.to_owned();
    let known = watchbell_parse::zone_names().contains(&name);
    let is_utc = ["UTC", "Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu", "Etc/GMT", "GMT", "UCT", "Zulu"];
    (known && !is_utc.contains(&name.as_str())).then_some(name)
}

/// The file is good and passes its own tests, or init is wrong.
fn check(text: &str, folder: &Path) -> Result<(), Failure> {
    let source = Source { name: "watchbell.toml", text, folder };
    let checked = watchbell_config::check(&source);
    if let Some(plan) = checked.plan {
        let fails = |test: &&TestCase| !try_out(&plan, test).is_ok_and(|verdict| verdict.is_good());
        let Some(failed) = checked.tests.iter().find(fails) else { return Ok(()) };
        let message = format!("the test \"{}\" that was made fails; nothing was written", failed.name);
        return Err(Failure::new(ExitStatus::Defect, message));
    }
    say(watchbell_config::render(&checked.problems, &source, false).trim_end());
    Err(Failure::new(ExitStatus::Defect, "what was made of these files is not good; nothing was written"))
}

/// Writes a file; one that is there stays, unless `force`.
pub(super) fn store(target: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let mut file = options.open(target).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => in_the_way(target),
        _ => Failure::io(target.display(), &error),
    })?;
    file.write_all(text.as_bytes()).map_err(|error| Failure::io(target.display(), &error))
}

/// Groups and skipped files, as data.
fn report(findings: &Findings) -> (Vec<Value>, Vec<Value>) {
    let skipped = findings.skipped.iter().map(|(path, why)| json!({ "file": path, "why": why.to_string() }));
    (findings.groups.iter().map(group_report).collect(), skipped.collect())
}

fn group_report(group: &Group) -> Value {
    let with_time = |sample: &Sample| {
        form::count_times(group.form.parse, &group.form.timestamp, &sample.lines, sample.written)
    };
    let rules = group.rules.iter().map(|rule| {
        json!({
            "name": text::rule_name(group, rule),
            "pattern": rule.pattern,
            "condition": format!(">= {}", rule.at_least),
            "matching": rule.matching,
            "busiest_minute": rule.minutes.map(|minutes| minutes.busiest),
            "each": rule.each.map(|each| each.dimension),
            "ringing_minutes": rule.minutes.map(|minutes| minutes.ringing),
        })
    });
    json!({
        "name": group.name,
        "glob": group.glob,
        "parse": group.form.parse,
        "timestamp": group.form.timestamp,
        "files": group.samples.iter().map(|sample| sample.path.to_string_lossy()).collect::<Vec<_>>(),
        "lines": group.line_count(),
        "whole": group.is_whole(),
        "lines_with_time": group.samples.iter().map(with_time).sum::<usize>(),
        "rules": rules.collect::<Vec<_>>(),
        "heartbeat": group.heartbeat.map(|heartbeat| json!({
            "name": text::heartbeat_name(group),
            "period": format!("{}m", heartbeat.period_min),
            "longest_pause_ms": heartbeat.longest_pause_ms,
        })),
    })
}

fn in_words(findings: &Findings, reported: &(Vec<Value>, Vec<Value>)) -> String {
    let mut said = Vec::new();
    for (group, reported) in findings.groups.iter().zip(&reported.0) {
        let (lines, files) = (text::lines(group.line_count()), text::looked_at(group));
        let form = group.form.in_words();
        said.push(format!(
            "{}: {form}; {lines} {files}, {} with a time",
            group.name, reported["lines_with_time"]
        ));
        for rule in &group.rules {
            said.push(format!(
                "  {}: {} match{}",
                text::rule_name(group, rule),
                rule.matching,
                text::seen(rule)
            ));
        }
        if let Some(Heartbeat { period_min, .. }) = group.heartbeat {
            let name = text::heartbeat_name(group);
            said.push(format!("  {name}: rings when no line comes for three times {period_min} minutes"));
        }
        if group.rules.is_empty() {
            said.push("  no rule: nothing in these lines is known to be a failure".to_owned());
        }
    }
    said.extend(findings.skipped.iter().map(|(path, why)| format!("{path}: left out, {why}")));
    said.join("\n")
}
