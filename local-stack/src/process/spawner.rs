//! Starting child processes from a thread that lives as long as this process does.
//!
//! `PR_SET_PDEATHSIG` fires when the *thread* that forked ends. Threads of an async runtime or of a test
//! end early, and would take the children with them.

use super::{Lifetime, Program, RunAs};
use nix::{
    sys::{prctl, signal::Signal},
    unistd::{getpid, getppid, setsid},
};
use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command},
    sync::{OnceLock, mpsc},
    thread,
};

struct Order {
    command: Command,
    reply: mpsc::Sender<io::Result<Child>>,
}

static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();

/// Starts `command` in a session of its own.
pub(super) fn spawn(
    mut command: Command,
    program: &Program,
    lifetime: Lifetime,
) -> io::Result<Child> {
    if let RunAs::Account { uid, gid } = program.run_as {
        command.uid(uid).gid(gid);
    }
    // A supervisor that was killed can't ask the child to end; the kernel then does, in its place.
    let on_parent_death = (lifetime == Lifetime::WithParent).then_some(program.stop_signal);
    isolate(&mut command, on_parent_death);

    let orders = SPAWNER.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<Order>();
        thread::spawn(move || {
            while let Ok(mut order) = receiver.recv() {
                // Nobody waits for the reply only when the caller is gone, and its child with it.
                let _ = order.reply.send(order.command.spawn());
            }
        });
        sender
    });
    let (reply, answer) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    orders.send(Order { command, reply }).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

#[expect(unsafe_code, reason = "`pre_exec` is unsafe to call")]
fn isolate(command: &mut Command, on_parent_death: Option<Signal>) {
    let parent = getpid();
    // SAFETY: between fork and exec only setsid, prctl and getppid run, all async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            setsid()?;
            if let Some(signal) = on_parent_death {
                prctl::set_pdeathsig(signal)?;
                // The parent may have ended before the line above took effect.
                if getppid() != parent {
                    return Err(io::Error::from_raw_os_error(nix::libc::ESRCH));
                }
            }
            Ok(())
        });
    }
}
