//! CPU time of processes, from `/proc`, in nanoseconds: the 10 ms ticks of `stat` are too coarse for short runs.

use anyhow::Context;
use std::{fs, path::Path};

/// CPU milliseconds of a process and its descendants so far: user and system, all threads.
pub fn ms_of_tree(root: u32) -> anyhow::Result<f64> {
    let mut total_ns = 0_u64;
    let mut waiting = vec![root];
    while let Some(pid) = waiting.pop() {
        let tasks = Path::new("/proc").join(pid.to_string()).join("task");
        let tasks = fs::read_dir(&tasks).with_context(|| format!("process {pid} has ended"))?;
        for task in tasks.flatten() {
            // A thread may end while it is looked at.
            let Ok(schedule) = fs::read_to_string(task.path().join("schedstat")) else {
                continue;
            };
            let ns = schedule.split_whitespace().next();
            let ns = ns.and_then(|text| text.parse::<u64>().ok());
            total_ns += ns.context("schedstat begins with a number")?;
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            waiting.extend(children.split_whitespace().flat_map(str::parse::<u32>));
        }
    }
    Ok(total_ns as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_cpu_time() {
        let before = ms_of_tree(std::process::id()).unwrap();
        let mut sum = 0_u64;
        for n in 0..20_000_000_u64 {
            sum = std::hint::black_box(sum ^ n);
        }
        assert!(ms_of_tree(std::process::id()).unwrap() > before);
    }
}
