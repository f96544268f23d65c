//! Files that are one log, and what the log is called.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use watchbell_model::{GroupName, ParseKind, TimestampFrom};

use super::form::Form;
use super::heartbeat::Heartbeat;
use super::rule::Rule;
use super::sample::Sample;

/// Folders that say nothing about a log.
const PLAIN_FOLDERS: [&str; 7] = ["log", "logs", "var", "home", "opt", "srv", "tmp"];

/// A log group to be.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: GroupName,
    /// Finds its files, as it will be written.
    pub(crate) glob: String,
    pub(crate) form: Form,
    pub(crate) samples: Vec<Sample>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) heartbeat: Option<Heartbeat>,
}

impl Group {
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.samples.iter().flat_map(|sample| &sample.lines).map(String::as_str)
    }

    pub(crate) fn line_count(&self) -> usize {
        self.samples.iter().map(|sample| sample.lines.len()).sum()
    }

    /// Whether it shows a form, a time or a level, or the user said that it is one.
    pub(crate) fn is_log(&self) -> bool {
        let is_known = self.form.parse != ParseKind::Plain || self.form.timestamp != TimestampFrom::Arrival;
        is_known || !self.rules.is_empty() || self.samples.iter().any(|sample| sample.named)
    }

    /// Whether every line of its files was looked at.
    pub(crate) fn is_whole(&self) -> bool {
        self.samples.iter().all(|sample| sample.gap.is_none())
    }
}

/// Samples with the same glob are one group, read as the file that is being written to: `app.log`, not `app.log.1`.
pub(crate) fn groups(samples: impl Iterator<Item = (Sample, Form)>, folder: &Path) -> Vec<Group> {
    let mut samples: Vec<(Sample, Form)> = samples.collect();
    samples.sort_by(|(one, _), (other, _)| one.path.cmp(&other.path));
    samples.dedup_by(|(one, _), (other, _)| one.path == other.path);
    let mut found: Vec<Group> = Vec::new();
    for (sample, form) in samples {
        let glob = glob_of(&sample.path, folder);
        if let Some(group) = found.iter_mut().find(|group| group.glob == glob) {
            group.samples.push(sample);
        } else {
            let name = name_of(&sample.path);
            found.push(Group { name, glob, form, samples: vec![sample], rules: Vec::new(), heartbeat: None });
        }
    }
    number_equal_names(&mut found);
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

/// Of groups with one name the second is `name-2`.
fn number_equal_names(groups: &mut [Group]) {
    let mut counts: BTreeMap<GroupName, usize> = BTreeMap::new();
    let mut taken: BTreeSet<GroupName> = groups.iter().map(|group| group.name.clone()).collect();
    // The file without a date in its name has the name as it is.
    let mut in_turn: Vec<&mut Group> = groups.iter_mut().collect();
    in_turn.sort_by_key(|group| group.glob.contains('*'));
    for group in in_turn {
        let count = counts.entry(group.name.clone()).or_insert(0);
        *count += 1;
        while *count > 1 {
            let name =
                GroupName::new(format!("{}-{count}", group.name)).unwrap_or_else(|_| group.name.clone());
            if taken.insert(name.clone()) {
                group.name = name;
                break;
            }
            *count += 1;
        }
    }
}

/// The glob that finds this file and those that rotation by date will make of it, relative to `folder` if it is in
/// there.
fn glob_of(path: &Path, folder: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let parent = absolute.parent().unwrap_or(Path::new("/"));
    let parent = parent.strip_prefix(folder).unwrap_or(parent);
    let parent = glob::Pattern::escape(&parent.to_string_lossy());
    let stem = stem_of(path);
    let name = stem.split('*').map(glob::Pattern::escape).collect::<Vec<_>>().join("*");
    match parent.as_str() {
        "" => name,
        parent => format!("{}/{name}", parent.trim_end_matches('/')),
    }
}

/// The file's name with `*` for dates, and without the number that rotation put behind it: `access.log.1` was
/// `access.log`.
fn stem_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = match name.rsplit_once('.') {
        Some((stem, number)) if !stem.is_empty() && is_number(number) && number.len() <= 3 => stem,
        _ => &name,
    };
    // `access.log-20261122` was `access.log`, too.
    let name = match name.rsplit_once('-') {
        Some((stem, date)) if stem.contains('.') && is_number(date) && date.len() >= 8 => stem,
        _ => name,
    };
    let mut out = String::new();
    let mut rest = name;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, digits) = rest.split_at(start);
        let is_of_date = |c: char| c.is_ascii_digit() || matches!(c, '-' | '_');
        let length = digits.find(|c| !is_of_date(c)).unwrap_or(digits.len());
        let run = digits[..length].trim_end_matches(['-', '_']);
        out += before;
        // 20261122, 2026-11-22, 2026-11.
        out += if run.chars().filter(char::is_ascii_digit).count() >= 6 { "*" } else { run };
        rest = &digits[run.len()..];
    }
    out + rest
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `/var/log/nginx/access.log` is `nginx/access`, `shop/logs/app.log` is `shop/app`, `/var/log/auth.log` is `auth`.
fn name_of(path: &Path) -> GroupName {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let stem = stem_of(path);
    let stem = stem.strip_suffix(".gz").unwrap_or(&stem);
    let stem = [".log", ".jsonl", ".ndjson", ".json", ".txt", ".out"]
        .into_iter()
        .find_map(|ending| stem.strip_suffix(ending))
        .unwrap_or(stem);
    let folders = absolute.parent().into_iter().flat_map(Path::components).filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    let folders: Vec<String> = folders.collect();
    let folder = folders
        .iter()
        .rev()
        .find(|name| !["log", "logs"].contains(&name.as_str()))
        .filter(|name| !PLAIN_FOLDERS.contains(&name.as_str()));
    let (folder, stem) = (folder.map(|name| clean(name)), clean(stem));
    let name = match folder {
        Some(folder) if !folder.is_empty() && folder != stem => format!("{folder}/{stem}"),
        _ => stem,
    };
    GroupName::new(&*name).unwrap_or_else(|_| GroupName::new("logs").expect("a good name"))
}

