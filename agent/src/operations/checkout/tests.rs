use std::{fs, path::PathBuf, time::Duration};

use dv_types::{Operation, Span};

use super::*;
use crate::{
    limits::Limits,
    operations::{perform, testing},
    policy::Policy,
    process::{self, Program},
};

/// A repository, and a clone of it on the host.
pub(crate) struct Repositories {
    dir: tempfile::TempDir,
}

impl Repositories {
    pub(crate) async fn new() -> Self {
        let this = Self { dir: tempfile::tempdir().unwrap() };
        this.git(".", &["init", "--quiet", "--initial-branch=main", "origin"]).await;
        this.commit("one").await;
        this.git(".", &["clone", "--quiet", "origin", "tree"]).await;
        this
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn tree(&self) -> String {
        self.path("tree").to_str().unwrap().to_owned()
    }

    /// Through the agent's own process module: what else is started here could be taken for an orphan.
    pub(crate) async fn git(&self, place: &str, arguments: &[&str]) -> String {
        let mut argv: Vec<String> = vec!["git".into()];
        argv.extend(["-c", "user.name=t", "-c", "user.email=t@example.com"].map(str::to_owned));
        argv.extend(arguments.iter().map(|&a| a.to_owned()));
        let directory = self.path(place);
        let program =
            Program { argv: &argv, directory: Some(&directory), environment: &[], on_output: None };
        let finished = process::run(program, &Limits::of(Duration::from_secs(60))).await.unwrap();
        assert!(finished.is_success(), "{arguments:?}: {}", finished.output.tail);
        finished.stdout.trim().to_owned()
    }

    pub(crate) async fn commit(&self, text: &str) -> Commit {
        fs::write(self.path("origin/app"), text).unwrap();
        self.git("origin", &["add", "app"]).await;
        self.git("origin", &["commit", "--quiet", "--message", text]).await;
        Commit::new(self.git("origin", &["rev-parse", "HEAD"]).await).unwrap()
    }

    async fn check_out(&self, commit: &Commit, resumed: bool) -> Attempt {
        let tree = self.tree();
        let policy = format!("trees: {{{tree}: {{remote: origin}}}}");
        let policy = Policy::parse(Path::new("policy.yaml"), &policy).unwrap();
        let timeout = Span::from_secs(60);
        let context = Context { policy, resumed, ..testing::context(testing::no_ports(), timeout) };
        perform(&Operation::Checkout { tree, commit: commit.clone(), timeout }, &context).await
    }

    pub(crate) fn app(&self) -> String {
        fs::read_to_string(self.path("tree/app")).unwrap()
    }
}

#[tokio::test]
async fn fetches_and_checks_out_exactly_the_commit_and_goes_back() {
    let repositories = Repositories::new().await;
    let two = repositories.commit("two").await;
    repositories.commit("three").await;
    let attempt = repositories.check_out(&two, false).await;
    assert_eq!(attempt.result, OpResult::Done, "{:?}", attempt.output);
    assert_eq!(repositories.app(), "two");
    let Some(Evidence::Commit { before, after }) = attempt.evidence else { panic!("no evidence") };
    assert_eq!(after, two);

    // Back needs no network: the repository is gone.
    fs::rename(repositories.path("origin"), repositories.path("gone")).unwrap();
    assert_eq!(repositories.check_out(&before, false).await.result, OpResult::Done);
    assert_eq!(repositories.app(), "one");
    // And what is not here can't come.
    let unknown = Commit::new("1".repeat(40)).unwrap();
    let result = repositories.check_out(&unknown, false).await.result;
    assert!(matches!(&result, OpResult::Failed(why) if why.contains("git fetch")), "{result:?}");
}

#[tokio::test]
async fn a_commit_that_nobody_has_is_an_error() {
    let repositories = Repositories::new().await;
    let unknown = Commit::new("1".repeat(40)).unwrap();
    let result = repositories.check_out(&unknown, false).await.result;
    assert!(matches!(&result, OpResult::Failed(why) if why.contains("not our ref")), "{result:?}");
    assert_eq!(repositories.app(), "one");
}

#[tokio::test]
async fn somebody_s_work_in_the_tree_is_not_lost() {
    let repositories = Repositories::new().await;
    let two = repositories.commit("two").await;
    fs::write(repositories.path("tree/app"), "a hot fix").unwrap();
    fs::write(repositories.path("tree/untracked"), "may stay").unwrap();
    let result = repositories.check_out(&two, false).await.result;
    assert!(matches!(&result, OpResult::Refused(why) if why.contains(": app;")), "{result:?}");
    assert_eq!(repositories.app(), "a hot fix");
}

#[tokio::test]
async fn what_a_crash_left_half_done_is_finished() {
    let repositories = Repositories::new().await;
    let two = repositories.commit("two").await;
    fs::write(repositories.path("tree/app"), "tw").unwrap();
    fs::write(repositories.path("tree/.git/index.lock"), "").unwrap();
    let attempt = repositories.check_out(&two, true).await;
    assert_eq!(attempt.result, OpResult::Done, "{:?}", attempt.output);
    assert_eq!(repositories.app(), "two");
    // HEAD has moved, a file has not.
    fs::write(repositories.path("tree/app"), "on").unwrap();
    assert_eq!(repositories.check_out(&two, true).await.result, OpResult::Done);
    assert_eq!(repositories.app(), "two");
}

#[tokio::test]
async fn runs_no_hook_of_the_tree() {
    let repositories = Repositories::new().await;
    let two = repositories.commit("two").await;
    let hook = repositories.path("tree/.git/hooks/post-checkout");
    fs::write(&hook, "#!/bin/sh\ntouch hooked\n").unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(repositories.check_out(&two, false).await.result, OpResult::Done);
    assert!(!repositories.path("tree/hooked").exists());
}

#[tokio::test]
async fn a_ref_means_what_the_remote_says() {
    let repositories = Repositories::new().await;
    let two = repositories.commit("two").await;
    repositories.git("origin", &["tag", "--annotate", "--message", "x", "v2"]).await;
    let three = repositories.commit("three").await;
    let tree = repositories.path("tree");
    let limits = Limits::of(Duration::from_secs(60));
    let git =
        Git { tree: tree.to_str().unwrap(), remote: "origin", limits: &limits, on_output: None };
    assert_eq!(git.at_remote("v2").await, Ok(Some(two.clone())));
    assert_eq!(git.at_remote("main").await, Ok(Some(three)));
    assert_eq!(git.at_remote("v9").await, Ok(None));
    assert_eq!(git.commit(two.as_str()).await, Ok(None));
    assert!(git.fetch().await.unwrap().is_success());
    assert_eq!(git.commit(&two.as_str()[..10]).await, Ok(Some(two)));
    assert_eq!(git.commit("--help").await, Ok(None));
    let nowhere = Git { remote: "/nowhere", ..git };
    assert!(nowhere.at_remote("main").await.is_err());
}
