//! Removing old files of an instance.
//!
//! Promise: only files that a glob means are removed, never what a link leads to, whoever may write beside them. Whoever
//! owns a folder can put a link into it while the superuser looks: so nothing is expanded by a shell, and `find` walks and
//! removes by folders that it holds open.

use std::fmt::Write as _;

use super::quote::shell;

/// What the script begins with.
const HEAD: &str = r#"#!/bin/bash
set -uo pipefail
# Names are letters; what is no UTF-8 is not taken.
export LC_ALL=C.UTF-8
status=0

# prune FOLDER TEST…: removes the files in the folder that pass the tests
prune() (
  if [[ ! -e $1 && ! -L $1 ]]; then
    printf 'there is no folder %q\n' "$1"
    exit 0
  fi
  # From here on, nobody can put another folder in its place.
  cd -P -- "$1" || exit 1
  if [[ $PWD != "$1" ]]; then
    printf 'a link leads to %q: nothing is removed\n' "$1" >&2
    exit 1
  fi
  printf 'in %q:\n' "$1"
  exec find -P . -mindepth 1 "${@:2}"
)

"#;

/// A script that removes the files that the globs mean and that have not been written to for so long. It prints each with its
/// size and time; signs that do not print are written with a backslash. A glob that ends with `**` means folders, not files.
pub(super) fn script(globs: &[String], older_than_ms: i64) -> String {
    let minutes = older_than_ms.div_euclid(60_000) + i64::from(older_than_ms.rem_euclid(60_000) > 0);
    let mut script = HEAD.to_owned();
    for glob in globs.iter().filter(|glob| !glob.ends_with("/**")) {
        let Files { folder, depth, expression } = files(glob);
        let (folder, expression) = (shell(&folder), shell(&expression));
        write!(script, "prune {folder}").expect("a String takes everything");
        if let Some(depth) = depth {
            write!(script, " -maxdepth {depth}").expect("a String takes everything");
        }
        writeln!(
            script,
            " -regextype posix-extended -regex {expression} -type f -mmin +{minutes} -delete -ls || status=1"
        )
        .expect("a String takes everything");
    }
    script.push_str("exit \"$status\"\n");
    script
}

/// What a glob means, for `find`.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    /// The last folder before anything is left open.
    folder: String,
    /// How many parts below it a path has; `None`: any number.
    depth: Option<usize>,
    /// What the path from there looks like, which begins with a dot: a POSIX extended regular expression.
    expression: String,
}

/// The files of a glob, which is absolute and checked.
fn files(glob: &str) -> Files {
    let parts: Vec<&str> = glob.split('/').filter(|part| !part.is_empty()).collect();
    let (_, folders) = parts.split_last().expect("a glob names a file");
    let closed: Vec<String> = folders.iter().map_while(|part| literal(part)).collect();
    let folder = format!("/{}", closed.join("/"));
    let open = &parts[closed.len()..];
    let mut expression = "\\.".to_owned();
    for part in open {
        expression.push_str(&if *part == "**" { "(/[^/]+)*".to_owned() } else { part_expression(part) });
    }
    let depth = (!parts.contains(&"**")).then_some(open.len());
    Files { folder, depth, expression }
}

/// The text of a part that leaves nothing open: `[*]` is a star.
fn literal(part: &str) -> Option<String> {
    let mut text = String::new();
    for token in Tokens(part) {
        match token {
            Token::Letter(letter) => text.push(letter),
            Token::Class { negated: false, inside } if inside.chars().count() == 1 => text.push_str(inside),
            _ => return None,
        }
    }
    Some(text)
}

fn part_expression(part: &str) -> String {
    let mut expression = "/".to_owned();
    for token in Tokens(part) {
        match token {
            Token::Letter(letter) => expression.push_str(&escaped(&letter.to_string())),
            Token::Any => expression.push_str("[^/]*"),
            Token::One => expression.push_str("[^/]"),
            Token::Class { negated, inside } => expression.push_str(&class(negated, inside)),
        }
    }
    expression
}

