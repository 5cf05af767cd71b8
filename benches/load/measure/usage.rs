//! Resource use of a process: processor time in microseconds (including ended threads), and memory.

use std::io;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// A measured process.
#[derive(Debug, Clone, Copy)]
pub struct Process(pub Pid);

impl Process {
    /// The load generator itself.
    pub fn this() -> Self {
        Self(Pid::this())
    }

    /// Processor time, user and system, of all its threads since the start.
    pub fn cpu(self) -> io::Result<Duration> {
        Ok(clock_gettime(ClockId::pid_cpu_clock_id(self.0)?)?.into())
    }

    /// Current resident memory in MiB.
    pub fn rss_mib(self) -> io::Result<f64> {
        self.status("VmRSS:")
    }

    /// Peak resident memory in MiB.
    pub fn peak_rss_mib(self) -> io::Result<f64> {
        self.status("VmHWM:")
    }

    /// Begins to measure the peak again.
    pub fn reset_peak_rss(self) -> io::Result<()> {
        // See proc(5).
        std::fs::write(format!("/proc/{}/clear_refs", self.0), "5")
    }

    /// Number of open file descriptors.
    pub fn files(self) -> io::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.0))?.count())
    }

    /// Number of threads.
    pub fn threads(self) -> io::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix("Threads:"));
        line.and_then(|rest| rest.trim().parse().ok()).ok_or_else(|| io::Error::other("no threads in /proc"))
    }

    fn status(self, key: &str) -> io::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        kib.map(|kib| kib / 1024.0).ok_or_else(|| io::Error::other(format!("no {key} in /proc")))
    }
}
