//! A table of manifests, and what is said about each.

use super::check;

const GOOD: &str = "\
service: app
hosts:
  labels: {role: web}
steps:
  - restart: {unit: app.service}
health:
  ready: {http: 'http://localhost:8080/health/ready'}
strategy:
  batches: [1, 50%, 100%]
";

/// What is said about `text`.
fn said(text: &str) -> String {
    let checked = check("app.yaml".to_owned(), text.to_owned());
    let lines: Vec<String> = checked.lines().iter().map(|line| line.render(false)).collect();
    lines.join("\n")
}

/// What is said about the good manifest where `old` stands as `new`.
fn changed(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old}");
    said(&GOOD.replacen(old, new, 1))
}

#[test]
fn a_good_manifest_gets_no_remark() {
    assert_eq!(said(GOOD), "");
}

#[test]
fn every_error_shows_its_place() {
    let cases: &[(&str, String)] = &[
        ("empty", said("")),
        ("no YAML", said("service: [app\nhosts: }\n")),
        ("a tab", said("service: app\nhosts:\n\tnames: [a]\n")),
        ("not a mapping", said("- a\n- b\n")),
        ("two documents", said(&format!("{GOOD}---\n{GOOD}"))),
        ("key twice", changed("service: app", "service: app\nservice: b")),
        ("missing key", changed("service: app\n", "")),
        ("misspelt key", changed("batches:", "batchs:")),
        ("unknown key", changed("batches:", "colour:")),
        ("camel case", changed("batches: [1, 50%, 100%]", "maxParallel: 1")),
        ("misspelt step", changed("restart:", "restrat:")),
        ("unknown step", changed("restart:", "dance:")),
        ("step without its kind", changed("restart: {unit: app.service}", "unit: app.service")),
        ("step as a word", changed("restart: {unit: app.service}", "restart")),
        (
            "two kinds in a step",
            changed(
                "restart: {unit: app.service}",
                "restart: {unit: a.service}\n    stop: {unit: a.service}",
            ),
        ),
        ("misspelt key in a step", changed("{unit:", "{unti:")),
        ("list for text", changed("app.service", "[app.service]")),
        ("bad service name", changed("service: app", "service: My App")),
        ("bad host name", changed("labels: {role: web}", "names: [web1, Web_2]")),
        ("bad duration", changed("batches: [1, 50%, 100%]", "min_healthy_time: 10")),
        ("bad duration in words", changed("batches: [1, 50%, 100%]", "min_healthy_time: soon")),
        ("bad quota", changed("50%", "500%")),
        ("bad quota in words", changed("50%", "half")),
        ("bad word", changed("batches: [1, 50%, 100%]", "on_failure: rolback")),
        ("null", changed("app.service", "")),
        ("text for number", changed("ready:", "successes: many\n  ready:")),
        ("text for yes or no", changed("batches: [1, 50%, 100%]", "auto_promote: maybe")),
        ("alias to nothing", changed("app.service", "*unit")),
    ];
    let all: Vec<String> = cases.iter().map(|(name, said)| format!("# {name}\n{said}\n")).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn every_problem_is_said_at_once_in_its_place() {
    let text = "\
service: app
hosts: {}
steps:
  - image:
      repository: registry.example.com:5000/app:latest
      tag: ${tag}
  - compose: {project: My App}
  - checkout: {tree: srv/app, ref: --upload-pack}
  - run: {argv: []}
  - run:
      argv:
        - /usr/bin/app-cli
        - '--to=${versoin}'
      undo: [/usr/bin/app-cli, '${']
  - restart: {unit: app}
health:
  live: {http: 'https://localhost/health'}
  ready: {tcp: localhost, grpc: 'localhost:1'}
  successes: 0
strategy:
  canary: 100%
  batches: [1, 50%, 10%]
  max_parallel: 0
  healthy_deadline: 10m
  min_available: 100%
";
    insta::assert_snapshot!(said(text));
}

#[test]
fn a_problem_behind_an_alias_is_shown_where_it_is_used() {
    let text = GOOD.replace("app.service", "&unit app") + "x: 1\n";
    assert!(said(&text).contains("unknown key `x`"), "{}", said(&text));
    let text = GOOD.replace("{unit: app.service}", "&step {unit: app}\n  - stop: *step");
    insta::assert_snapshot!(said(&text));
}
