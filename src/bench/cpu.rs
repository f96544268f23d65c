//! Processor time, user and system, as Linux counts it. The kernel's own threads, which write pages to the disk, are not
//! in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

use crate::{ExitStatus, Failure};

/// Of this process, in seconds.
pub(super) fn of_process() -> f64 {
    seconds(ClockId::ProcessCPUTime)
}

/// Of this thread, in seconds.
pub(super) fn of_thread() -> f64 {
    seconds(ClockId::ThreadCPUTime)
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a bench are few")]
fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// What `run` takes of this thread, in seconds.
pub(super) fn spent(run: impl FnOnce()) -> f64 {
    let start = of_thread();
    run();
    of_thread() - start
}

/// Of each thread of this process, by the first 15 letters of its name, in seconds.
///
/// # Errors
/// [`Failure`] where there is no `/proc` as Linux has it.
pub(super) fn by_thread() -> Result<BTreeMap<String, f64>, Failure> {
    let mut all = BTreeMap::new();
    let threads = fs::read_dir("/proc/self/task").map_err(|error| needs_linux(&error))?;
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

/// Of the child processes that have ended, in seconds; counted in hundredths.
///
/// # Errors
/// As [`by_thread`].
#[expect(clippy::cast_precision_loss, reason = "seconds of a bench are few")]
pub(super) fn of_children() -> Result<f64, Failure> {
    let stat = fs::read_to_string("/proc/self/stat").map_err(|error| needs_linux(&error))?;
    // Behind the name, which may hold anything, come: state, …; the times of children are the fields 16 and 17.
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: u64 = fields.skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

fn needs_linux(error: &std::io::Error) -> Failure {
    let failure = Failure::new(ExitStatus::Unavailable, format!("processor times in /proc: {error}"));
    failure
        .help("`watchbell bench` reads the times of threads as Linux gives them; it does not run elsewhere")
}
