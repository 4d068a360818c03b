//! A password that a smoke test fills in is known to its host alone, a forge's token to the coordinator alone.

use std::fs;

use dv_e2e::{forge::Forge, manifest::Shape, scenario::Scenario};

/// What is in the file that the hosts' policy names for `panel`.
const PASSWORD: &str = "ada-secret";
/// What is in the file that the coordinator's configuration names for the forge.
const TOKEN: &str = "forge-token-7276";
const GATES: &str = "{reviewed: {forge: github, repository: acme/debvisor, branch: main}, \
    tests: {forge: github, repository: acme/debvisor, checks: [unit, e2e]}}";

#[test]
fn a_password_and_a_token_are_in_nothing_that_the_three_programs_wrote() {
    let scenario = Scenario::begin("password");
    let (bed, dvctl) = (&scenario.bed, &scenario.dvctl);
    let manifest = scenario.playbook(["{}", "{}"]);
    scenario.baseline(&manifest, "v1");
    let mut printed = Vec::new();

    let _forge = Forge::begin(bed, "v2");
    let asking = manifest.clone().section("gates", GATES);
    let path = scenario.file("manifest.yaml", &asking.to_string());
    printed.push(dvctl.run(&["plan", &path, "--version", "v2"]).exits(0));
    printed.push(scenario.rollout(&asking, "v2").exits(0));
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
        let page = scenario.file("report.html", "");
        dvctl.run(&["rollout", "report", &id, "--out", &page]).exits(0);
        let page = fs::read_to_string(page).expect("the page was written");
        assert!(page.contains("<html") && page.contains(&scenario.service), "it is one: {page}");
        for secret in [PASSWORD, TOKEN] {
            assert!(!page.contains(secret), "the page has {secret}\n{page}");
        }
        for output in ["text", "json"] {
            for command in ["status", "watch", "explain", "report"] {
                printed.push(dvctl.run(&["--output", output, "rollout", command, &id]));
            }
        }
    }
    for ran in &printed {
        assert!(ran.stdout.len() + ran.stderr.len() > 0, "it printed something\n{ran}");
        for secret in [PASSWORD, TOKEN] {
            assert!(!ran.to_string().contains(secret), "dvctl printed {secret}\n{ran}");
        }
    }

    let used = scenario.host("h5").exec(&["cat", "/etc/dv-agent/secrets/panel"]).ok();
    assert_eq!(used.trim(), PASSWORD, "this is what was looked for");
    let used = bed.coordinator.exec(&["cat", "/etc/dv-coordinator/forge.token"]).ok();
    assert_eq!(used.trim(), TOKEN, "and this");
    for machine in bed.hosts.iter().chain([&bed.coordinator]) {
        // Of the directories, what is there now; of the journals, all that was ever said.
        // What is known to be there is found the same way.
        let script = format!(
            "found=
             for place in /var/lib/dv-agent /var/lib/dv-coordinator; do
                 if [ -d $place ]; then
                     grep --recursive --binary-files=text --files-with-matches --regexp={PASSWORD} --regexp={TOKEN} $place && exit 3
                     if grep --recursive --binary-files=text --quiet debvisor-release $place; then found=1; fi
                 fi
             done
             [ $found ] || exit 6
             journalctl --no-pager --output=export --unit='dv-*' >/root/said
             [ -s /root/said ] || exit 4
             if grep --binary-files=text --regexp={PASSWORD} --regexp={TOKEN} /root/said; then exit 5; fi
             grep --binary-files=text --quiet --regexp=dv-agent --regexp=dv-coordinator /root/said || exit 7"
        );
        let ran = machine.exec_with(&["sh", "-s"], script.as_bytes());
        assert_eq!(
            ran.code,
            Some(0),
            "{} has a secret, or nothing was searched\n{ran}",
            machine.name
        );
    }
}