/// Only what may stand in a name, without what rotation left at its ends.
fn clean(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_#".contains(c);
    let kept: String = text.chars().filter(|c| *c != '*').map(|c| if allowed(c) { c } else { '-' }).collect();
    kept.trim_matches(['-', '.', '_']).chars().take(GroupName::CHARS_MAX / 4).collect()
}

#[cfg(test)]
mod tests {
    use watchbell_model::Timestamp;

    use super::*;

    #[test]
    fn names_are_those_of_folder_and_file() {
        for (path, name) in [
            ("/var/log/nginx/access.log", "nginx/access"),
            ("/var/log/nginx/access.log.1", "nginx/access"),
            ("/var/log/auth.log", "auth"),
            ("/var/log/syslog", "syslog"),
            ("/srv/shop/logs/app-2026-11-22.jsonl", "shop/app"),
            ("/opt/über shop/app.log", "ber-shop/app"),
            ("/srv/app/app.log", "app"),
            ("/var/log/***", "logs"),
        ] {
            assert_eq!(name_of(Path::new(path)).as_str(), name, "{path}");
        }
    }

    #[test]
    fn globs_find_the_file_and_its_dated_followers() {
        for (path, glob) in [
            ("/etc/watch/logs/app.log", "logs/app.log"),
            ("/etc/watch/app.log", "app.log"),
            ("/var/log/app.log.12", "/var/log/app.log"),
            ("/var/log/app.log-20261122", "/var/log/app.log"),
            ("/var/log/app-20261122.log", "/var/log/app-*.log"),
            ("/var/log/app-2026-11-22_1.log", "/var/log/app-*.log"),
            ("/var/log/app2.log", "/var/log/app2.log"),
            ("/var/log/[x]/a*.log", "/var/log/[[]x[]]/a*.log"),
            ("/app.log", "/app.log"),
        ] {
            assert_eq!(glob_of(Path::new(path), Path::new("/etc/watch")), glob, "{path}");
        }
    }

    #[test]
    fn rotated_files_are_one_group_and_equal_names_are_numbered() {
        let sample = |path: &str| {
            let sample = Sample {
                path: path.into(),
                named: true,
                written: Timestamp(0),
                lines: vec!["x".to_owned()],
                gap: None,
            };
            (sample, Form { parse: ParseKind::Plain, timestamp: TimestampFrom::Arrival })
        };
        let paths =
            ["/a/x/app.log.1", "/a/x/app.log", "/a/x/app.log", "/b/x/app.log", "/a/x/app-20261122.log"];
        let found = groups(paths.map(sample).into_iter(), Path::new("/a"));
        let shown: Vec<String> = found
            .iter()
            .map(|group| format!("{} {} {}", group.name, group.glob, group.samples.len()))
            .collect();
        assert_eq!(shown, ["x/app x/app.log 2", "x/app-2 /b/x/app.log 1", "x/app-3 x/app-*.log 1"]);
    }
}
