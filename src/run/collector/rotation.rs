//! What rotation leaves beside a followed file: older files under names with a number or a date, copies, compressed ones.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::identity::born;

/// Rotated files that are looked at beside one file; of more, the youngest.
pub(super) const ROTATED_MAX: usize = 1000;

/// How often a folder is listed in which names go on to other files.
const LISTINGS_MAX: usize = 8;

/// How the names of compressed files end.
const COMPRESSED: [&str; 14] =
    ["gz", "tgz", "zst", "zstd", "xz", "txz", "bz2", "tbz2", "zip", "lz4", "lzma", "7z", "br", "Z"];

/// Whether the name says that the file is compressed.
pub(crate) fn is_compressed_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| COMPRESSED.iter().any(|known| extension == OsStr::new(known)))
}

/// Whether `name` is what rotation makes of `base`: `app.log.1`, `app.log-20261122`, `app-2026-11-22.1.log`.
pub(super) fn is_rotated_name(base: &str, name: &str) -> bool {
    if let Some(suffix) = name.strip_prefix(base) {
        return is_rotation_mark(suffix);
    }
    let Some((stem, extension)) = base.rsplit_once('.') else { return false };
    let mark = name.strip_prefix(stem).and_then(|rest| rest.strip_suffix(extension)?.strip_suffix('.'));
    !stem.is_empty() && mark.is_some_and(is_rotation_mark)
}

/// The paths that rotation may have made `path` of; see [`is_rotated_name`].
pub(super) fn bases(path: &Path) -> Vec<PathBuf> {
    let Some(name) = path.file_name().and_then(OsStr::to_str) else { return Vec::new() };
    let mut bases = Vec::new();
    for (at, _) in name.match_indices(['.', '-', '_']).filter(|(at, _)| *at > 0) {
        if is_rotation_mark(&name[at..]) {
            bases.push(path.with_file_name(&name[..at]));
        } else if let Some((mark, extension)) =
            name[at..].rsplit_once('.').filter(|(mark, _)| is_rotation_mark(mark))
        {
            let stem = &name[..name.len() - mark.len() - extension.len() - 1];
            bases.push(path.with_file_name(format!("{stem}.{extension}")));
        }
    }
    bases
}

/// A dot, a hyphen or an underscore, then digits and what stands between the parts of a date.
fn is_rotation_mark(mark: &str) -> bool {
    let Some(mark) = mark.strip_prefix(['.', '-', '_']) else { return false };
    mark.starts_with(|c: char| c.is_ascii_digit())
        && mark.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '_' | ':' | 'T' | 'Z'))
}

/// The files of a folder whose names rotation may have made of another's, by that other's path; oldest first.
pub(super) fn rotated_in(folder: &Path) -> BTreeMap<PathBuf, Vec<(PathBuf, Metadata)>> {
    let mut found: BTreeMap<PathBuf, Vec<(PathBuf, Metadata)>> = BTreeMap::new();
    for (path, metadata) in files(folder, |path| !bases(path).is_empty()) {
        for base in bases(&path) {
            found.entry(base).or_default().push((path.clone(), metadata.clone()));
        }
    }
    found.into_iter().map(|(base, files)| (base, youngest(files))).collect()
}

/// Files beside `path` whose names rotation makes of its name, oldest first.
pub(super) fn rotated(path: &Path) -> Vec<(PathBuf, Metadata)> {
    let (Some(folder), Some(base)) = (path.parent(), path.file_name().and_then(OsStr::to_str)) else {
        return Vec::new();
    };
    let is_ours = |path: &Path| {
        path.file_name().and_then(OsStr::to_str).is_some_and(|name| is_rotated_name(base, name))
    };
    youngest(files(folder, is_ours))
}

/// The files of a folder that `wanted` names. If names went on to other files while they were asked about, a file may be
/// missing under its new one: then all are asked about again.
fn files(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<(PathBuf, Metadata)> {
    let mut found: Vec<(PathBuf, Metadata)> = Vec::new();
    for _ in 0..LISTINGS_MAX {
        let before: Vec<u64> = found.drain(..).map(|(_, metadata)| metadata.ino()).collect();
        let mut moved = false;
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if !wanted(&path) {
                continue;
            }
            let metadata = entry.metadata();
            moved |= metadata.as_ref().map_or(true, |metadata| metadata.ino() != entry.ino());
            found.extend(metadata.ok().filter(Metadata::is_file).map(|metadata| (path, metadata)));
        }
        // Some file systems give other numbers in listings; there two listings must agree.
        if !moved || found.iter().map(|(_, metadata)| metadata.ino()).eq(before) {
            break;
        }
    }
    found
}

fn youngest(mut files: Vec<(PathBuf, Metadata)>) -> Vec<(PathBuf, Metadata)> {
    files.sort_by_cached_key(|(path, metadata)| (born(metadata), path.clone()));
    files.split_off(files.len().saturating_sub(ROTATED_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_number_or_a_date_are_rotated_ones() {
        for (base, name) in [
            ("app.log", "app.log.1"),
            ("app.log", "app.log.10"),
            ("app.log", "app.log-20261122"),
            ("app.log", "app.log-20261122.1"),
            ("app.log", "app.log.2026-11-22_10:00:00"),
            ("app.log", "app.1.log"),
            ("app.log", "app-2026-11-22.3.log"),
            ("app", "app.1"),
        ] {
            assert!(is_rotated_name(base, name), "{base} {name}");
            let bases = bases(&Path::new("/var/log").join(name));
            assert!(bases.contains(&Path::new("/var/log").join(base)), "{base} {name} {bases:?}");
        }
        for (base, name) in [
            ("app.log", "app.log"),
            ("app.log", "app.log.1.gz"),
            ("app.log", "app.log.old"),
            ("app.log", "app.log."),
            ("app.log", "app.log1"),
            ("app.log", "app.log.swp"),
            ("app.log", "application.1.log"),
            ("app.log", "web.log.1"),
            (".log", "1.log"),
            ("app.log", "app.log-error"),
        ] {
            assert!(!is_rotated_name(base, name), "{base} {name}");
            assert!(!bases(Path::new(name)).contains(&PathBuf::from(base)), "{base} {name}");
        }
    }

    #[test]
    fn compressed_files_have_their_names() {
        for name in ["a.gz", "a.log.1.zst", "a.xz", "a.bz2", "a.zip", "a.tgz", "a.Z"] {
            assert!(is_compressed_name(Path::new(name)), "{name}");
        }
        for name in ["a.log", "gz", "a.gz.1", "a.gzip.log", ".gz"] {
            assert!(!is_compressed_name(Path::new(name)), "{name}");
        }
    }
}
