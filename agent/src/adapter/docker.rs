//! The Docker Engine over its API.

mod login;

use std::{collections::BTreeMap, path::Path};

use bollard::{
    API_DEFAULT_VERSION,
    errors::Error,
    models::CreateImageInfo,
    query_parameters::{
        CreateImageOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
    },
};
use dv_types::{Digest, outcome::ImageId};
use futures_util::{FutureExt, StreamExt, future::BoxFuture};

use crate::{
    ports::{EngineError, Images, Labels},
    words::innermost,
};

pub(crate) use login::Logins;

const SOCKET: &str = "/var/run/docker.sock";
/// The operation's own deadline comes first; this is for a connection that nobody waits on any more.
const TIMEOUT_SECONDS: u64 = 3600;

/// A connection to the engine.
pub(crate) struct Docker {
    api: bollard::Docker,
    logins: Logins,
}

impl Docker {
    /// Where the engine listens; it is dialled at the first question.
    pub(crate) fn connect(socket: Option<&Path>, logins: Logins) -> Result<Self, EngineError> {
        let socket = socket.map_or_else(|| SOCKET.into(), Path::to_string_lossy);
        bollard::Docker::connect_with_unix(&socket, TIMEOUT_SECONDS, API_DEFAULT_VERSION)
            .map(|api| Self { api, logins })
            .map_err(|e| {
                EngineError(format!("no Docker Engine at {socket}: {e}; is docker running?"))
            })
    }
}

impl Images for Docker {
    fn find<'a>(
        &'a self,
        repository: &'a str,
        reference: &'a str,
    ) -> BoxFuture<'a, Result<Option<ImageId>, EngineError>> {
        async move {
            let image = match self.api.inspect_image(reference).await {
                Ok(image) => image,
                Err(e) if is_missing(&e) => return Ok(None),
                Err(e) => return Err(in_words(&e)),
            };
            let id = image.id.unwrap_or_default();
            // Podman leaves the algorithm out.
            let id = if id.contains(':') { id } else { format!("sha256:{id}") };
            let id = Digest::new(id).map_err(|e| EngineError(e.to_string()))?;
            let of_repository = |name: String| {
                let (its, digest) = name.split_once('@')?;
                (its == repository).then(|| Digest::new(digest).ok())?
            };
            let digest = image.repo_digests.unwrap_or_default().into_iter().find_map(of_repository);
            Ok(Some(ImageId { id, digest }))
        }
        .boxed()
    }

    fn labels<'a>(
        &'a self,
        reference: &'a str,
    ) -> BoxFuture<'a, Result<Option<Labels>, EngineError>> {
        async move {
            match self.api.inspect_image(reference).await {
                Ok(image) => Ok(Some(image.config.and_then(|c| c.labels).unwrap_or_default())),
                Err(e) if is_missing(&e) => Ok(None),
                Err(e) => Err(in_words(&e)),
            }
        }
        .boxed()
    }

    fn pull<'a>(
        &'a self,
        repository: &'a str,
        digest: &'a Digest,
        say: &'a (dyn Fn(&str) + Send + Sync),
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        async move {
            let options = CreateImageOptionsBuilder::new()
                .from_image(repository)
                .tag(digest.as_str())
                .build();
            let login = self.logins.find(repository).await?;
            let mut events = self.api.create_image(Some(options), None, login);
            let mut layers = Layers::default();
            while let Some(event) = events.next().await {
                say(&layers.hear(event.map_err(|e| in_words(&e))?));
            }
            Ok(())
        }
        .boxed()
    }

    fn tag<'a>(
        &'a self,
        id: &'a Digest,
        repository: &'a str,
        tag: &'a str,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        async move {
            let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
            self.api.tag_image(id.as_str(), Some(options)).await.map_err(|e| in_words(&e))
        }
        .boxed()
    }

    fn untag<'a>(
        &'a self,
        repository: &'a str,
        tag: &'a str,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        async move {
            // `noprune`: what is under the image stays for the next pull.
            let options = RemoveImageOptionsBuilder::new().force(false).noprune(true).build();
            match self.api.remove_image(&format!("{repository}:{tag}"), Some(options), None).await {
                Err(e) if !is_missing(&e) => Err(in_words(&e)),
                _ => Ok(()),
            }
        }
        .boxed()
    }

    fn resolve<'a>(
        &'a self,
        repository: &'a str,
        tag: &'a str,
    ) -> BoxFuture<'a, Result<Option<Digest>, EngineError>> {
        async move {
            let login = self.logins.find(repository).await?;
            match self.api.inspect_registry_image(&format!("{repository}:{tag}"), login).await {
                Ok(image) => {
                    let digest = image.descriptor.digest.unwrap_or_default();
                    Digest::new(digest).map(Some).map_err(|e| EngineError(e.to_string()))
                }
                Err(e) if is_unknown_tag(&e) => Ok(None),
                Err(e) => Err(in_words(&e)),
            }
        }
        .boxed()
    }
}

/// How far a pull is, by its layers.
#[derive(Default)]
struct Layers {
    pulled: BTreeMap<String, bool>,
}

impl Layers {
    /// What there is to say after `event`.
    fn hear(&mut self, event: CreateImageInfo) -> String {
        let status = event.status.unwrap_or_default();
        match event.id {
            Some(layer) if !status.starts_with("Pulling from") => {
                let pulled = matches!(&*status, "Pull complete" | "Already exists");
                self.pulled.insert(layer, pulled);
                let count = self.pulled.values().filter(|pulled| **pulled).count();
                format!("{count} of {} layers pulled", self.pulled.len())
            }
            _ => status,
        }
    }
}

fn is_missing(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

/// Registries have several ways to say that there is no such tag, and engines several codes to pass it on.
fn is_unknown_tag(error: &Error) -> bool {
    match error {
        Error::DockerResponseServerError { status_code: 404, .. } => true,
        Error::DockerResponseServerError { message, .. } => {
            let message = message.to_lowercase();
            message.contains("manifest unknown") || message.contains("name unknown")
        }
        _ => false,
    }
}

fn in_words(error: &Error) -> EngineError {
    EngineError(match error {
        Error::DockerResponseServerError { message, .. } => format!("Docker: {message}"),
        Error::DockerStreamError { error } => format!("Docker: {error}"),
        Error::HyperLegacyError { .. }
        | Error::HyperResponseError { .. }
        | Error::IOError { .. } => {
            format!("the Docker Engine does not answer: {}; is docker running?", innermost(error))
        }
        other => format!("Docker: {other}"),
    })
}

#[cfg(test)]
mod tests;
