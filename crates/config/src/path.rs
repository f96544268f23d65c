//! Paths and globs as they are written, made absolute.

use std::path::{Component, Path};

/// `path` seen from `folder`, absolute, without `.` parts. `..` stays: what it means depends on symbolic links.
///
/// # Errors
/// What is wrong, as the end of a message about the path.
pub(crate) fn absolute(folder: &Path, path: &str) -> Result<String, &'static str> {
    check(path)?;
    join(&utf8(folder)?, path)
}

/// A glob seen from `folder`. Characters of `folder` itself are never taken as wildcards.
///
/// # Errors
/// What is wrong, as the end of a message about the glob.
pub(crate) fn absolute_glob(folder: &Path, glob: &str) -> Result<String, &'static str> {
    check(glob)?;
    check_glob(glob)?;
    join(&escape_glob(&utf8(folder)?), glob)
}

fn utf8(folder: &Path) -> Result<String, &'static str> {
    folder.to_str().map(str::to_owned).ok_or("is relative to a folder whose name is not UTF-8")
}

fn check(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("is empty");
    }
    if path.starts_with('~') {
        return Err("starts with \"~\", which only a shell understands");
    }
    if path.contains("://") {
        return Err("is an address, not a path");
    }
    if path.chars().any(char::is_control) { Err("has a control character") } else { Ok(()) }
}

fn join(folder: &str, path: &str) -> Result<String, &'static str> {
    let joined = Path::new(folder).join(path);
    let plain: std::path::PathBuf = joined.components().filter(|part| *part != Component::CurDir).collect();
    plain.to_str().map(str::to_owned).ok_or("is not UTF-8")
}

/// Refuses a glob whose brackets do not close, and `**` that is not a whole part.
fn check_glob(glob: &str) -> Result<(), &'static str> {
    if glob.split('/').any(|part| part.contains("**") && part != "**") {
        return Err("has \"**\" beside other characters; it stands for whole folders");
    }
    let mut rest = glob;
    while let Some(open) = rest.find('[') {
        let class = rest[open + 1..].trim_start_matches('!');
        // A `]` that comes first is a member, as in every shell.
        let Some(close) = class.char_indices().skip(1).find(|(_, c)| *c == ']').map(|(at, _)| at) else {
            return Err("has a \"[\" without its \"]\"");
        };
        if class[..close].contains('/') {
            return Err("has a \"/\" between \"[\" and \"]\"");
        }
        rest = &class[close + 1..];
    }
    Ok(())
}

/// `text` as a glob that matches only itself.
fn escape_glob(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '*' | '?' | '[' => escaped.extend(['[', character, ']']),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_start_at_the_folder() {
        let folder = Path::new("/etc/watchbell");
        assert_eq!(absolute(folder, "./data").unwrap(), "/etc/watchbell/data");
        assert_eq!(absolute(folder, "../x/./y").unwrap(), "/etc/watchbell/../x/y");
        assert_eq!(absolute(folder, "/var/lib").unwrap(), "/var/lib");
        assert_eq!(absolute(folder, ".").unwrap(), "/etc/watchbell");
        for bad in ["", "~/x", "a\0b", "file:///x"] {
            assert!(absolute(folder, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn wildcards_in_the_name_of_the_folder_are_plain_characters() {
        let folder = Path::new("/srv/[prod]*");
        assert_eq!(absolute_glob(folder, "*.log").unwrap(), "/srv/[[]prod][*]/*.log");
        assert_eq!(absolute_glob(folder, "/x/*.log").unwrap(), "/x/*.log");
    }

    #[test]
    fn globs_are_checked() {
        for good in ["*", "a?.log", "**/x", "/a/**/b*", "[a-z]", "[!a]", "[]]", "[]a]", "[!]]"] {
            assert!(check_glob(good).is_ok(), "{good}");
        }
        for bad in ["[", "a[b", "[]", "[!]", "a**", "**b/x", "[a/b]", "***"] {
            assert!(check_glob(bad).is_err(), "{bad}");
        }
    }
}
