//! What a process costs, read from the system: processor time and memory.

use std::fs;

/// Processor time of all threads of a process so far, in nanoseconds; threads that have ended count
/// only in the process's own total, so both are read and the larger counts.
pub fn cpu_nanos(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let by_thread = threads
        .filter_map(|entry| fs::read_to_string(entry.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum::<u64>();
    by_thread.max(cpu_ticks(pid).unwrap_or(0))
}

/// User and system time from `/proc/PID/stat`, which has ticks of 10 ms.
fn cpu_ticks(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit(')').next()?.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) * 10_000_000)
}

/// A field of `/proc/PID/status` in KiB, such as `VmRSS` or `VmHWM`.
pub fn status_kib(pid: u32, field: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|line| line.split(':').next() == Some(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Forgets the peak of resident memory, so that `VmHWM` starts again from now.
pub fn reset_peak(pid: u32) {
    // Not permitted for processes of other users; then the peak since its start is reported.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}
