//! Which commit a rollout brings: what its image says that it was built from, what its checkout means, or what the
//! manifest says.

use std::time::Duration;

use dv_types::{Finding, HostName, Operation, Plan, Span, Subject};

use super::{
    Reply,
    pulls::{Pull, pulls},
};
use crate::{fleet::Question, rollouts::Rollouts};

/// An agent answers within this time that it is still pulling.
const PATIENCE: Duration = Duration::from_secs(15);
/// The pause before a host that is still pulling is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// A host that can't say is no reason to have the whole fleet pull the image.
const HOSTS: usize = 3;

/// A commit, tag or branch, and how it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) reference: String,
    pub(super) how: String,
}

/// The commit of `plan`; `given` is the manifest's `ref`.
pub(super) async fn named(
    rollouts: &Rollouts,
    plan: &Plan,
    given: Option<&str>,
) -> Result<Named, Reply> {
    let images = pulls(plan);
    let given = given.map(|text| Named {
        reference: text.replace("${version}", plan.version.as_str()),
        how: "the manifest's ref".to_owned(),
    });
    if !images.is_empty() {
        let labels = labels(rollouts, plan, &images).await?;
        return of_images(&images, labels, given);
    }
    let operations = plan.programs.iter().flat_map(|program| &program.operations);
    let checkouts = operations.filter_map(|operation| match operation {
        Operation::Checkout { tree, commit, .. } => Some(Named {
            reference: commit.as_str().to_owned(),
            how: format!("the checkout in {tree}"),
        }),
        _ => None,
    });
    if let Some(named) = only(checkouts.collect())? {
        return Ok(named);
    }
    Ok(given.unwrap_or_else(|| Named {
        reference: plan.version.to_string(),
        how: "the version's name".to_owned(),
    }))
}

fn of_images(
    images: &[Pull<'_>],
    labels: Vec<Option<String>>,
    given: Option<Named>,
) -> Result<Named, Reply> {
    let labelled = images.iter().zip(labels).filter_map(|(image, label)| {
        let how = format!("the label of {}:{} ({})", image.repository, image.tag, image.digest);
        Some(Named { reference: label?, how })
    });
    if let Some(named) = only(labelled.collect())? {
        return Ok(named);
    }
    given.ok_or_else(|| {
        let names: Vec<_> =
            images.iter().map(|image| format!("{}:{}", image.repository, image.tag)).collect();
        Reply::cannot_tell(format!(
            "{} does not say which commit it was built from: build it with the label org.opencontainers.image.revision, \
             or give `ref` in the manifest",
            names.join(", ")
        ))
    })
}

/// The one that all name.
fn only(all: Vec<Named>) -> Result<Option<Named>, Reply> {
    let mut all = all.into_iter();
    let Some(first) = all.next() else { return Ok(None) };
    match all.find(|other| other.reference != first.reference) {
        None => Ok(Some(first)),
        Some(other) => Err(Reply::cannot_tell(format!(
            "{} says {}, and {} says {}: which one is meant can't be told",
            first.how, first.reference, other.how, other.reference
        ))),
    }
}

/// What each image says; from one host, or another where that can't tell.
async fn labels(
    rollouts: &Rollouts,
    plan: &Plan,
    images: &[Pull<'_>],
) -> Result<Vec<Option<String>>, Reply> {
    // The hosts that go first pull first anyway.
    let hosts = plan.waves.iter().flat_map(|wave| &wave.hosts);
    let present = hosts.filter(|host| rollouts.fleet.session(host).is_some()).take(HOSTS);
    let mut problems = Vec::new();
    for host in present {
        match ask(rollouts, host, images).await {
            Ok(labels) => return Ok(labels),
            Err(why) => problems.push(format!("{host}: {why}")),
        }
    }
    Err(match &problems[..] {
        [] => Reply::cannot_tell(
            "no host is in contact that could say which commit the image was built from",
        ),
        problems => Reply::cannot_tell(format!(
            "which commit the image was built from is not known: {}",
            problems.join("; ")
        )),
    })
}

async fn ask(
    rollouts: &Rollouts,
    host: &HostName,
    images: &[Pull<'_>],
) -> Result<Vec<Option<String>>, String> {
    let mut labels = Vec::new();
    for image in images {
        let limit = image.timeout.get();
        // A host that is asked again, and again, has this much time for the whole pull.
        let mut last = String::from("no answer");
        let asking = async {
            loop {
                match revision(rollouts, host, image).await {
                    Err(why) if why.starts_with(Finding::STILL_PULLING) => last = why,
                    answer => return answer,
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        let answer = tokio::time::timeout(limit, asking).await;
        labels.push(
            answer.map_err(|_| {
                format!("not within the step's timeout, {}: {last}", image.timeout)
            })??,
        );
    }
    Ok(labels)
}

async fn revision(
    rollouts: &Rollouts,
    host: &HostName,
    image: &Pull<'_>,
) -> Result<Option<String>, String> {
    let subject =
        Subject::Revision { repository: image.repository.to_owned(), digest: image.digest.clone() };
    let question = Question { subjects: vec![subject], probing: None };
    let mut facts = rollouts.fleet.inspect(std::slice::from_ref(host), question, PATIENCE).await;
    match facts.remove(host).and_then(|facts| facts.findings.into_iter().next()) {
        Some(Finding::Revision { commit }) => {
            Ok(commit.map(|commit| commit.trim().to_owned()).filter(|commit| !commit.is_empty()))
        }
        Some(Finding::Failed(why) | Finding::Refused(why) | Finding::NotFound(why)) => Err(why),
        Some(_) => Err("its agent does not know the question: upgrade dv-agent".to_owned()),
        None => Err(format!("no answer within {}", Span::from(PATIENCE))),
    }
}