/// A bracket expression of POSIX, in which `]` stands first, `-` last and `^` not first.
fn class(negated: bool, inside: &str) -> String {
    let letters: Vec<char> = inside.chars().collect();
    let (mut ranges, mut first, mut middle, mut last) = (String::new(), "", String::new(), "");
    let mut at = 0;
    while at < letters.len() {
        if let [from, '-', to, ..] = letters[at..] {
            ranges.extend([from, '-', to]);
            at += 3;
            continue;
        }
        match letters[at] {
            ']' => first = "]",
            '-' => last = "-",
            letter => middle.push(letter),
        }
        at += 1;
    }
    // `[` before `.`, `=` or `:` begins something else.
    let caret = if middle.contains('^') { "^" } else { "" };
    let bracket = if middle.contains('[') { "[" } else { "" };
    let middle = middle.replace(['^', '['], "");
    if negated {
        return format!("[^{first}/{ranges}{middle}{bracket}{caret}{last}]");
    }
    match format!("{first}{ranges}{middle}{bracket}{caret}{last}").as_str() {
        "^" => "\\^".to_owned(),
        "^-" => "[-^]".to_owned(),
        inside => format!("[{inside}]"),
    }
}

/// A text in a regular expression, as it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        if "\\.[]{}()*+?^$|".contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// A piece of a part of a glob.
enum Token<'a> {
    Letter(char),
    Any,
    One,
    Class { negated: bool, inside: &'a str },
}

