//! What the kernel says of a process: its processor time and its memory, from /proc.

use std::fs;
use std::time::Duration;

/// `USER_HZ`, the unit of times in /proc/PID/stat: 100 on every architecture that this project is built for (proc(5)).
const TICKS_PER_SECOND: u64 = 100;

/// User and system time of a process, with all of its threads, those that ended among them.
pub fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the forwarder runs");
    // The second field is the name in brackets, which may hold anything; utime and stime are the 14th and 15th.
    let after_name = &stat[stat.rfind(')').expect("the name is in brackets") + 1..];
    let ticks: u64 = after_name
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().expect("a number of ticks"))
        .sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// Resident memory now, in KiB.
pub fn resident_kib(pid: u32) -> u64 {
    status(pid, "VmRSS:")
}

/// The most resident memory so far, in KiB.
pub fn peak_kib(pid: u32) -> u64 {
    status(pid, "VmHWM:")
}

fn status(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the forwarder runs");
    let line = status.lines().find(|line| line.starts_with(name)).expect("every process has it");
    line.split_ascii_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number of KiB")
}
