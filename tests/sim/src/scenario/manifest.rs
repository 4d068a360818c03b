//! A manifest by chance.

use dv_types::HostName;
use serde_json::{Value, json};

use super::{REPOSITORY, SERVICE, UNIT};
use crate::chance::Chance;

/// A valid manifest for these hosts.
pub(super) fn of(chance: &mut Chance, hosts: &[HostName], migrates: bool) -> Value {
    let once = |chance: &mut Chance| match chance.between(0, 2) {
        0 => json!({}),
        1 => json!({ "labels": { "role": "app" } }),
        _ => json!({ "host": chance.pick(hosts) }),
    };
    let mut steps = Vec::new();
    if chance.hit(if migrates { 500 } else { 150 }) {
        let on = once(chance);
        steps.push(json!({ "backup": {
            "create": ["/bin/backup", "${version}"],
            "restore": ["/bin/backup", "restore"],
            "once": on,
            "timeout": "60s",
        }}));
    }
    steps.push(json!({ "image": { "repository": REPOSITORY, "timeout": "60s" } }));
    if migrates {
        let on = once(chance);
        steps.push(json!({ "migrate": {
            "check": ["/bin/db", "check", "${version}"],
            "upgrade": ["/bin/db", "upgrade", "${version}"],
            "downgrade": ["/bin/db", "downgrade", "${count}"],
            "once": on,
            "timeout": "60s",
        }}));
    }
    if chance.hit(150) {
        let on = once(chance);
        steps.push(json!({ "run": {
            "argv": ["/bin/hook", "once", "${version}"],
            "timeout": "30s",
            "once": on,
        }}));
    }
    if chance.hit(250) {
        let repeatable = chance.coin();
        steps.push(json!({ "run": {
            "argv": ["/bin/hook", "each", "${version}"],
            "undo": ["/bin/hook", "undo", "${version}"],
            "timeout": "30s",
            "repeatable": repeatable,
        }}));
    }
    steps.push(json!({ "restart": { "unit": UNIT, "timeout": "30s" } }));
    let mut manifest = json!({
        "service": SERVICE,
        "hosts": { "labels": { "role": "app" } },
        "steps": steps,
        "health": {
            "ready": { "http": "http://localhost:8080/ready" },
            "interval": chance.pick(&["1s", "2s", "5s"]),
            "successes": chance.between(1, 3),
        },
        "strategy": strategy(chance, hosts.len() as u64),
    });
    if chance.hit(200) {
        manifest["smoke"] = json!({ "command": ["/bin/smoke", "${version}"], "timeout": "20s" });
    }
    manifest
}

fn strategy(chance: &mut Chance, hosts: u64) -> Value {
    let seconds = |chance: &mut Chance, low, high| format!("{}s", chance.between(low, high));
    let mut strategy = json!({
        "canary": if chance.coin() { chance.between(0, 2) } else { 0 },
        "auto_promote": chance.coin(),
        "min_healthy_time": seconds(chance, 0, 10),
        "healthy_deadline": seconds(chance, 15, 60),
        "progress_deadline": seconds(chance, 120, 400),
        "max_failures": if chance.coin() { chance.between(0, 2) } else { 0 },
        "max_unreachable": chance.between(0, 3),
        "lost_after": seconds(chance, 10, 60),
        "min_available": chance.between(0, hosts - 1),
        "on_failure": chance.pick(&["rollback", "rollback", "pause", "continue"]),
    });
    match chance.between(0, 2) {
        0 => strategy["batches"] = json!([1, "50%", "100%"]),
        1 => strategy["max_parallel"] = json!(chance.between(1, hosts)),
        _ => {}
    }
    if chance.hit(300) {
        strategy["confirm_within"] = json!(seconds(chance, 20, 180));
    }
    strategy
}
