//! CPU time of processes, from `/proc`, in nanoseconds: the 10 ms ticks of `stat` are too coarse for short runs.

use anyhow::{Context, bail};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use std::{fs, path::Path};

/// Runs `start` on the last core that this thread may use: a process that it starts stays there. On a shared machine the
/// cores are not alike, and what moves between them is measured on another machine each time.
pub fn on_last_core<T>(start: impl FnOnce() -> T) -> anyhow::Result<T> {
    let this_thread = Pid::from_raw(0);
    let all = sched_getaffinity(this_thread)?;
    let cores = 0..CpuSet::count();
    let last = cores
        .rev()
        .find(|core| all.is_set(*core).unwrap_or_default());
    let mut one = CpuSet::new();
    one.set(last.context("a thread may use some core")?)?;
    sched_setaffinity(this_thread, &one)?;
    let started = start();
    sched_setaffinity(this_thread, &all)?;
    Ok(started)
}

/// CPU milliseconds of a process and its descendants so far: user and system, all threads.
pub fn ms_of_tree(root: u32) -> anyhow::Result<f64> {
    let mut total_ns = 0_u64;
    let mut waiting = vec![root];
    while let Some(pid) = waiting.pop() {
        let tasks = Path::new("/proc").join(pid.to_string()).join("task");
        let tasks = match fs::read_dir(&tasks) {
            // A descendant may end while it is looked at, as a thread may.
            Err(_) if pid != root => continue,
            tasks => tasks.with_context(|| format!("process {pid} has ended"))?,
        };
        for task in tasks.flatten() {
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

/// The same, with what its own children had spent when they ended: of a server that gives each connection a process.
/// Those come in ticks of 10 ms, so this is for runs of seconds.
pub fn ms_of_server(root: u32) -> anyhow::Result<f64> {
    // A child that ends in between would be counted twice or not at all.
    const TRIES: usize = 100;
    let mut before = ms_of_ended_children(root)?;
    for _ in 0..TRIES {
        let living = ms_of_tree(root)?;
        let ended = ms_of_ended_children(root)?;
        if ended.total_cmp(&before).is_eq() {
            return Ok(living + ended);
        }
        before = ended;
    }
    bail!("children of process {root} end all the time")
}

fn ms_of_ended_children(root: u32) -> anyhow::Result<f64> {
    // A tick of what Linux shows is this long on every common architecture, whatever the kernel's own.
    const TICK_MS: f64 = 10.0;
    let stat = fs::read_to_string(format!("/proc/{root}/stat"))
        .with_context(|| format!("process {root} has ended"))?;
    // The name, in brackets, may hold anything; the state follows, the third field of proc(5).
    let (_, fields) = stat.rsplit_once(')').context("stat names the process")?;
    let ticks = fields.split_whitespace().skip(16 - 3).take(2);
    let ended = ticks
        .map(str::parse::<u64>)
        .sum::<Result<u64, _>>()
        .context("stat holds the times of ended children")?;
    Ok(ended as f64 * TICK_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_ended_child_spent_is_not_lost() {
        let before = ms_of_server(std::process::id()).unwrap();
        let script = "n=0; while [ $n -lt 200000 ]; do n=$((n + 1)); done";
        let status = std::process::Command::new("sh")
            .args(["-c", script])
            .status()
            .unwrap();
        assert!(status.success());
        assert!(ms_of_server(std::process::id()).unwrap() >= before + 10.0);
    }

    #[test]
    fn a_process_stays_where_it_was_started() {
        let usable = |pid| {
            let cores = sched_getaffinity(pid).unwrap();
            let is_usable = |core: &usize| cores.is_set(*core).unwrap();
            (0..CpuSet::count()).filter(is_usable).count()
        };
        let before = usable(Pid::from_raw(0));
        let started = on_last_core(|| std::process::Command::new("sleep").arg("60").spawn());
        let mut process = started.unwrap().unwrap();
        let pinned = usable(Pid::from_raw(i32::try_from(process.id()).unwrap()));
        process.kill().unwrap();
        process.wait().unwrap();
        assert_eq!(pinned, 1);
        assert_eq!(usable(Pid::from_raw(0)), before);
    }

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
