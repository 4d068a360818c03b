//! The git command, with its doors shut: it asks nobody, runs no hooks, and speaks no `ext::`.

use std::{fs, path::Path};

use dv_types::Commit;

use crate::{
    ask::ask,
    limits::Limits,
    process::{self, Finished, Program},
};

const ENVIRONMENT: [(&str, &str); 5] = [
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", "/bin/false"),
    ("GIT_SSH_COMMAND", "ssh -o BatchMode=yes"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("LC_ALL", "C.UTF-8"),
];

/// A working tree.
pub(crate) struct Git<'a> {
    pub(crate) tree: &'a str,
    pub(crate) remote: &'a str,
    pub(crate) limits: &'a Limits,
    pub(crate) on_output: Option<&'a (dyn Fn(&str) + Sync)>,
}

impl Git<'_> {
    /// Runs git in the tree.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<Finished, String> {
        // git takes it from no configuration that the tree could hold, and may belong to another user.
        let safe = format!("safe.directory={}", self.tree);
        let doors = [
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "protocol.ext.allow=never",
            "advice.detachedHead=false",
            "gc.auto=0",
            &safe,
        ];
        let mut argv: Vec<String> = vec!["git".into(), "-C".into(), self.tree.into()];
        argv.extend(doors.iter().flat_map(|door| ["-c".to_owned(), (*door).to_owned()]));
        argv.extend(arguments.iter().map(|&a| a.to_owned()));
        let program = Program {
            argv: &argv,
            directory: None,
            environment: &ENVIRONMENT,
            on_output: self.on_output,
        };
        process::run(program, self.limits).await.map_err(|e| format!("can't run git: {e}"))
    }

    /// Whether it is a working tree at all. Whoever asks has a deadline.
    pub(crate) async fn exists(&self) -> Result<bool, String> {
        let tree = Path::new(self.tree);
        // A worktree or a submodule has a file there.
        let place = tree.join(".git");
        ask(tree, move || fs::symlink_metadata(place).is_ok()).await
    }

    /// The commit that `revision` means here, if it means one.
    pub(crate) async fn commit(&self, revision: &str) -> Result<Option<Commit>, String> {
        let revision = format!("{revision}^{{commit}}");
        let finished =
            self.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &revision]).await?;
        if finished.is_success() {
            return Ok(finished.stdout.lines().next_back().and_then(|l| Commit::new(l).ok()));
        }
        if finished.stopped.is_some() || finished.code != Some(1) && finished.code != Some(128) {
            return Err(explain("rev-parse", &finished));
        }
        // 128 is anything from "unknown revision" to a broken repository; git says which.
        match finished.last_line() {
            Some(line) if finished.code == Some(128) && !is_unknown(line) => Err(line.to_owned()),
            _ => Ok(None),
        }
    }

    /// Fetches the remote's branches and tags.
    pub(crate) async fn fetch(&self) -> Result<Finished, String> {
        self.run(&["fetch", "--tags", "--force", "--no-recurse-submodules", "--", self.remote])
            .await
    }

    /// Which tracked files differ from what is checked out.
    pub(crate) async fn status(&self) -> Result<Finished, String> {
        let arguments =
            ["status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all"];
        self.run(&arguments).await
    }

    /// The commit of a tag or a branch, as the remote has it.
    pub(crate) async fn at_remote(&self, reference: &str) -> Result<Option<Commit>, String> {
        let tag = format!("refs/tags/{reference}");
        // What an annotated tag points at.
        let peeled = format!("{tag}^{{}}");
        let branch = format!("refs/heads/{reference}");
        let finished = self.run(&["ls-remote", "--", self.remote, &tag, &peeled, &branch]).await?;
        if !finished.is_success() {
            return Err(explain("ls-remote", &finished));
        }
        let find = |name: &str| {
            finished.stdout.lines().find_map(|line| {
                let (commit, its) = line.split_once('\t')?;
                (its == name).then(|| Commit::new(commit).ok())?
            })
        };
        Ok([&peeled, &tag, &branch].into_iter().find_map(|name| find(name)))
    }
}

/// What git said, in one line.
pub(crate) fn explain(what: &str, finished: &Finished) -> String {
    match finished.last_line() {
        Some(line) if finished.stopped.is_none() => format!("git {what}: {line}"),
        _ => format!("git {what}: {}", finished.why()),
    }
}

fn is_unknown(line: &str) -> bool {
    ["Needed a single revision", "unknown revision", "bad revision", "bad object"]
        .iter()
        .any(|known| line.contains(known))
}
