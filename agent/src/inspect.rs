//! Answers what a plan asks: is it allowed here, what is there, what does a version mean. Changes nothing
//! that runs or is checked out.

mod disk;
mod metrics;
mod revision;
mod secret;

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use dv_types::{Commit, Finding, Probe, Span, Subject, probe::Probing};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::{
    ask::ask,
    limits::Limits,
    operations::{self, checkout::local_changes, git::Git, schema::Kinds},
    policy::Policy,
    ports::UnitsError,
    runner::Runner,
};

/// How long one subject may take. The coordinator waits for 15 s, and would rather hear what is missing.
const LIMIT: Duration = Duration::from_secs(12);
/// What runs a command, or leaves a pull behind, keeps the limit itself, and has its own words for it.
const OWN_LIMIT: Duration = Duration::from_secs(11);
const COMPOSE_FILES: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/// What outlives a question.
#[derive(Default)]
pub(crate) struct Background {
    pulls: revision::Pulls,
}

/// One finding for each subject, in order, and whether the probes, asked once, are good.
pub(crate) async fn inspect(
    runner: &Arc<Runner>,
    subjects: &[Subject],
    probing: Option<&Probing>,
) -> (Vec<Finding>, Option<bool>) {
    let policy = match (runner.ports.policy)() {
        Ok(policy) => policy,
        Err(error) => {
            let refused = Finding::Refused(error.to_string());
            return (vec![refused; subjects.len()], None);
        }
    };
    let findings = join_all(subjects.iter().map(|subject| find(runner, &policy, subject)));
    let healthy = async {
        let probing = probing.filter(|probing| may_probe(&policy, probing).is_ok())?;
        let began = Instant::now();
        let good = runner.ports.probes.round(probing).await.is_ok();
        Some((good, Span::from(began.elapsed())))
    };
    let (mut findings, probed) = tokio::join!(findings, healthy);
    for finding in &mut findings {
        match finding {
            // The time of the answer, however long the rest of it took.
            Finding::Clock { now } => *now = runner.ports.outside.now(),
            Finding::Metrics(reading) => {
                (reading.good, reading.probe) = probed.unzip();
            }
            _ => {}
        }
    }
    (findings, probed.map(|(good, _)| good))
}

/// Whether the policy lets these probes be asked, as a question.
pub(crate) fn may_probe(policy: &Policy, probing: &Probing) -> Result<(), String> {
    let commands = commands(probing);
    policy.allows_all(&commands)?;
    commands.iter().try_for_each(|subject| match subject {
        Subject::Command { argv } => policy.may_ask(argv),
        _ => Ok(()),
    })
}

/// What the policy must list for the probes.
fn commands(probing: &Probing) -> Vec<Subject> {
    let command = |(_, probe): &(String, Probe)| match probe {
        Probe::Command { argv } => Some(Subject::Command { argv: argv.clone() }),
        _ => None,
    };
    probing.probes.iter().filter_map(command).collect()
}

async fn find(runner: &Runner, policy: &Policy, subject: &Subject) -> Finding {
    if let Err(why) = policy.allows(subject) {
        return Finding::Refused(why);
    }
    if let Subject::Schema { check } = subject
        && let Err(why) = policy.may_ask(check)
    {
        return Finding::Refused(why);
    }
    let limits = Limits::of(LIMIT);
    let finding = async {
        match subject {
            Subject::Image { repository, resolve } => {
                image(runner, repository, resolve.as_deref()).await
            }
            Subject::Compose { project } => project_files(policy, project).await,
            Subject::Tree { tree, resolve } => {
                let remote = policy.trees.get(tree).map_or("origin", |tree| &tree.remote);
                let git = Git { tree, remote, limits: &limits, on_output: None };
                // What an agent that was cut off has left is no work that could be lost.
                if !runner.is_unfinished(tree).await
                    && let Some(why) = changes(&git).await?
                {
                    return Ok(Finding::Failed(why));
                }
                commit(&git, resolve.as_deref()).await
            }
            Subject::Unit { unit } => state(runner, unit).await,
            Subject::Command { argv } => runner.ports.programs.find(argv).await,
            Subject::File { .. } => Ok(Finding::Allowed),
            Subject::Secret { name } => match policy.secrets.get(name) {
                Some(listed) => secret::look(name, &listed.file, runner.config.unprivileged).await,
                None => Ok(Finding::Refused(format!("the policy lists no secret {name}"))),
            },
            Subject::Schema { check } => schema(runner, check).await,
            Subject::Disk { path } => disk::free(path).await,
            Subject::Clock => Ok(Finding::Clock { now: runner.ports.outside.now() }),
            Subject::Revision { repository, digest } => {
                let engine = (runner.ports.images)().map_err(|e| e.to_string())?;
                let pulls = &runner.background.pulls;
                revision::find(engine, pulls, repository, digest, OWN_LIMIT).await
            }
            Subject::Metrics { metrics } => metrics::read(metrics.as_ref()).await,
        }
    };
    match limits.within(finding).await {
        Ok(finding) => finding.unwrap_or_else(Finding::Failed),
        Err(stop) => Finding::Failed(stop.to_string()),
    }
}

