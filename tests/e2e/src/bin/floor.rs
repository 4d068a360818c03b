//! How close dv comes to the floor: `floor [ROUNDS]`, on a bed whose packages were built with `--profile release`.
//!
//! The floor is `systemctl restart` and the first 200 of both probes, measured on the host itself. Each round
//! measures it on every host, then lets dv restart the same service on the same hosts, one at a time, with
//! `min_healthy_time: 0s`. What counts is the ratio: both see the same machine at the same time.

#![allow(clippy::disallowed_methods, reason = "a benchmark's times are real")]

use std::{collections::BTreeMap, env, process::ExitCode, thread, time::Duration};

use dv_e2e::{bed::Bed, machine::Machine, manifest::Shape, scenario::Scenario};

/// Restarts the unit and asks both probes until each has answered 200; prints the seconds that it took.
const FLOOR: &str = "
import http.client, subprocess, time
began = time.monotonic()
subprocess.run(['systemctl', 'restart', 'debvisor.service'], check=True)
for path in ('/health/live', '/health/ready'):
    while True:
        try:
            connection = http.client.HTTPConnection('127.0.0.1', 8080, timeout=2)
            connection.request('GET', path)
            if connection.getresponse().status == 200:
                break
        except OSError:
            pass
print(time.monotonic() - began)
";

fn main() -> ExitCode {
    let rounds = env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(10).max(1);
    let bed = match Bed::attach() {
        Ok(bed) => bed,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::FAILURE;
        }
    };
    speed(rounds);
    idle(&bed);
    ExitCode::SUCCESS
}

fn speed(rounds: usize) {
    let scenario = Scenario::begin("floor");
    let manifest = scenario
        .manifest(Shape::Unit)
        .only("restart: {unit: debvisor.service}")
        .with("min_healthy_time", "0s");
    scenario.rollout(&manifest, "v1").ok();
    println!("round   floor per host   dv per host   ratio");
    let (mut floors, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds {
        let floor = mean(scenario.bed.hosts.iter().map(floor));
        scenario.rollout(&manifest, "v1").ok();
        let report = scenario.report();
        let ended = report.ended.expect("the rollout has ended");
        let took = ended.duration_since(report.began).as_secs_f64() / report.hosts.len() as f64;
        let ratio = took / floor;
        println!("{round:>5}   {floor:>12.3} s   {took:>9.3} s   {ratio:>5.2}");
        floors.push(floor);
        ours.push(took);
        ratios.push(ratio);
    }
    // A ratio's two times are of one round: the ratios have an order of their own.
    for values in [&mut floors, &mut ours, &mut ratios] {
        values.sort_by(f64::total_cmp);
    }
    for (what, at) in [("min", 0), ("median", rounds / 2), ("max", rounds - 1)] {
        println!("{what:<6}  {:>12.3} s   {:>9.3} s   {:>5.2}", floors[at], ours[at], ratios[at]);
    }
}

/// What an idle agent holds in memory, and how often it wakes.
fn idle(bed: &Bed) {
    const WATCHED: Duration = Duration::from_secs(20);
    println!("\nidle agent   VmRSS      of it its own (RssAnon)   wakes per second");
    let before: Vec<_> = bed.hosts.iter().map(sleeps).collect();
    thread::sleep(WATCHED);
    for (host, before) in bed.hosts.iter().zip(before) {
        let status = status(host);
        let after = sleeps(host);
        let slept = after.iter().filter_map(|(thread, n)| Some(n - before.get(thread)?));
        let wakes = slept.sum::<f64>() / WATCHED.as_secs_f64();
        println!(
            "{:<12} {:>6.1} MB  {:>6.1} MB                 {wakes:.1}",
            host.name,
            field(&status, "VmRSS") / 1024.0,
            field(&status, "RssAnon") / 1024.0
        );
    }
    let config =
        bed.coordinator.exec(&["grep", "heartbeat", "/etc/dv-coordinator/coordinator.yaml"]).ok();
    println!("({}, 20 s watched)", config.trim());
}

fn floor(host: &Machine) -> f64 {
    let printed = host.exec(&["python3", "-c", FLOOR]).ok();
    printed.trim().parse().expect("it prints seconds")
}

fn status(host: &Machine) -> String {
    let pid = host.property("dv-agent.service", "MainPID");
    host.exec(&["cat", &format!("/proc/{pid}/status")]).ok()
}

/// How often each of the agent's threads has gone to sleep so far.
fn sleeps(host: &Machine) -> BTreeMap<String, f64> {
    let pid = host.property("dv-agent.service", "MainPID");
    let script = format!("cd /proc/{pid}/task; grep -H ^voluntary */status");
    let all = host.exec(&["sh", "-c", &script]).ok();
    all.lines()
        .filter_map(|line| Some((line.split_once('/')?.0.to_owned(), number(line))))
        .collect()
}

fn field(status: &str, name: &str) -> f64 {
    let line = status.lines().find(|line| line.starts_with(&format!("{name}:")));
    number(line.expect("the kernel says it"))
}

fn number(line: &str) -> f64 {
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}
