//! What the child may use of the machine.

use super::child::ChildError;
use nix::{
    sys::{
        prctl,
        resource::{Resource, setrlimit},
        signal::Signal,
    },
    unistd::getppid,
};

/// Limits of a process that reads a hostile file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub struct Limits {
    /// Address space in bytes.
    #[arg(long, default_value_t = Limits::DEFAULT.memory_bytes)]
    pub memory_bytes: u64,
    /// Processor time in seconds.
    #[arg(long, default_value_t = Limits::DEFAULT.cpu_s)]
    pub cpu_s: u64,
    /// Pages of a document; one that has more is refused before any is read.
    #[arg(long, default_value_t = Limits::DEFAULT.max_pages)]
    pub max_pages: u32,
}

impl Limits {
    /// 1 GiB and two minutes: 2,000 dense pages take a tenth of either. Five documents at a time fit the 8 GiB of
    /// `deploy/README.md`, whatever they are.
    pub const DEFAULT: Self = Self {
        memory_bytes: 1024 * 1024 * 1024,
        cpu_s: 120,
        max_pages: 2_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Asks the kernel to kill this process when the thread that started it ends.
pub(crate) fn die_with_parent(parent: Option<i32>) -> Result<(), ChildError> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // The parent may have ended before the kernel was asked.
    match parent {
        Some(parent) if getppid().as_raw() != parent => Err(ChildError::Orphaned),
        _ => Ok(()),
    }
}

/// Limits this process for the rest of its life: no core dump, no file written, no process started.
pub(crate) fn apply(limits: &Limits) -> nix::Result<()> {
    let hard = |resource, most| setrlimit(resource, most, most);
    hard(Resource::RLIMIT_CORE, 0)?;
    hard(Resource::RLIMIT_FSIZE, 0)?;
    hard(Resource::RLIMIT_NPROC, 0)?;
    hard(Resource::RLIMIT_NOFILE, 32)?;
    hard(Resource::RLIMIT_AS, limits.memory_bytes)?;
    // SIGXCPU at the soft limit tells the parent what happened; SIGKILL follows at the hard one.
    setrlimit(Resource::RLIMIT_CPU, limits.cpu_s, limits.cpu_s + 1)
}
