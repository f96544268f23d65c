//! What Linux says of another process.

use std::fs;

use crate::Failure;

/// The memory of a process from a moment on.
pub(super) struct Memory(u32);

impl Memory {
    /// Forgets what it had at most so far.
    pub(super) fn watch(process: u32) -> Result<Memory, Failure> {
        let path = format!("/proc/{process}/clear_refs");
        // 5 is what makes the kernel take the present size as the largest one.
        fs::write(&path, "5").map_err(|error| Failure::io(&path, &error))?;
        Ok(Memory(process))
    }

    /// What it had at most, in bytes.
    pub(super) fn peak(&self) -> Result<u64, Failure> {
        let path = format!("/proc/{}/status", self.0);
        let status = fs::read_to_string(&path).map_err(|error| Failure::io(&path, &error))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(kilobytes.expect("Linux says so of every process") * 1024)
    }
}
