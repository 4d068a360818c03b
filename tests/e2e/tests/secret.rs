//! A password that a smoke test fills in is known to its host alone.

use dv_e2e::{manifest::Shape, scenario::Scenario};

/// What is in the file that the hosts' policy names for `panel`.
const PASSWORD: &str = "ada-secret";

#[test]
fn a_password_is_in_nothing_that_the_three_programs_wrote() {
    let scenario = Scenario::begin("password");
    let (bed, dvctl) = (&scenario.bed, &scenario.dvctl);
    let manifest = scenario.playbook(["{}", "{}"]);
    scenario.baseline(&manifest, "v1");
    let mut printed = Vec::new();

    let path = scenario.file("manifest.yaml", &manifest.to_string());
    printed.push(dvctl.run(&["plan", &path, "--version", "v2"]).exits(0));
    printed.push(scenario.rollout(&manifest, "v2").exits(0));
    // One that fails has more to say.
    let failing = manifest.only_good("v2");
    let path = scenario.file("failing.yaml", &failing.to_string());
    printed.push(dvctl.run(&["--output", "json", "plan", &path, "--version", "v3-expand"]));
    printed.push(scenario.rollout(&failing, "v3-expand").exits(6));
    scenario.all_run(Shape::Unit, "v2");
    let history: Vec<dv_types::Report> =
        serde_json::from_value(dvctl.json(&["rollout", "history", &scenario.service]))
            .expect("a list of reports");
    for rollout in history {
        let id = rollout.rollout.to_string();
        for output in ["text", "json"] {
            for command in ["status", "watch", "explain"] {
                printed.push(dvctl.run(&["--output", output, "rollout", command, &id]));
            }
        }
    }
    for ran in &printed {
        assert!(ran.stdout.len() + ran.stderr.len() > 0, "it printed something\n{ran}");
        assert!(!ran.to_string().contains(PASSWORD), "dvctl printed the password\n{ran}");
    }

    let used = scenario.host("h5").exec(&["cat", "/etc/dv-agent/secrets/panel"]).ok();
    assert_eq!(used.trim(), PASSWORD, "this is what was looked for");
    for machine in bed.hosts.iter().chain([&bed.coordinator]) {
        // Of the directories, what is there now; of the journals, all that was ever said.
        let script = format!(
            "for place in /var/lib/dv-agent /var/lib/dv-coordinator; do
                 if [ -d $place ]; then grep --recursive --binary-files=text --files-with-matches {PASSWORD} $place && exit 3; fi
             done
             journalctl --no-pager --output=export --unit='dv-*' >/root/said
             [ -s /root/said ] || exit 4
             if grep --binary-files=text {PASSWORD} /root/said; then exit 5; fi"
        );
        let ran = machine.exec_with(&["sh", "-s"], script.as_bytes());
        assert_eq!(ran.code, Some(0), "{} has the password\n{ran}", machine.name);
    }
}
