use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use dv_types::Span;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{limits::Limits, operations::testing};

/// A directory with a project, and with programs that write down how they were called.
struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// What it does after it has written down its directory, its engine and its arguments.
    fn program(&self, name: &str, does: &str) {
        let (path, calls) = (self.path(name), self.path("calls"));
        let text = format!("#!/bin/sh\necho \"$PWD $DOCKER_HOST {name} $*\" >> {calls}\n{does}\n");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    async fn up(&self, limits: Limits) -> Attempt {
        let (plugin, program) = (self.path("docker"), self.path("docker-compose"));
        let mut context = testing::context(testing::no_ports(), Span::ZERO);
        context.limits = limits;
        context.config.docker_socket = Some("/run/d.sock".into());
        let tools: [&[&str]; 2] = [&[&plugin, "compose"], &[&program]];
        let directory = self.dir.path().join("project");
        fs::create_dir_all(&directory).unwrap();
        up_with(&context, &tools, &directory, "web").await.unwrap_or_else(|halt| *halt)
    }

    /// The calls in the project's directory.
    fn ups(&self) -> Vec<String> {
        let project = self.path("project");
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        calls.lines().filter_map(|call| call.strip_prefix(&project)).map(str::to_owned).collect()
    }
}

fn minute() -> Limits {
    Limits::of(Duration::from_secs(60))
}

#[tokio::test]
async fn the_plugin_is_taken_where_both_are() {
    let host = Host::new();
    host.program("docker", "echo created");
    host.program("docker-compose", "");
    let attempt = host.up(minute()).await;
    assert_eq!(attempt.result, OpResult::Done, "{:?}", attempt.output);
    assert_eq!(attempt.output.tail, "created\n");
    assert_eq!(host.ups(), [" unix:///run/d.sock docker compose -p web up -d"]);
}

#[tokio::test]
async fn the_program_is_taken_where_the_plugin_is_missing() {
    let host = Host::new();
    host.program("docker-compose", "");
    assert_eq!(host.up(minute()).await.result, OpResult::Done);
    // And where there is docker, but it knows no such verb.
    host.program("docker", "echo \"'compose' is not a docker command\" >&2; exit 1");
    assert_eq!(host.up(minute()).await.result, OpResult::Done);
    assert_eq!(host.ups(), [" unix:///run/d.sock docker-compose -p web up -d"; 2]);
}

#[tokio::test]
async fn where_neither_is_it_says_what_to_install() {
    let host = Host::new();
    host.program("docker", "exit 1");
    let result = host.up(minute()).await.result;
    assert!(
        matches!(&result, OpResult::Failed(why) if why.contains("neither") && why.contains("install")),
        "{result:?}"
    );
    assert!(host.ups().is_empty());
}

#[tokio::test]
async fn a_failure_is_told_with_its_last_words() {
    let host = Host::new();
    host.program("docker", "[ $2 = version ] || { echo no such image >&2; exit 14; }");
    let result = host.up(minute()).await.result;
    let OpResult::Failed(why) = result else { panic!("{result:?}") };
    assert!(why.ends_with("docker compose up ended with exit code 14: no such image"), "{why}");
}

#[tokio::test]
async fn one_that_does_not_end_is_killed() {
    let host = Host::new();
    // It answers which version it is, and hangs when it shall work.
    host.program("docker", "[ $2 = version ] || exec sleep 600");
    let attempt = host.up(Limits::of(Duration::from_secs(3))).await;
    let OpResult::TimedOut(why) = attempt.result else { panic!("{:?}", attempt.result) };
    assert!(why.contains("after 3s and was killed"), "{why}");
}

#[tokio::test]
async fn one_that_hangs_at_the_first_question_is_not_taken_for_missing() {
    let host = Host::new();
    host.program("docker", "exec sleep 600");
    host.program("docker-compose", "");
    let attempt = host.up(Limits::of(Duration::from_millis(300))).await;
    assert!(matches!(attempt.result, OpResult::TimedOut(_)), "{:?}", attempt.result);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let attempt = host.up(Limits::new(Span::from_secs(60), cancel)).await;
    assert_eq!(attempt.result, OpResult::Cancelled);
    assert!(host.ups().is_empty());
}
