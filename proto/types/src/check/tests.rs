//! One line per rule: what is written, what is said about it, and where.

use crate::{Manifest, plan::Severity};

fn manifest(change: impl FnOnce(&mut serde_json::Value)) -> Manifest {
    let mut json = serde_json::json!({
        "service": "app",
        "hosts": { "labels": { "role": "web" } },
        "steps": [{ "restart": { "unit": "app.service" } }],
        "health": { "ready": { "http": "http://localhost:8080/health/ready" } },
    });
    change(&mut json);
    serde_json::from_value(json).expect("the form is right")
}

/// `severity path`, one for each problem.
fn found(change: impl FnOnce(&mut serde_json::Value)) -> Vec<String> {
    let word = |severity| match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    };
    let problems = manifest(change).check();
    problems.iter().map(|p| format!("{} {}", word(p.severity), p.path)).collect()
}

#[test]
fn a_plain_manifest_has_no_problems() {
    assert_eq!(found(|_| ()), [""; 0]);
}

#[test]
fn each_rule_names_its_place() {
    type Case = (&'static str, serde_json::Value, &'static [&'static str]);
    let run = |argv| serde_json::json!([{ "run": { "argv": argv, "undo": ["/bin/true"] } }]);
    let cases: Vec<Case> = vec![
        ("hosts", serde_json::json!({}), &["error hosts"]),
        ("hosts", serde_json::json!({ "names": ["a", "a"] }), &["error hosts.names[1]"]),
        ("steps", serde_json::json!([]), &["error steps"]),
        ("steps", run(serde_json::json!([])), &["error steps[0].run.argv"]),
        ("steps", run(serde_json::json!(["/x", "${tag}"])), &["error steps[0].run.argv[1]"]),
        ("steps", run(serde_json::json!(["/x", "${version"])), &["error steps[0].run.argv[1]"]),
        ("steps", serde_json::json!([{ "run": { "argv": ["/x"] } }]), &["warning steps[0].run"]),
        (
            "steps",
            serde_json::json!([{ "run": { "argv": ["/x"], "undo": ["/y"], "once": {}, "repeatable": true } }]),
            &["error steps[0].run.repeatable"],
        ),
        (
            "steps",
            serde_json::json!([{ "stop": { "unit": "app" } }]),
            &["error steps[0].stop.unit"],
        ),
        (
            "steps",
            serde_json::json!([{ "image": { "repository": "r.example.com:5000/a/b:latest" } }]),
            &["error steps[0].image.repository"],
        ),
        (
            "steps",
            serde_json::json!([{ "image": { "repository": "a/b", "tag": "a b" } }]),
            &["error steps[0].image.tag"],
        ),
        (
            "steps",
            serde_json::json!([{ "compose": { "project": "My App" } }]),
            &["error steps[0].compose.project"],
        ),
        (
            "steps",
            serde_json::json!([{ "checkout": { "tree": "srv/../app", "ref": "--exec" } }]),
            &["error steps[0].checkout.tree", "error steps[0].checkout.ref"],
        ),
        ("health", serde_json::json!({}), &["error health"]),
        ("health", serde_json::json!({ "live": {} }), &["error health.live"]),
        (
            "health",
            serde_json::json!({ "live": { "tcp": "localhost" }, "successes": 0 }),
            &["error health.live.tcp", "error health.successes"],
        ),
        (
            "health",
            serde_json::json!({ "live": { "tcp": "localhost:1", "status": 200 } }),
            &["error health.live.status"],
        ),
        (
            "health",
            serde_json::json!({ "live": { "http": "http://localhost/${version}" } }),
            &["error health.live"],
        ),
        (
            "steps",
            serde_json::json!([{ "stop": { "unit": "a-${version}.service" } }]),
            &["error steps[0].stop.unit"],
        ),
        ("strategy", serde_json::json!({ "canary": "100%" }), &["warning strategy.canary"]),
        ("strategy", serde_json::json!({ "batches": [] }), &["error strategy.batches"]),
        (
            "strategy",
            serde_json::json!({ "batches": [1, "50%", "10%", "100%"] }),
            &["error strategy.batches[2]"],
        ),
        (
            "strategy",
            serde_json::json!({ "batches": [0, "50%"] }),
            &["error strategy.batches[1]", "error strategy.batches[0]"],
        ),
        ("strategy", serde_json::json!({ "max_parallel": 0 }), &["error strategy.max_parallel"]),
        (
            "strategy",
            serde_json::json!({ "healthy_deadline": "10m" }),
            &["error strategy.healthy_deadline"],
        ),
        (
            "strategy",
            serde_json::json!({ "progress_deadline": "1m" }),
            &["error strategy.progress_deadline"],
        ),
        (
            "strategy",
            serde_json::json!({ "min_available": "100%" }),
            &["error strategy.min_available"],
        ),
        (
            "strategy",
            serde_json::json!({ "min_available": "80%", "max_parallel": "50%" }),
            &["warning strategy.min_available"],
        ),
        ("gates", serde_json::json!({ "agent_version": "0.3" }), &["error gates.agent_version"]),
        (
            "gates",
            serde_json::json!({ "freeze": [
                { "name": "weekend", "from": "Fri 16:00", "to": "Mon 08:00", "zone": "Europe/Berlin" },
                { "name": "", "from": "Freitag", "to": "Mon 08:00" },
                { "name": "a", "from": "Fri 16:00", "to": "2026-12-20" },
                { "name": "b", "from": "2026-12-21", "to": "2026-12-20" },
                { "name": "c", "from": "Fri 16:00", "to": "Mon 08:00", "zone": "Europe/Atlantis" },
            ] }),
            &[
                "error gates.freeze[1].name",
                "error gates.freeze[1].from",
                "error gates.freeze[2].to",
                "error gates.freeze[3].to",
                "error gates.freeze[4].zone",
            ],
        ),
        (
            "gates",
            serde_json::json!({ "reviewed": {
                "forge": "main", "repository": "app", "approvals": 0, "branch": "", "ref": "v${tag}",
            } }),
            &[
                "error gates.reviewed.ref",
                "error gates.reviewed.branch",
                "error gates.reviewed.repository",
                "error gates.reviewed.approvals",
            ],
        ),
        (
            "gates",
            serde_json::json!({ "tests": {
                "forge": "main", "repository": "a/b", "checks": ["unit", "", "unit"], "ref": "v${version}",
            } }),
            &["error gates.tests.checks[1]", "error gates.tests.checks[2]"],
        ),
    ];
    for (key, value, expected) in cases {
        assert_eq!(found(|json| json[key] = value.clone()), expected, "{key}: {value}");
    }
}

#[test]
fn named_hosts_are_counted() {
    let named = |strategy: serde_json::Value| {
        found(|json| {
            json["hosts"] = serde_json::json!({ "names": ["a", "b", "c"] });
            json["strategy"] = strategy;
        })
    };
    assert_eq!(named(serde_json::json!({ "min_available": 3 })), ["error strategy.min_available"]);
    assert_eq!(
        named(serde_json::json!({ "min_available": "70%" })),
        ["error strategy.min_available"]
    );
    assert_eq!(
        named(serde_json::json!({ "min_available": 2, "max_parallel": 2 })),
        ["warning strategy.min_available"]
    );
    assert_eq!(named(serde_json::json!({ "min_available": 2 })), [""; 0]);
    assert_eq!(named(serde_json::json!({ "canary": 3 })), ["warning strategy.canary"]);
}
