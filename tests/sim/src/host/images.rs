//! A host's container engine, and the registry behind it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dv_agent::ports::{EngineError, Images};
use dv_types::{Digest, Version, outcome::ImageId};
use futures_util::{FutureExt as _, future::BoxFuture};
use sha2::{Digest as _, Sha256};

use super::{Luck, Place};

/// The image of a version: its digest is a hash of its name.
pub(crate) fn digest(version: &Version) -> Digest {
    let hash: String =
        Sha256::digest(version.as_str()).iter().map(|byte| format!("{byte:02x}")).collect();
    Digest::new(format!("sha256:{hash}")).expect("a hash is a digest")
}

/// Images that are here, and what names them.
#[derive(Debug, Clone, Default)]
pub(super) struct Store {
    here: BTreeSet<String>,
    tags: BTreeMap<String, Digest>,
}

impl Store {
    pub(super) fn with(version: &Version) -> Self {
        let digest = digest(version);
        let tags = [("latest".to_owned(), digest.clone()), (version.to_string(), digest.clone())];
        Self { here: BTreeSet::from([digest.to_string()]), tags: BTreeMap::from(tags) }
    }

    pub(super) fn latest(&self) -> Option<&Digest> {
        self.tags.get("latest")
    }
}

fn tag_of<'t>(repository: &str, reference: &'t str) -> Option<&'t str> {
    reference.strip_prefix(repository)?.strip_prefix(':')
}

impl Place {
    async fn engine(&self) {
        let pause = self.host.chance().millis(0, 3);
        tokio::time::sleep(pause).await;
    }
}

impl Images for Place {
    fn find<'a>(
        &'a self,
        repository: &'a str,
        reference: &'a str,
    ) -> BoxFuture<'a, Result<Option<ImageId>, EngineError>> {
        async move {
            self.engine().await;
            let state = self.host.state();
            let wanted = match tag_of(repository, reference) {
                Some(tag) => state.images.tags.get(tag).cloned(),
                None => {
                    let digest = reference.rsplit_once('@').map_or(reference, |(_, digest)| digest);
                    Digest::new(digest).ok().filter(|_| state.images.here.contains(digest))
                }
            };
            Ok(wanted.map(|digest| ImageId { id: digest.clone(), digest: Some(digest) }))
        }
        .boxed()
    }

    fn labels<'a>(
        &'a self,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<HashMap<String, String>>, EngineError>> {
        async move { Ok(None) }.boxed()
    }

    fn pull<'a>(
        &'a self,
        _: &'a str,
        digest: &'a Digest,
        _: &'a (dyn Fn(&str) + Send + Sync),
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        async move {
            let (luck, takes) = (self.luck(), self.host.chance().millis(100, 6000));
            if luck == Luck::Hangs {
                return std::future::pending().await;
            }
            tokio::time::sleep(takes).await;
            if luck == Luck::Fails {
                self.say(|| "a pull fails".to_owned());
                return Err(EngineError("the registry went away".to_owned()));
            }
            self.host.state().images.here.insert(digest.to_string());
            Ok(())
        }
        .boxed()
    }

    fn tag<'a>(
        &'a self,
        id: &'a Digest,
        _: &'a str,
        tag: &'a str,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        async move {
            self.engine().await;
            self.host.state().images.tags.insert(tag.to_owned(), id.clone());
            Ok(())
        }
        .boxed()
    }

    fn untag<'a>(&'a self, _: &'a str, tag: &'a str) -> BoxFuture<'a, Result<(), EngineError>> {
        async move {
            self.engine().await;
            self.host.state().images.tags.remove(tag);
            Ok(())
        }
        .boxed()
    }

    fn resolve<'a>(
        &'a self,
        _: &'a str,
        tag: &'a str,
    ) -> BoxFuture<'a, Result<Option<Digest>, EngineError>> {
        async move {
            self.engine().await;
            let known = self.world.scenario.versions.iter().find(|v| v.name.as_str() == tag);
            Ok(known.map(|version| digest(&version.name)))
        }
        .boxed()
    }
}
