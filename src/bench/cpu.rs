//! Processor time, user and system, as Linux counts it. The kernel's own threads, which write pages to the disk, are not
//! in it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

use crate::{ExitStatus, Failure};

/// Of this process, in seconds.
#[expect(clippy::cast_precision_loss, reason = "seconds of a bench are few")]
pub(super) fn of_process() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Of each thread of a process, by its number or `self`, and the first 15 letters of its name, in seconds.
///
/// # Errors
/// [`Failure`] where there is no `/proc` as Linux has it.
pub(super) fn by_thread(process: impl Display) -> Result<BTreeMap<String, f64>, Failure> {
    let mut all = BTreeMap::new();
    let threads = fs::read_dir(format!("/proc/{process}/task")).map_err(|error| needs_linux(&error))?;
    for thread in threads.flatten() {
        // It may have ended by now.
        if let Some((name, seconds)) = thread_time(&thread.path()) {
            *all.entry(name).or_default() += seconds;
        }
    }
    Ok(all)
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a bench are few")]
fn thread_time(folder: &Path) -> Option<(String, f64)> {
    let name = fs::read_to_string(folder.join("comm")).ok()?;
    let times = fs::read_to_string(folder.join("schedstat")).ok()?;
    let nanoseconds: u64 = times.split(' ').next()?.parse().ok()?;
    Some((name.trim_end().to_owned(), nanoseconds as f64 / 1e9))
}

fn needs_linux(error: &std::io::Error) -> Failure {
    let failure = Failure::new(ExitStatus::Unavailable, format!("processor times in /proc: {error}"));
    failure
        .help("`watchbell bench` reads the times of threads as Linux gives them; it does not run elsewhere")
}
