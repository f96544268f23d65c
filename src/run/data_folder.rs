//! The data folder: who it is, and how its journal and snapshot come together after a start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchbell_journal::disk::Access;
use watchbell_journal::{Disk, Journal, JournalError, Options, RealDisk, Recovery};
use watchbell_model::{Entry, InstallationId, Offset, Record, Timestamp};

use super::fold::Fold;
use super::snapshot;
use super::writer::Admission;
use crate::{ExitStatus, Failure};

/// The version of the folder that is made and read.
const VERSION: u32 = 1;

const FORMAT: &str = "watchbell-data";

#[derive(Serialize, Deserialize)]
struct Identity {
    format: String,
    version: u32,
    installation: InstallationId,
    created: Timestamp,
}

/// A data folder, opened for writing.
pub struct DataFolder {
    /// Its identity.
    pub installation: InstallationId,
    /// Its journal.
    pub journal: Journal,
    /// What opening the journal found.
    pub recovery: Recovery,
    /// What the writer remembers.
    pub admission: Admission,
    /// Everything derived.
    pub fold: Fold,
    /// Where snapshots are kept.
    pub snapshots: PathBuf,
}

/// Where the journal of a data folder is.
pub fn journal_folder(data_dir: &Path) -> PathBuf {
    data_dir.join("journal")
}

/// Opens the folder, makes it if it is not there, and folds what the last snapshot does not cover.
///
/// # Errors
/// [`Failure`] that says what is wrong with which file.
pub fn open(
    disk: &Arc<dyn Disk>,
    data_dir: &Path,
    segment_bytes_max: u64,
    now: Timestamp,
) -> Result<DataFolder, Failure> {
    let installation = identify(disk.as_ref(), data_dir, now)?;
    let snapshots = data_dir.join("snapshots");
    // Whoever folds from a snapshot needs nothing below it; `watchbell journal check` reads everything.
    let trusted_below = snapshot::newest_offset(disk.as_ref(), &snapshots).map_err(snapshot_failure)?;
    let options = Options { trusted_below, segment_bytes_max, ..Options::new(installation.0) };
    let opened = Journal::open(Arc::clone(disk), &journal_folder(data_dir), options);
    let (journal, recovery) = opened.map_err(journal_failure)?;
    if recovery.cut_bytes > 0 {
        let bytes = recovery.cut_bytes;
        tracing::warn!(
            bytes,
            "cut an unfinished write off the journal's end; nothing in it had been acknowledged"
        );
    }
    if let Err(error) = journal.upkeep().reserve_at_start() {
        let needed_bytes = options.reserve_bytes;
        tracing::warn!(%error, needed_bytes, "the disk has no room for the reserve: no line is taken until it has twice that");
    }
    let snapshot = snapshot::newest(disk.as_ref(), &snapshots, installation).map_err(snapshot_failure)?;
    let (mut admission, mut fold) = match snapshot {
        Some(snapshot) => {
            let fold = Fold::restore(installation, snapshot.fold);
            (
                Admission::restore(snapshot.admission),
                fold.map_err(|error| Failure::new(ExitStatus::InputOutput, error))?,
            )
        }
        None => (Admission::default(), Fold::new(installation)),
    };
    if fold.next.0 < journal.first_offset() {
        return Err(not_covered(&snapshots, fold.next, journal.first_offset()));
    }
    let mut reader = journal.reader(fold.next.0).map_err(journal_failure)?;
    while let Some(entry) = reader.next().map_err(journal_failure)? {
        let record = decode(&entry)?;
        admission.apply(&record).map_err(|broken| {
            Failure::new(
                ExitStatus::InputOutput,
                format!("audit trail at journal entry {}: {broken}", record.offset),
            )
            .help(
                "the journal was changed by something else than Watchbell; keep a copy and restore a backup",
            )
        })?;
        fold.apply(&record).map_err(|error| {
            Failure::new(ExitStatus::InputOutput, format!("journal entry {}: {error}", record.offset))
        })?;
    }
    Ok(DataFolder { installation, journal, recovery, admission, fold, snapshots })
}

/// The newest fold of a data folder that was written by the time `at`, and until when it knows; `None` without such a
/// snapshot. Reads only.
///
/// # Errors
/// [`Failure`] if none of the snapshots can be read.
pub fn folded_by(data_dir: &Path, at: Timestamp) -> Result<Option<Fold>, Failure> {
    let found = snapshot::newest_by(&RealDisk, &data_dir.join("snapshots"), at).map_err(snapshot_failure)?;
    let Some((installation, snapshot)) = found else { return Ok(None) };
    let fold = Fold::restore(installation, snapshot.fold);
    fold.map(Some).map_err(|error| Failure::new(ExitStatus::InputOutput, error))
}

/// The archive's folder in the plan of the newest snapshot.
///
/// # Errors
/// As [`folded_by`].
pub fn archive_in_force(data_dir: &Path) -> Result<Option<PathBuf>, Failure> {
    let fold = folded_by(data_dir, Timestamp(i64::MAX))?;
    let archive = fold.and_then(|fold| fold.engine.plan()?.1.archive.clone());
    Ok(archive.map(|archive| PathBuf::from(archive.folder)))
}

