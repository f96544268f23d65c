//! Processor time, user and system, as Linux counts it.

use std::{fs, io};

use rustix::time::{ClockId, clock_gettime};

/// Of this thread, in seconds.
#[expect(clippy::cast_precision_loss, reason = "seconds of a bench are few")]
pub fn of_thread() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// What `run` takes of this thread, in seconds.
pub fn spent(run: impl FnOnce()) -> f64 {
    let start = of_thread();
    run();
    of_thread() - start
}

/// Of the child processes that have ended, in seconds; counted in hundredths.
///
/// # Errors
/// Where there is no `/proc` as Linux has it.
#[expect(clippy::cast_precision_loss, reason = "seconds of a bench are few")]
pub fn of_children() -> io::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which may hold anything, come: state, …; the times of children are the fields 16 and 17.
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: u64 = fields.skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
