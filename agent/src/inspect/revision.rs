//! Which commit an image was built from. A pull for that goes on in the background when it takes longer than
//! the one who asks waits; who asks again finds the image.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use dv_types::{Digest, Finding, Span};
use tokio::sync::watch;

use crate::ports::Images;

const LABEL: &str = "org.opencontainers.image.revision";
/// A pull that has not ended by then is given up.
const PULL_LIMIT: Duration = Duration::from_secs(3600);

/// Pulls that are under way, by what is pulled.
#[derive(Default)]
pub(crate) struct Pulls(Mutex<BTreeMap<String, watch::Receiver<Pull>>>);

/// How a pull is.
#[derive(Clone, Default)]
struct Pull {
    progress: String,
    ended: Option<Result<(), String>>,
}

/// The label of the image `repository@digest`, which is pulled if need be; within `patience`.
pub(super) async fn find(
    engine: Arc<dyn Images>,
    pulls: &Pulls,
    repository: &str,
    digest: &Digest,
    patience: Duration,
) -> Result<Finding, String> {
    let reference = format!("{repository}@{digest}");
    let answer = async {
        if let Some(found) = label(&*engine, &reference).await? {
            return Ok(found);
        }
        let mut pull = pulls.join(&engine, repository, digest);
        let Ok(pull) = pull.wait_for(|pull| pull.ended.is_some()).await.map(|pull| pull.clone())
        else {
            return Err(format!("the pull of {reference} ended without a word; ask again"));
        };
        pull.ended.unwrap_or(Ok(()))?;
        let found = label(&*engine, &reference).await?;
        found.ok_or_else(|| format!("{reference} was pulled, and is not there"))
    };
    tokio::time::timeout(patience, answer).await.unwrap_or_else(|_| {
        Err(match pulls.progress(&reference) {
            None => format!("no answer of the engine within {}", Span::from(patience)),
            Some(how) => {
                let how = if how.is_empty() { how } else { format!(" ({how})") };
                format!("{} {reference}{how}; ask again", Finding::STILL_PULLING)
            }
        })
    })
}

async fn label(engine: &dyn Images, reference: &str) -> Result<Option<Finding>, String> {
    let labels = engine.labels(reference).await.map_err(|e| e.to_string())?;
    Ok(labels.map(|mut labels| {
        let commit = labels.remove(LABEL).filter(|commit| !commit.trim().is_empty());
        Finding::Revision { commit: commit.map(|commit| commit.trim().to_owned()) }
    }))
}

impl Pulls {
    /// The pull of `repository@digest` that is under way, or a new one.
    fn join(
        &self,
        engine: &Arc<dyn Images>,
        repository: &str,
        digest: &Digest,
    ) -> watch::Receiver<Pull> {
        let mut pulls = self.0.lock().expect("no panic under this lock");
        // One that has ended has dropped its end, however it ended.
        pulls.retain(|_, pull| pull.has_changed().is_ok());
        let reference = format!("{repository}@{digest}");
        let (engine, repository, digest) =
            (Arc::clone(engine), repository.to_owned(), digest.clone());
        let start = || {
            let (tell, told) = watch::channel(Pull::default());
            tokio::spawn(async move {
                let say = |text: &str| tell.send_modify(|pull| text.clone_into(&mut pull.progress));
                let pull = engine.pull(&repository, &digest, &say);
                let ended = match tokio::time::timeout(PULL_LIMIT, pull).await {
                    Ok(ended) => ended.map_err(|e| e.to_string()),
                    Err(_) => {
                        Err(format!("the pull did not end within {}", Span::from(PULL_LIMIT)))
                    }
                };
                tell.send_modify(|pull| pull.ended = Some(ended));
            });
            told
        };
        pulls.entry(reference).or_insert_with(start).clone()
    }

    /// How far the pull of `reference` is; nothing where there is none.
    fn progress(&self, reference: &str) -> Option<String> {
        let pulls = self.0.lock().expect("no panic under this lock");
        let pull = pulls.get(reference).filter(|pull| pull.has_changed().is_ok())?;
        Some(pull.borrow().progress.clone())
    }
}

#[cfg(test)]
mod tests;
