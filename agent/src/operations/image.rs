//! Pull an image; move the tags `latest` and `previous`, and back.

use dv_types::{
    Digest, Evidence,
    outcome::{ImageId, Tags},
};

use super::{Attempt, Context, Ended, Halt, failed};
use crate::{
    ledger::Mark,
    ports::{EngineError, Images},
};

const LATEST: &str = "latest";
const PREVIOUS: &str = "previous";

pub(super) async fn pull(context: &Context, repository: &str, tag: &str, digest: &Digest) -> Ended {
    let engine = (context.ports.images)()?;
    let work = async {
        let image = fetch(context, &*engine, repository, digest).await?;
        engine.tag(&image.id, repository, tag).await?;
        Ok(Attempt::done(Evidence::Pulled { image }))
    };
    context.limits.within(work).await?
}

pub(super) async fn tag(context: &Context, repository: &str, digest: &Digest) -> Ended {
    let engine = (context.ports.images)()?;
    let work = async {
        let now = tags(&*engine, repository).await?;
        let image = fetch(context, &*engine, repository, digest).await?;
        if now.latest.as_ref().is_none_or(|latest| latest.id != image.id) {
            // `previous` first: a crash in between leaves the way back open, and doing both again is right.
            if let Some(latest) = &now.latest {
                engine.tag(&latest.id, repository, PREVIOUS).await?;
            }
            engine.tag(&image.id, repository, LATEST).await?;
        }
        let after = tags(&*engine, repository).await?;
        let before = before(context, now);
        Ok(Attempt::done(Evidence::Tags { before, after }))
    };
    context.limits.within(work).await?
}

pub(super) async fn restore(
    context: &Context,
    repository: &str,
    latest: &ImageId,
    previous: Option<&ImageId>,
) -> Ended {
    let engine = (context.ports.images)()?;
    let work = async {
        let now = tags(&*engine, repository).await?;
        put(context, &*engine, repository, LATEST, latest).await?;
        match previous {
            Some(image) => put(context, &*engine, repository, PREVIOUS, image).await?,
            None if now.previous.is_some() => engine.untag(repository, PREVIOUS).await?,
            None => {}
        }
        let after = tags(&*engine, repository).await?;
        let before = before(context, now);
        Ok(Attempt::done(Evidence::Tags { before, after }))
    };
    context.limits.within(work).await?
}

/// What the tags name before they are moved.
pub(super) async fn mark(context: &Context, repository: &str) -> Result<Tags, Halt> {
    let engine = (context.ports.images)()?;
    Ok(context.limits.within(tags(&*engine, repository)).await??)
}

/// What the tags named at the very beginning: begun anew after a crash, it finds them moved.
fn before(context: &Context, now: Tags) -> Tags {
    match &context.mark {
        Some(Mark::Tags { tags }) => tags.clone(),
        _ => now,
    }
}

/// What the two tags name now.
pub(crate) async fn tags(engine: &dyn Images, repository: &str) -> Result<Tags, EngineError> {
    let named = async |tag| engine.find(repository, &format!("{repository}:{tag}")).await;
    Ok(Tags { latest: named(LATEST).await?, previous: named(PREVIOUS).await? })
}

/// The image, pulled where it is not here yet.
async fn fetch(
    context: &Context,
    engine: &dyn Images,
    repository: &str,
    digest: &Digest,
) -> Result<ImageId, Halt> {
    let reference = format!("{repository}@{digest}");
    if let Some(image) = engine.find(repository, &reference).await? {
        return Ok(image);
    }
    engine.pull(repository, digest, &|text| context.progress.say(text)).await?;
    engine
        .find(repository, &reference)
        .await?
        .ok_or_else(|| failed(format!("{reference} was pulled, and is not there")))
}

/// Gives a recorded image a tag: by its id, or by its digest where the image was removed since.
async fn put(
    context: &Context,
    engine: &dyn Images,
    repository: &str,
    tag: &str,
    image: &ImageId,
) -> Result<(), Halt> {
    let present = match (engine.find(repository, image.id.as_str()).await?, &image.digest) {
        (Some(present), _) => present,
        (None, Some(digest)) => fetch(context, engine, repository, digest).await?,
        (None, None) => {
            return Err(failed(format!(
                "{repository}:{tag} can't become {} again: the image was removed from this host, and \
                 came from no registry",
                image.id
            )));
        }
    };
    Ok(engine.tag(&present.id, repository, tag).await?)
}

#[cfg(test)]
mod tests;
