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

    say::heading("1. A coordinator and five hosts");
    say::note(format!(
        "Separate processes of yours, in {}. No root, no Docker.",
        fleet.stage.folder().display()
    ));
    fleet.start()?;
    dvctl(fleet, &["hosts"], SUCCEEDED)?;

    say::heading("2. The first release: v1");
    let manifest = manifest(fleet);
    write(&fleet.stage.folder().join("service.yaml"), &manifest)?;
    say::command("cat service.yaml");
    print!("{manifest}");
    dvctl(fleet, &["rollout", "start", "service.yaml", "--version", "v1"], SUCCEEDED)?;
    answers(fleet, ["v1"; 5])?;
    seen.push("v1 went to five empty hosts, the canary first".to_owned());

    let client = Client::start(fleet.ports()?);
    say::heading("3. v2, host by host, held back by health");
    dvctl(fleet, &["rollout", "start", "service.yaml", "--version", "v2"], SUCCEEDED)?;
    answers(fleet, ["v2"; 5])?;
    seen.push("v2 replaced v1 on all five, two hosts at a time after the canary".to_owned());

    say::heading("4. v3 never becomes ready");
    dvctl(fleet, &["rollout", "start", "service.yaml", "--version", "v3"], ROLLED_BACK)?;
    answers(fleet, ["v2"; 5])?;
    seen.push(
        "v3 failed on the canary, which went back to v2 by itself; the others never saw v3"
            .to_owned(),
    );
    let outside = client.stop();
    if outside.fewest_ready < 3 {
        return Err(format!("{outside}, but it should have been 3 at any time"));
    }
    seen.push(outside.to_string());

    say::heading("5. What was bad stays out");
    dvctl(fleet, &["rollout", "start", "service.yaml", "--version", "v3"], REFUSED)?;
    seen.push("v3 is refused from now on, unless somebody insists and says why".to_owned());

    say::heading("6. Looking back");
    dvctl(fleet, &["rollout", "history"], SUCCEEDED)?;
    println!();
    dvctl(fleet, &["hosts"], SUCCEEDED)?;
    fleet.stage.all_are_alive()?;
    Ok(seen)
}

/// Runs `dvctl` where the reader sees it, and insists on its exit code.
fn dvctl(fleet: &Fleet, arguments: &[&str], expected: i32) -> Result<()> {
    let line = format!("dvctl {}", arguments.join(" "));
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
    say::note(format!("The services themselves answer: {}", line.join(", ")));
    if versions == expected { Ok(()) } else { Err(format!("they should answer {expected:?}")) }
}

fn manifest(fleet: &Fleet) -> String {
    let service = fleet.service_program();
    let service = service.display();
    format!(
        "\
service: hello
hosts:
  labels: {{app: hello}}
  spread: zone
steps:
  - run:
      argv: [{service}, release, \"${{version}}\"]
      undo: [{service}, release, \"${{version}}\"]
health:
  live: {{command: [{service}, probe, live]}}
  ready: {{command: [{service}, probe, ready]}}
  interval: 200ms
strategy:
  canary: 1
  auto_promote: true
  max_parallel: 2
  min_available: 3
  min_healthy_time: 1s
  healthy_deadline: 4s
"
    )
}
