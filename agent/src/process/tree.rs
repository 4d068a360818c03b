//! A program and all that it started.
//!
//! A child that starts a new session leaves its process group, and one whose parent dies leaves its place
//! below it. Therefore the agent is a subreaper: whatever is orphaned below it becomes its own child. An
//! orphan is told from the children that are still at work by a mark in its environment. Where it has wiped
//! that too, or has become another user's and can't be read, it is told by its process group, and by there
//! being nobody else whose it could be: nobody who was there before it.

mod proc;

use std::{
    collections::BTreeSet,
    io,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};
use tokio::{
    process::{Child, Command},
    time::Instant,
};

use super::memory;
use proc::Process;

/// The variable that carries the mark.
const MARK: &str = "DV_TREE";
/// How long is tried to kill what does not die (it may hang in the kernel).
const PATIENCE: Duration = Duration::from_secs(5);

static ADOPTS: AtomicBool = AtomicBool::new(false);
/// The programs at work, each with its mark. Held while one is spawned and while `/proc` is judged, so
/// that a newborn child is not taken for an orphan.
static AT_WORK: Mutex<BTreeSet<(i32, u64)>> = Mutex::new(BTreeSet::new());

/// From now on, orphans below this process become its children.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    rustix::process::set_child_subreaper(Some(getpid()))?;
    ADOPTS.store(true, Ordering::Relaxed);
    Ok(())
}

/// Kills everything below this process, for a process that is about to end.
pub(crate) fn kill_all() {
    let own = getpid().as_raw_nonzero().get();
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let processes = proc::all();
        let mut below = BTreeSet::from([own]);
        spread(&mut below, &processes);
        below.retain(|pid| *pid != own && processes.iter().any(|p| p.pid == *pid && !p.ended));
        if below.is_empty() {
            return;
        }
        for pid in below.into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        nap(2);
    }
}

/// A program and all that it started. Dropped before it was killed, it is killed in the background.
pub(super) struct Tree {
    root: i32,
    mark: u64,
    killed: bool,
}

impl Tree {
    pub(super) fn spawn(command: &mut Command) -> io::Result<(Self, Child)> {
        static MARKS: AtomicU64 = AtomicU64::new(1);
        let mark = MARKS.fetch_add(1, Ordering::Relaxed);
        command.env(MARK, mark_text(mark));
        let mut at_work = at_work();
        let child = command.spawn()?;
        child.id().into_iter().for_each(memory::make_expendable);
        let root = child.id().and_then(|id| id.try_into().ok()).unwrap_or_default();
        at_work.insert((root, mark));
        Ok((Self { root, mark, killed: false }, child))
    }

    /// Kills all of it, with SIGTERM first where there is `mercy`. Returns how many others than the
    /// program itself there were.
    pub(super) async fn kill(mut self, mercy: Duration, child: &mut Child) -> (Self, usize) {
        let (root, mark) = (self.root, self.mark);
        // The child must be waited for meanwhile, or it stays among the processes for ever.
        let (killed, _) = tokio::join!(
            tokio::task::spawn_blocking(move || kill(root, mark, mercy)),
            tokio::time::timeout(mercy + PATIENCE, child.wait()),
        );
        self.killed = true;
        (self, killed.unwrap_or_default())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let (root, mark) = (self.root, self.mark);
        if !self.killed {
            std::thread::spawn(move || {
                kill(root, mark, Duration::ZERO);
                at_work().remove(&(root, mark));
            });
        } else {
            at_work().remove(&(root, mark));
        }
    }
}

/// Kills until nothing is left, since what is alive can always start more.
fn kill(root: i32, mark: u64, mercy: Duration) -> usize {
    let begin = Instant::now();
    let mut seen = BTreeSet::new();
    let mut quiet = 0;
    loop {
        let alive = alive(root, mark);
        quiet = if alive.is_empty() { quiet + 1 } else { 0 };
        // One look can miss a child that is born while it looks and whose parent dies meanwhile.
        let sure = if seen.is_empty() { 1 } else { 2 };
        if quiet >= sure || begin.elapsed() > mercy + PATIENCE {
            seen.remove(&root);
            return seen.len();
        }
        let merciful = begin.elapsed() < mercy;
        for &pid in &alive {
            let new = seen.insert(pid);
            // One SIGTERM for each; a second one means "at once" to many programs.
            let signal = match merciful {
                true if new => Signal::TERM,
                true => continue,
                false => Signal::KILL,
            };
            if let Some(pid) = Pid::from_raw(pid) {
                let _ = kill_process(pid, signal);
            }
        }
        nap(if merciful { 10 } else { 2 });
    }
}

/// The processes of the tree that are alive. Orphans that have ended are reaped on the way.
fn alive(root: i32, mark: u64) -> BTreeSet<i32> {
    let at_work = at_work();
    let processes = proc::all();
    let own = getpid().as_raw_nonzero().get();
    let orphan = |p: &Process| p.parent == own && !at_work.iter().any(|(root, _)| *root == p.pid);
    let adopts = ADOPTS.load(Ordering::Relaxed);
    let wanted = mark_text(mark);
    let could_be_of = |other: i32, p: &Process| {
        processes.iter().find(|o| o.pid == other).is_none_or(|o| o.started <= p.started)
    };
    let of_nobody_else = |p: &Process| {
        adopts && !at_work.iter().any(|(other, _)| *other != root && could_be_of(*other, p))
    };
    let mine = |p: &Process| match proc::variable(p.pid, MARK) {
        Some(text) => text == wanted,
        None if at_work.iter().any(|(root, _)| *root == p.group) => p.group == root,
        None => of_nobody_else(p),
    };

    let mut tree = BTreeSet::new();
    for process in &processes {
        if process.pid == root {
            tree.insert(root);
        } else if orphan(process) {
            if process.ended {
                reap(process.pid);
            } else if mine(process) {
                tree.insert(process.pid);
            }
        } else if process.group == root && mine(process) {
            // Just born to a parent that died, and not adopted yet, or by somebody else.
            tree.insert(process.pid);
        }
    }
    spread(&mut tree, &processes);
    tree.retain(|pid| processes.iter().any(|p| p.pid == *pid && !p.ended));
    tree
}

/// Adds the children, their children, and so on.
fn spread(tree: &mut BTreeSet<i32>, processes: &[Process]) {
    loop {
        let before = tree.len();
        for process in processes {
            if tree.contains(&process.parent) {
                tree.insert(process.pid);
            }
        }
        if tree.len() == before {
            return;
        }
    }
}

fn reap(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

#[expect(clippy::disallowed_methods, reason = "a helper thread that waits for others to die")]
fn nap(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

/// Distinct among agents too: below one another, as in a demonstration on one machine.
fn mark_text(mark: u64) -> String {
    format!("{}-{mark}", getpid().as_raw_nonzero())
}

fn at_work() -> MutexGuard<'static, BTreeSet<(i32, u64)>> {
    AT_WORK.lock().expect("no panic under this lock")
}
