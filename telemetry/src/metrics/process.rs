//! What the kernel knows of this process.

use super::Pen;
use procfs::process::{LimitValue, Process as Kernel};
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};
use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// Reads `/proc/self` each time it is asked.
#[derive(Debug)]
pub(super) struct Process {
    ticks_per_second: f64,
    page_bytes: u64,
    /// Unix time of its start.
    started_s: f64,
}

impl Process {
    pub(super) fn new() -> Self {
        Self {
            ticks_per_second: procfs::ticks_per_second() as f64,
            page_bytes: procfs::page_size(),
            started_s: now().as_secs_f64(),
        }
    }

    fn read(&self) -> procfs::ProcResult<Reading> {
        let process = Kernel::myself()?;
        let stat = process.stat()?;
        let files = process.limits()?.max_open_files.soft_limit;
        Ok(Reading {
            cpu_seconds: (stat.utime + stat.stime) as f64 / self.ticks_per_second,
            resident_bytes: (stat.rss * self.page_bytes) as f64,
            open_files: process.fd_count()? as f64,
            max_files: match files {
                LimitValue::Value(most) => most as f64,
                LimitValue::Unlimited => f64::INFINITY,
            },
            threads: stat.num_threads as f64,
        })
    }
}

struct Reading {
    cpu_seconds: f64,
    resident_bytes: f64,
    open_files: f64,
    max_files: f64,
    threads: f64,
}

/// Since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "metrics are set up when the process starts"
)]
fn now() -> Duration {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default()
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // A machine without /proc tells the rest.
        let Ok(reading) = self.read() else {
            return Ok(());
        };
        let mut pen = Pen(encoder);
        pen.single_counter("process_cpu_seconds", "Processor time", reading.cpu_seconds)?;
        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "Resident memory",
                reading.resident_bytes,
            ),
            (
                "process_open_fds",
                "Open file descriptors",
                reading.open_files,
            ),
            (
                "process_max_fds",
                "File descriptors that may be open",
                reading.max_files,
            ),
            ("process_threads", "Threads", reading.threads),
            (
                "process_start_time_seconds",
                "Unix time of the start",
                self.started_s,
            ),
        ] {
            pen.single(name, help, value)?;
        }
        Ok(())
    }
}
