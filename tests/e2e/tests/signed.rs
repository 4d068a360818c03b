//! On hosts whose policy demands signatures: what an operator has signed goes out, and back by itself; nothing else does.

use dv_e2e::{bed::POLICY, manifest::Shape, scenario::Scenario, shell::Ran};

/// The key of an operator of this test: where it is, and its public half.
fn key(scenario: &Scenario, name: &str) -> (String, String) {
    let path = scenario.file(name, "");
    std::fs::remove_file(&path).expect("the file was just written");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &path])
        .status()
        .expect("ssh-keygen can be run");
    assert!(made.success());
    let public = std::fs::read_to_string(format!("{path}.pub")).expect("it was made");
    (path, public.trim().to_owned())
}

#[test]
fn a_signed_rollout_goes_out_and_back_by_itself_and_no_other_does() {
    let scenario = Scenario::begin("signed");
    let unsigned = scenario
        .manifest(Shape::Unit)
        .with("canary", "1")
        .with("auto_promote", "true")
        .with("healthy_deadline", "5s");
    scenario.baseline(&unsigned, "v1");
    let (alice, public) = key(&scenario, "alice");
    let (mallory, _) = key(&scenario, "mallory");
    for host in &scenario.bed.hosts {
        let policy = format!("{POLICY}\nsigned:\n  keys: [\"{public}\"]\n");
        host.write("/etc/dv-agent/policy.yaml", &policy).expect("the policy is written");
    }
    let unsigned = scenario.file("unsigned.yaml", &unsigned.to_string());
    let signed =
        format!("{}signed: true\n", std::fs::read_to_string(&unsigned).expect("it is there"));
    let signed = scenario.file("signed.yaml", &signed);
    let start = |manifest: &str, version: &str, key: Option<&str>| -> Ran {
        let mut arguments = vec!["rollout", "start", manifest, "--version", version];
        arguments.extend(key.into_iter().flat_map(|key| ["--sign-key", key]));
        scenario.dvctl.run(&arguments)
    };

    // The coordinator says it early; where the manifest does not, the hosts do, before anything is touched.
    let refused = start(&signed, "v2", None).exits(3);
    assert!(refused.stderr.contains("--sign-key"), "it says what to do\n{refused}");
    start(&unsigned, "v2", None).exits(4);
    start(&signed, "v2", Some(&mallory)).exits(4);
    scenario.all_run(Shape::Unit, "v1");

    start(&signed, "v2", Some(&alice)).exits(0);
    scenario.all_run(Shape::Unit, "v2");
    let second = scenario.report().rollout.to_string();

    // A bad version goes back by itself, and nobody signs that.
    start(&signed, "v3", Some(&alice)).exits(6);
    scenario.all_run(Shape::Unit, "v2");

    // What was signed with v2 is older than what the canary has obeyed since: going back further is signed for itself.
    scenario.dvctl.run(&["rollback", &second, "--sign-key", &alice]).exits(0);
    scenario.all_run(Shape::Unit, "v1");
}