/// What the manifest says of the kinds of migrations, the coordinator knows.
async fn schema(runner: &Runner, check: &[String]) -> Result<Finding, String> {
    let (programs, limits) = (&*runner.ports.programs, Limits::of(OWN_LIMIT));
    let looked = operations::schema::look(programs, check, &Kinds::new(), &limits).await;
    looked.map(Finding::Schema).map_err(|unseen| unseen.why)
}

async fn image(
    runner: &Runner,
    repository: &str,
    resolve: Option<&str>,
) -> Result<Finding, String> {
    let engine = (runner.ports.images)().map_err(|e| e.to_string())?;
    let tags = operations::image::tags(&*engine, repository).await.map_err(|e| e.to_string())?;
    let resolved = match resolve {
        None => None,
        Some(tag) => match engine.resolve(repository, tag).await.map_err(|e| e.to_string())? {
            None => {
                return Ok(Finding::NotFound(format!("the registry has no {repository}:{tag}")));
            }
            found => found,
        },
    };
    Ok(Finding::Image { tags, resolved })
}

async fn project_files(policy: &Policy, project: &str) -> Result<Finding, String> {
    let Some(listed) = policy.compose.get(project) else { return Ok(Finding::Allowed) };
    let directory = &listed.directory;
    let place = directory.clone();
    let is_there = move || COMPOSE_FILES.iter().any(|file| place.join(file).is_file());
    if ask(directory, is_there).await? {
        return Ok(Finding::Allowed);
    }
    Ok(Finding::NotFound(format!("there is no compose file in {}", directory.display())))
}

/// The checkout would refuse them, host by host, when the rollout is under way.
async fn changes(git: &Git<'_>) -> Result<Option<String>, String> {
    if !git.exists().await? {
        return Ok(None);
    }
    let status = git.status().await?;
    match status.is_success() {
        true => Ok(local_changes(git.tree, &status)),
        false => Err(operations::git::explain("status", &status)),
    }
}

async fn commit(git: &Git<'_>, resolve: Option<&str>) -> Result<Finding, String> {
    if !git.exists().await? {
        return Ok(Finding::NotFound(format!("{} is not a git working tree", git.tree)));
    }
    let Some(commit) = git.commit("HEAD").await? else {
        return Ok(Finding::NotFound(format!("{} has no commit checked out", git.tree)));
    };
    let Some(reference) = resolve else {
        return Ok(Finding::Tree { commit, resolved: None });
    };
    match resolved(git, reference).await? {
        Some(resolved) => Ok(Finding::Tree { commit, resolved: Some(resolved) }),
        None => Ok(Finding::NotFound(format!(
            "{} knows no tag, branch or commit {reference}",
            git.remote
        ))),
    }
}

/// The remote's word counts: what a branch was at the last fetch does not matter.
async fn resolved(git: &Git<'_>, reference: &str) -> Result<Option<Commit>, String> {
    if let Some(commit) = git.at_remote(reference).await? {
        return Ok(Some(commit));
    }
    let is_hash = (7..=40).contains(&reference.len())
        && reference.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !is_hash {
        return Ok(None);
    }
    if let Some(commit) = git.commit(reference).await? {
        return Ok(Some(commit));
    }
    let fetched = git.fetch().await?;
    if !fetched.is_success() {
        return Err(operations::git::explain("fetch", &fetched));
    }
    git.commit(reference).await
}

async fn state(runner: &Runner, unit: &str) -> Result<Finding, String> {
    match (runner.ports.units)().state(unit).await {
        Ok(state) => Ok(Finding::Unit { active: state.active }),
        Err(e @ UnitsError::NoSuchUnit(_)) => Ok(Finding::NotFound(e.to_string())),
        Err(e) => Err(e.to_string()),
    }
}

pub(crate) async fn program(argv: &[String]) -> Result<Finding, String> {
    let program = argv.first().map_or("", |a| a);
    let path = PathBuf::from(program);
    let metadata = ask(Path::new(program), move || std::fs::metadata(path)).await?;
    Ok(match metadata {
        Ok(m) if m.is_file() && m.permissions().mode() & 0o111 != 0 => Finding::Allowed,
        Ok(_) => Finding::NotFound(format!("{program} is not a program")),
        Err(e) => Finding::NotFound(format!("{program}: {e}")),
    })
}