/// The pieces of a part of a glob.
struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let first = self.0.chars().next()?;
        let rest = &self.0[first.len_utf8()..];
        self.0 = rest;
        Some(match first {
            '*' => Token::Any,
            '?' => Token::One,
            '[' => {
                let negated = rest.starts_with('!');
                let from = usize::from(negated);
                // A closing bracket that stands first is one of the letters.
                let first_letter = rest[from..].chars().next().expect("brackets of a checked glob close");
                let after = from + first_letter.len_utf8();
                let end = after + rest[after..].find(']').expect("brackets of a checked glob close");
                self.0 = &rest[end + 1..];
                Token::Class { negated, inside: &rest[from..end] }
            }
            letter => Token::Letter(letter),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs::{self, File};
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output};
    use std::time::Duration;

    use super::*;

    const DAY_MS: i64 = 86_400_000;

    /// A folder without links in its path.
    struct Folder {
        path: PathBuf,
        _removed_at_the_end: tempfile::TempDir,
    }

    impl Folder {
        fn new() -> Folder {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().canonicalize().unwrap();
            Folder { path, _removed_at_the_end: folder }
        }

        fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
            self.path.join(Path::new(name.as_ref()))
        }

        fn file(&self, name: impl AsRef<OsStr>, days_old: u64) {
            let path = self.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let file = File::create(path).unwrap();
            let age = Duration::from_secs(days_old * 86_400 + 3600);
            // It is new: that is now.
            let now = file.metadata().unwrap().modified().unwrap();
            file.set_modified(now - age).unwrap();
        }

        /// Removes what is older than ten days.
        fn prune(&self, globs: &[&str]) -> Output {
            let root = self.path.to_str().unwrap();
            let globs: Vec<String> = globs.iter().map(|glob| format!("{root}/{glob}")).collect();
            let script = script(&globs, 10 * DAY_MS);
            Command::new("bash").args(["-c", &script]).output().unwrap()
        }

        fn names(&self) -> Vec<Vec<u8>> {
            let mut names = Vec::new();
            let mut folders = vec![self.path.clone()];
            while let Some(folder) = folders.pop() {
                for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                    if entry.file_type().unwrap().is_dir() {
                        folders.push(entry.path());
                    } else {
                        let path = entry.path();
                        let name = path.strip_prefix(&self.path).unwrap();
                        names.push(name.as_os_str().as_bytes().to_vec());
                    }
                }
            }
            names.sort();
            names
        }
    }

    fn bytes(names: &[&str]) -> Vec<Vec<u8>> {
        names.iter().map(|name| name.as_bytes().to_vec()).collect()
    }

    #[test]
    fn old_files_that_a_glob_means_are_removed_and_named() {
        let folder = Folder::new();
        for name in ["old.log", ".hidden.log", "a b.log", "line\nend.log", "it's $(x).log", "Ä.log"] {
            folder.file(name, 11);
        }
        folder.file(OsStr::from_bytes(b"\xff.log"), 11);
        folder.file("new.log", 9);
        folder.file("old.txt", 11);
        folder.file("deeper/old.log", 11);
        let output = folder.prune(&["*.log"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(
            folder.names(),
            [b"deeper/old.log".to_vec(), b"new.log".to_vec(), b"old.txt".to_vec(), b"\xff.log".to_vec()]
        );
        assert_eq!(text.lines().count(), 1 + 6, "{text}");
        assert!(text.contains("line\\nend.log"), "{text}");
    }

    #[test]
    fn nothing_is_removed_through_links() {
        let folder = Folder::new();
        folder.file("kept/old.log", 11);
        fs::create_dir_all(folder.path("logs/sub.log")).unwrap();
        symlink(folder.path("kept/old.log"), folder.path("logs/link.log")).unwrap();
        symlink(folder.path("kept"), folder.path("logs/folder")).unwrap();
        symlink(folder.path("kept"), folder.path("elsewhere")).unwrap();
        let before = folder.names();
        let output = folder.prune(&["logs/*.log", "logs/*/old.log", "logs/**/*.log", "logs/**"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(folder.names(), before);
        let output = folder.prune(&["elsewhere/*.log"]);
        assert!(!output.status.success());
        assert!(String::from_utf8(output.stderr).unwrap().contains("a link leads to"));
        assert_eq!(folder.names(), before);
    }

    #[test]
    fn a_folder_that_is_not_there_is_no_mistake() {
        let folder = Folder::new();
        folder.file("logs/old.log", 11);
        let output = folder.prune(&["absent/*.log", "logs/*.log"]);
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().starts_with("there is no folder "));
        assert!(folder.names().is_empty());
    }

    #[test]
    fn globs_mean_the_same_as_where_files_are_followed() {
        for (glob, removed) in [
            ("*.log", &["[a].log", "a.log", "b.log", "{}.log"][..]),
            ("?.log", &["a.log", "b.log"]),
            ("[ab].log", &["a.log", "b.log"]),
            ("[!a].log", &["b.log"]),
            ("[a-c].log", &["a.log", "b.log"]),
            ("[[]a[]].log", &["[a].log"]),
            ("{}.log", &["{}.log"]),
            ("d/e/*", &["d/e/f.gz", "d/e/g-1", "d/e/g^1"]),
            ("d/*/*.gz", &["d/e/f.gz"]),
            ("**/*.gz", &["c.gz", "d/e/f.gz"]),
            ("d/**/e/*.gz", &["d/e/f.gz"]),
            ("d/**", &[]),
            ("d/**/*", &["d/e/f.gz", "d/e/g-1", "d/e/g^1"]),
            ("d/e/g[-^]1", &["d/e/g-1", "d/e/g^1"]),
            ("d/e/g[^]1", &["d/e/g^1"]),
            ("d/e/g[!-]1", &["d/e/g^1"]),
            ("c.gz", &["c.gz"]),
            (".+", &[]),
        ] {
            let folder = Folder::new();
            let all = ["[a].log", "a.log", "b.log", "c.gz", "d/e/f.gz", "d/e/g-1", "d/e/g^1", "{}.log"];
            for name in all {
                folder.file(name, 11);
            }
            let output = folder.prune(&[glob]);
            assert!(output.status.success(), "{glob}: {}", String::from_utf8_lossy(&output.stderr));
            let kept: Vec<&str> = all.into_iter().filter(|name| !removed.contains(name)).collect();
            assert_eq!(folder.names(), bytes(&kept), "{glob}");
        }
    }
}