/// What was before the journal's first entry is in a snapshot only.
fn not_covered(snapshots: &Path, next: Offset, first: u64) -> Failure {
    let there = if next == Offset(0) {
        "no snapshot".to_owned()
    } else {
        format!("only a snapshot that ends before entry {next}")
    };
    let message = format!(
        "the journal begins at entry {first}, and {} has {there}: what came before cannot be known",
        snapshots.display()
    );
    Failure::new(ExitStatus::InputOutput, message).help(
        "put the newest snapshot back, or restore a backup (watchbell restore); to begin anew, name another data_dir",
    )
}

fn snapshot_failure(error: snapshot::SnapshotError) -> Failure {
    let help = "move the file away: the snapshot before it, or the whole journal, is used instead; nothing is lost by it";
    Failure::new(ExitStatus::InputOutput, error).help(help)
}

/// A journal's entry as a record.
///
/// # Errors
/// [`Failure`] for entries of a newer Watchbell and for damaged ones.
pub fn decode(entry: &watchbell_journal::Entry) -> Result<Record, Failure> {
    let offset = Offset(entry.offset);
    let decoded = Entry::decode(entry.kind, &entry.payload);
    let failure = |error| Failure::new(ExitStatus::InputOutput, format!("journal entry {offset}: {error}"));
    Ok(Record { offset, time: Timestamp(entry.time_ms), entry: decoded.map_err(failure)? })
}

/// Whose folder it is. Reads only.
///
/// # Errors
/// [`Failure`] if it is no data folder, or one of another version.
pub fn installation(data_dir: &Path) -> Result<InstallationId, Failure> {
    let path = data_dir.join("installation.json");
    if !path.is_file() {
        let message = format!("{} is no data folder: it has no installation.json", data_dir.display());
        let help = "it is made by the first watchbell up; name another one with --data-dir";
        return Err(Failure::new(ExitStatus::InputOutput, message).help(help));
    }
    identify(&RealDisk, data_dir, Timestamp::default())
}

/// The folder's identity; a new one if there is none yet.
fn identify(disk: &dyn Disk, data_dir: &Path, now: Timestamp) -> Result<InstallationId, Failure> {
    let path = data_dir.join("installation.json");
    let failure = |error: &std::io::Error| {
        let failure = Failure::io(format!("data folder {}", data_dir.display()), error);
        failure.help("data_dir must be a folder that can be written to, or one that can be made")
    };
    disk.create_folder(data_dir).map_err(|error| failure(&error))?;
    match disk.open(&path, Access::Read) {
        Ok(file) => {
            let mut bytes = vec![0; 4096];
            let read = file.read_at(&mut bytes, 0).map_err(|error| Failure::io(path.display(), &error))?;
            let found: Identity = serde_json::from_slice(&bytes[..read]).map_err(|error| {
                let failure = Failure::new(ExitStatus::InputOutput, format!("{}: {error}", path.display()));
                failure.help("the file names this data folder; restore it from a backup")
            })?;
            if found.format != FORMAT || found.version != VERSION {
                let (format, version) = (found.format, found.version);
                let message = format!("{}: is {format} {version}, not {FORMAT} {VERSION}", path.display());
                return Err(
                    Failure::new(ExitStatus::InputOutput, message).help("use the Watchbell that made it")
                );
            }
            Ok(found.installation)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let installation = random_id()?;
            let file = Identity { format: FORMAT.to_owned(), version: VERSION, installation, created: now };
            make(disk, &path, &file).map_err(|error| failure(&error))?;
            Ok(installation)
        }
        Err(error) => Err(failure(&error)),
    }
}

/// Writes the file beside its place first: it is there whole or not at all.
fn make(disk: &dyn Disk, path: &Path, identity: &Identity) -> std::io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let _ = disk.remove(&unfinished); // left behind by a crash in the middle of the next lines
    let file = disk.open(&unfinished, Access::Create)?;
    file.write_at(&serde_json::to_vec(identity).expect("texts and numbers"), 0)?;
    file.sync_data()?;
    disk.rename(&unfinished, path)?;
    disk.sync_folder(path.parent().unwrap_or(Path::new(".")))
}

fn random_id() -> Result<InstallationId, Failure> {
    use ring::rand::SecureRandom;
    let mut bytes = [0; 8];
    let filled = ring::rand::SystemRandom::new().fill(&mut bytes);
    filled
        .map_err(|_| Failure::new(ExitStatus::Unavailable, "the operating system gives no random numbers"))?;
    Ok(InstallationId(bytes))
}

/// A journal's error as the end of a command.
pub fn journal_failure(error: JournalError) -> Failure {
    let status = match error {
        JournalError::InUse { .. } => ExitStatus::Unavailable,
        _ => ExitStatus::InputOutput,
    };
    Failure::new(status, error)
}
