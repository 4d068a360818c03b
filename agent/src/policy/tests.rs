use std::os::unix::fs::PermissionsExt;

use super::*;

const POLICY: &str = r#"
units: [debvisor.service]
images: ["registry.example.com:5000/debvisor/debvisor"]
compose: {debvisor: {directory: /srv/debvisor}}
trees: {/srv/debvisor-src: {remote: origin}}
commands: [["/usr/bin/debvisor-cli", "db", "*"], ["/usr/local/bin/release", "**"]]
"#;

fn policy(text: &str) -> Result<Policy, PolicyError> {
    Policy::parse(Path::new("/etc/dv-agent/policy.yaml"), text)
}

fn command(argv: &[&str]) -> Subject {
    Subject::Command { argv: argv.iter().map(|&a| a.to_owned()).collect() }
}

fn unit(unit: &str) -> Subject {
    Subject::Unit { unit: unit.to_owned() }
}

fn image(repository: &str) -> Subject {
    Subject::Image { repository: repository.to_owned(), resolve: Some("v2".to_owned()) }
}

fn tree(tree: &str) -> Subject {
    Subject::Tree { tree: tree.to_owned(), resolve: None }
}

fn compose(project: &str) -> Subject {
    Subject::Compose { project: project.to_owned() }
}

#[test]
fn lets_pass_what_is_listed_and_nothing_else() {
    let policy = policy(POLICY).unwrap();
    for (subject, allowed) in [
        (unit("debvisor.service"), true),
        (unit("debvisor"), false),
        (unit("ssh.service"), false),
        (image("registry.example.com:5000/debvisor/debvisor"), true),
        (image("registry.example.com:5000/debvisor/debvisor/evil"), false),
        (image("debvisor/debvisor"), false),
        (compose("debvisor"), true),
        (compose("other"), false),
        (tree("/srv/debvisor-src"), true),
        (tree("/srv/debvisor-src/"), false),
        (tree("/srv/debvisor-src/../../etc"), false),
        (command(&["/usr/bin/debvisor-cli", "db", "upgrade"]), true),
        (command(&["/usr/bin/debvisor-cli", "db"]), false),
        (command(&["/usr/bin/debvisor-cli", "db", "upgrade", "--force"]), false),
        (command(&["/usr/bin/debvisor-cli", "backup", "create"]), false),
        (command(&["debvisor-cli", "db", "upgrade"]), false),
        (command(&["/usr/local/bin/release"]), true),
        (command(&["/usr/local/bin/release", "a", "b", "c"]), true),
        (command(&[]), false),
    ] {
        assert_eq!(policy.allows(&subject).is_ok(), allowed, "{subject:?}");
    }
}

#[test]
fn a_refusal_says_what_is_missing_and_where() {
    let refusal = policy(POLICY).unwrap().allows(&unit("ssh.service")).unwrap_err();
    assert_eq!(
        refusal,
        "the policy /etc/dv-agent/policy.yaml does not list unit ssh.service under `units`"
    );
}

#[test]
fn no_file_and_an_empty_file_allow_nothing() {
    let absent = Policy::load(Path::new("/nowhere/policy.yaml"), false).unwrap();
    let refusal = absent.allows(&unit("debvisor.service")).unwrap_err();
    assert!(refusal.contains("has no policy"), "{refusal}");
    for empty in ["", "# units: [debvisor.service]\n", "---\n"] {
        assert!(policy(empty).unwrap().allows(&unit("debvisor.service")).is_err());
    }
}

#[test]
fn what_is_not_understood_is_an_error() {
    for (text, part) in [
        ("units: [a.service]\nunit: [b.service]\n", "unit"),
        ("commands: [[]]\n", "empty"),
        ("commands: [[release, '*']]\n", "absolute"),
        ("commands: [[/bin/x, '**', last]]\n", "at the end only"),
        ("commands: [[/bin/x, 'v*']]\n", "whole argument"),
        ("commands: [['*', x]]\n", "absolute"),
        ("compose: {a: {directory: srv}}\n", "absolute"),
        ("trees: {srv: {remote: origin}}\n", "absolute"),
        ("trees: {/srv: {remote: --upload-pack=x}}\n", "remote"),
        ("secrets: {panel: {file: /p, origins: []}}\n", "nowhere"),
        ("secrets: {panel: {file: /p, origins: [localhost]}}\n", "not an origin"),
        ("secrets: {panel: {file: /p, origins: ['http://u@h']}}\n", "not an origin"),
        ("secrets: {panel: {file: /p, origins: ['http://h/login']}}\n", "not an origin"),
        ("units: [debvisor]\n", "debvisor.service"),
        ("units: 7\n", "units"),
        ("units: [a.service\n", ""),
    ] {
        let error = policy(text).expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn a_file_that_others_could_write_is_not_believed() {
    let own = rustix::process::geteuid().as_raw();
    let stranger = own + 1;
    assert!(distrust(0, 0o100_644, false).is_none());
    assert!(distrust(own, 0o100_644, true).is_none());
    assert!(distrust(stranger, 0o100_644, false).is_some());
    assert!(distrust(stranger, 0o100_644, true).is_some());
    assert!(distrust(0, 0o100_664, false).is_some());
    assert!(distrust(0, 0o100_646, true).is_some());

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), POLICY).unwrap();
    let mode = |mode| {
        std::fs::set_permissions(file.path(), PermissionsExt::from_mode(mode)).unwrap();
        Policy::load(file.path(), true)
    };
    assert!(mode(0o644).is_ok());
    assert!(matches!(mode(0o666), Err(PolicyError::Untrusted { .. })));
}

/// The file that the package installs allows nothing, and what its comments show is right.
#[test]
fn the_installed_policy_lists_nothing_and_shows_what_is_valid() {
    let text = include_str!("../../../deploy/dv-agent/etc/dv-agent/policy.yaml");
    let installed = policy(text).unwrap();
    assert!(installed.files.is_empty() && installed.secrets.is_empty());
    let shown = |line: &str| {
        let key = line.strip_suffix(" []").or_else(|| line.strip_suffix(" {}")).unwrap_or(line);
        let example = key.strip_prefix("# ").filter(|e| e.starts_with("- ") || e.contains(": {"));
        format!("{}\n", example.map_or_else(|| key.to_owned(), |example| format!("  {example}")))
    };
    let policy = policy(&text.lines().map(shown).collect::<String>()).unwrap();
    let path = "/var/backups/debvisor/pre-deploy-v2.dump".to_owned();
    assert_eq!(policy.allows(&Subject::File { path }), Ok(()));
    assert_eq!(policy.allows(&Subject::Secret { name: "smoke-password".to_owned() }), Ok(()));
    assert_eq!(policy.units.len() + policy.images.len() + policy.commands.len(), 3);
}
