//! What is shown, step by step, and what must be seen for it to be true.

use std::{
    io,
    process::{Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use super::{
    client::Client,
    fleet::{Fleet, HOSTS, Result, write},
};
use crate::say;

/// `dvctl`'s exit codes, as far as they are met here.
const SUCCEEDED: i32 = 0;
const REFUSED: i32 = 3;
const ROLLED_BACK: i32 = 6;

/// No step takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Shows it all; says what was seen.
pub(crate) fn tell(fleet: &mut Fleet) -> Result<Vec<String>> {
    let mut seen = Vec::new();
    let mut saw = |what: &str| seen.push(what.to_owned());

    say::heading("1. A coordinator and five hosts");
    let folder = fleet.stage.folder().display();
    say::note(format!("Processes of yours, in {folder}: no root, no Docker, no systemd."));
    fleet.start()?;
    dvctl(fleet, &["hosts"], SUCCEEDED)?;

    say::heading("2. The first release: v1");
    let manifest = fleet.of_here(dv_demo::MANIFEST);
    write(&fleet.stage.folder().join("service.yaml"), &manifest)?;
    say::command("cat service.yaml");
    print!("{manifest}");
    dvctl(fleet, &["rollout", "start", "service.yaml", "--version", "v1"], SUCCEEDED)?;
    answers(fleet, ["v1"; 5])?;
    saw("v1 went to five empty hosts, the canary first");

    say::heading("3. v2, host by host, held back by health");
    let outside = Client::start(fleet.ports()?);
    dvctl(fleet, &["rollout", "start", "service.yaml", "--version", "v2"], SUCCEEDED)?;
    answers(fleet, ["v2"; 5])?;
    saw("v2 replaced v1: the canary first, then two hosts at a time");

    say::heading("4. v3 never becomes ready");
    dvctl(fleet, &["rollout", "start", "service.yaml", "--version", "v3"], ROLLED_BACK)?;
    answers(fleet, ["v2"; 5])?;
    saw("v3 failed on the canary, which went back to v2 by itself; no other host was touched");
    dvctl(fleet, &["rollout", "start", "service.yaml", "--version", "v3"], REFUSED)?;
    saw("v3 is refused from now on, unless somebody insists and says why");

    say::heading("5. And v2 turns out to be ugly: the whole fleet back, in one command");
    dvctl(fleet, &["rollback", "r2", "--reason", "nobody likes the new colours"], SUCCEEDED)?;
    answers(fleet, ["v1"; 5])?;
    saw("one command took all five back to what each of them ran before");
    let outside = outside.stop();
    if outside.fewest_ready < 3 {
        return Err(format!("{outside}, but it should have been 3 at any time"));
    }
    saw(&outside.to_string());

    say::heading("6. Looking back");
    dvctl(fleet, &["rollout", "history"], SUCCEEDED)?;
    dvctl(fleet, &["hosts"], SUCCEEDED)?;
    nothing_ran_twice(fleet)?;
    fleet.stage.all_are_alive()?;
    Ok(seen)
}

/// By what the hosts themselves wrote down: each release was started once where it belongs, and nowhere else.
fn nothing_ran_twice(fleet: &Fleet) -> Result<()> {
    for host in HOSTS {
        let expected: &[&str] =
            if host == HOSTS[0] { &["v1", "v2", "v3", "v2", "v1"] } else { &["v1", "v2", "v1"] };
        let started = fleet.started_on(host)?;
        if started != expected {
            return Err(format!(
                "{host} started {started:?}, and should have started {expected:?}"
            ));
        }
    }
    Ok(())
}

/// Runs `dvctl` where the reader sees it, and insists on its exit code.
fn dvctl(fleet: &Fleet, arguments: &[&str], expected: i32) -> Result<()> {
    let quoted = |a: &&str| if a.contains(' ') { format!("'{a}'") } else { (*a).to_owned() };
    let line = arguments.iter().map(quoted).collect::<Vec<_>>().join(" ");
    let line = format!("dvctl {line}");
    println!();
    say::command(&line);
    let status =
        within(PATIENCE, fleet.dvctl().args(arguments)).map_err(|e| format!("`{line}`: {e}"))?;
    if status.code() != Some(expected) {
        return Err(format!("`{line}` should have ended with exit code {expected}: {status}"));
    }
    if expected != SUCCEEDED {
        say::note(format!("exit code {expected}"));
    }
    Ok(())
}

fn within(limit: Duration, command: &mut Command) -> io::Result<ExitStatus> {
    let began = Instant::now();
    let mut process = command.spawn()?;
    loop {
        if let Some(status) = process.try_wait()? {
            return Ok(status);
        }
        if began.elapsed() > limit {
            process.kill()?;
            process.wait()?;
            return Err(io::Error::other(format!("not done after {limit:?}")));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Asks the services themselves.
fn answers(fleet: &Fleet, expected: [&str; 5]) -> Result<()> {
    let versions = fleet.versions()?;
    let line: Vec<_> = HOSTS.iter().zip(&versions).map(|(h, v)| format!("{h} {v}")).collect();
    say::note(format!("The services themselves answer: {}.", line.join(", ")));
    if versions == expected { Ok(()) } else { Err(format!("they should answer {expected:?}")) }
}
