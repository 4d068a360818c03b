//! The live picture, on a real pseudo-terminal.

use std::{
    fs::{File, OpenOptions},
    io::Read as _,
    os::fd::OwnedFd,
    process::Child,
};

use dv_types::{
    record::Verdict,
    report::{Phase, State},
};
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use tempfile::{TempDir, tempdir};

use crate::{
    fake::{Beat, Fake, Scene},
    sample::{ID, Journal, plan, report},
    support::prepared,
};

/// `dvctl` on a terminal of its own.
struct Terminal {
    screen: File,
    child: Child,
    _home: TempDir,
}

impl Terminal {
    fn open(fake: &Fake, arguments: &[&str]) -> Self {
        let master: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let tty = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let home = tempdir().unwrap();
        let child = prepared(home.path(), &fake.context())
            .args(arguments)
            .env("TERM", "xterm-256color")
            .stdin(tty.try_clone().unwrap())
            .stdout(tty.try_clone().unwrap())
            .stderr(tty)
            .spawn()
            .unwrap();
        Self { screen: master.into(), child, _home: home }
    }

    /// What is written until `wanted` has come, or until the program has ended.
    fn read_until(&mut self, wanted: &str) -> String {
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&seen).contains(wanted) {
            match self.screen.read(&mut buffer) {
                Ok(n) if n > 0 => seen.extend_from_slice(&buffer[..n]),
                // The program has closed its end.
                _ => break,
            }
        }
        String::from_utf8_lossy(&seen).into_owned()
    }

    fn code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

fn under_way() -> Scene {
    let journal = Journal::new(ID).done(0, "web1", 0);
    let phases = [Phase::Working, Phase::Pending, Phase::Pending];
    let report = report(ID, &plan(), State::Running, &phases);
    Scene::new(plan(), journal.records, report)
        .beat(Beat::Progress { host: "web1".to_owned(), text: "job 17 is running".to_owned() })
}

#[test]
fn is_redrawn_in_place_and_gives_way_to_the_summary() {
    let fake = Fake::new();
    let mut scene = under_way();
    let journal = Journal::new(ID).healthy(0, "web1").ended(Verdict::Succeeded, false);
    let end = report(ID, &plan(), State::Ended(Verdict::Succeeded), &[Phase::Healthy; 3]);
    scene.beats = journal.records.into_iter().map(Beat::Record).collect();
    scene.beats.insert(2, Beat::Cut);
    scene.looks.push_back(end);
    fake.scene("r42", scene);
    let mut terminal = Terminal::open(&fake, &["rollout", "watch", "r42"]);
    let seen = terminal.read_until("\u{4}");
    assert_eq!(terminal.code(), Some(0), "{seen}");
    let (picture, summary) = seen.split_once("succeeded").unwrap();
    assert!(picture.contains("working"), "{seen:?}");
    assert!(picture.contains("contact with the coordinator is lost"), "{seen:?}");
    assert!(picture.contains("\u{1b}[4A\r\u{1b}[J"), "four lines are drawn over: {seen:?}");
    assert!(summary.contains("dvctl rollback app"), "{seen:?}");
}

#[test]
fn ctrl_c_leaves_the_picture_and_says_how_to_come_back() {
    let fake = Fake::new();
    fake.scene("r42", under_way().beat(Beat::Silence));
    let mut terminal = Terminal::open(&fake, &["rollout", "watch", "r42"]);
    let seen = terminal.read_until("job 17 is running");
    assert!(seen.contains("1/2 restart app.service"), "{seen:?}");
    let pid = rustix::process::Pid::from_child(&terminal.child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let seen = terminal.read_until("\u{4}");
    assert_eq!(terminal.code(), Some(130), "{seen:?}");
    assert!(seen.contains("Detached: r42 goes on."), "{seen:?}");
}

#[test]
fn without_colours_nothing_is_coloured() {
    let fake = Fake::new();
    fake.scene("r42", under_way().beat(Beat::Silence));
    let mut terminal = Terminal::open(&fake, &["rollout", "watch", "r42", "--no-color"]);
    let seen = terminal.read_until("job 17 is running");
    terminal.child.kill().unwrap();
    terminal.code();
    // Movements stay: `\e[…m` alone is colour.
    let codes = seen.split('\u{1b}').skip(1);
    let coloured = |code: &str| {
        code.strip_prefix('[').is_some_and(|c| {
            c.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m')
        })
    };
    assert!(codes.clone().count() > 0 && !codes.into_iter().any(coloured), "{seen:?}");
}

#[test]
fn a_page_is_not_written_to_a_terminal() {
    let fake = Fake::new();
    let told = crate::playbook::whole();
    fake.scene("r42", Scene::new(told.plan, told.records, told.report));
    let line = ["rollout", "report", "r42", "--format", "html", "--no-color"];
    let mut terminal = Terminal::open(&fake, &line);
    let seen = terminal.read_until("--out report.html");
    assert_eq!(terminal.code(), Some(2), "{seen}");
    assert!(!seen.contains("<!DOCTYPE"), "{seen}");
    assert!(fake.asked().is_empty(), "nothing is asked for what can't be shown");
}
