//! What needs no coordinator.

use std::{fs, os::unix::fs::PermissionsExt as _};

use dvctl::Exit;
use tempfile::tempdir;

use crate::support::{MANIFEST, dvctl, told};

fn validate(text: &str, arguments: &[&str]) -> String {
    let home = tempdir().unwrap();
    fs::write(home.path().join("app.yaml"), text).unwrap();
    let output =
        dvctl(home.path()).args(["validate", "app.yaml"]).args(arguments).output().unwrap();
    told(&output)
}

#[test]
fn validate_says_that_a_manifest_is_good() {
    insta::assert_snapshot!(validate(MANIFEST, &[]));
}

#[test]
fn validate_shows_every_problem_and_refuses() {
    let text = MANIFEST.replace("app.service", "app").replace("8080/health", "8080")
        + "strategy: {canary: 100%, max_parallel: 0}\n";
    insta::assert_snapshot!(validate(&text, &[]));
}

#[test]
fn validate_as_json() {
    let text = MANIFEST.replace("app.service", "app");
    insta::assert_snapshot!(validate(&text, &["--output", "json"]));
}

#[test]
fn a_manifest_that_is_not_there_is_refused() {
    let home = tempdir().unwrap();
    let output = dvctl(home.path()).args(["validate", "no.yaml"]).output().unwrap();
    insta::assert_snapshot!(told(&output));
}

#[test]
fn a_manifest_that_is_not_text_is_refused() {
    let home = tempdir().unwrap();
    fs::write(home.path().join("app.yaml"), b"service: app\nhosts: \xff\n").unwrap();
    let output = dvctl(home.path()).args(["validate", "app.yaml"]).output().unwrap();
    insta::assert_snapshot!(told(&output));
}

#[test]
fn wrong_command_lines_end_with_2() {
    let home = tempdir().unwrap();
    fs::write(home.path().join("app.yaml"), MANIFEST).unwrap();
    let lines: &[&[&str]] = &[
        &[],
        &["dance"],
        &["plan", "app.yaml"],
        &["plan", "app.yaml", "--version", "../x"],
        &["rollout", "start", "app.yaml", "--version", "v1", "--force"],
        &["rollout", "watch", "x42"],
        &["rollout", "retry", "r42"],
        &["agent", "token", "web1", "--label", "zone"],
        &["agent", "token", "web1", "--ttl", "soon"],
        &["hosts"],
    ];
    for line in lines {
        let output = dvctl(home.path()).args(*line).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line:?}: {}", told(&output));
        assert!(!output.stderr.is_empty(), "{line:?} says nothing");
    }
}

#[test]
fn a_missing_context_says_what_to_do() {
    let home = tempdir().unwrap();
    let output = dvctl(home.path()).args(["hosts", "--context", "no.yaml"]).output().unwrap();
    insta::assert_snapshot!(told(&output));
}

#[test]
fn a_context_file_that_is_none_shows_nothing_of_its_keys() {
    let home = tempdir().unwrap();
    let file = home.path().join("c.yaml");
    fs::write(&file, "coordinator: x:1\nkey: SECRET\nkeys: SECRET\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let output = dvctl(home.path()).args(["hosts", "--context", "c.yaml"]).output().unwrap();
    let told = told(&output);
    assert!(!told.contains("SECRET"), "{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn completions_name_the_commands() {
    let home = tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = dvctl(home.path()).args(["completions", shell]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.contains("rollback") && script.contains("dvctl"), "{shell}");
    }
}

/// The file in docs/, and what the program says that it should be.
fn is_current(file: &str, text: &str) {
    let path = format!("{}/../docs/{file}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("DV_UPDATE_DOCS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == text,
        "docs/{file} is old: DV_UPDATE_DOCS=1 cargo test -p dvctl --test cli writes it anew"
    );
}

#[test]
fn the_published_schema_is_current() {
    let home = tempdir().unwrap();
    let output = dvctl(home.path()).arg("schema").output().unwrap();
    is_current("manifest.schema.json", &String::from_utf8(output.stdout).unwrap());
}

#[test]
fn the_exit_codes_are_documented() {
    let rows: String =
        Exit::ALL.iter().map(|e| format!("| {} | {} |\n", e.code(), e.meaning())).collect();
    let page = format!(
        "# Exit codes of `dvctl`\n\nPrinted by `dvctl help exit-codes`; a test keeps this page the same.\n\n\
         | Code | Meaning |\n|---:|---|\n{rows}"
    );
    is_current("exit-codes.md", &page);

    let home = tempdir().unwrap();
    for arguments in [&["help", "exit-codes"][..], &["exit-codes"], &["--help"]] {
        let output = dvctl(home.path()).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        for exit in Exit::ALL {
            let row = format!(
                "{:>3}  {}",
                exit.code(),
                exit.meaning().split(" ").take(3).collect::<Vec<_>>().join(" ")
            );
            assert!(text.contains(&row), "{arguments:?} lacks {row:?}:\n{text}");
        }
    }
}
