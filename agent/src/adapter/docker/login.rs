//! Root's log-ins for registries, as `docker login` has left them: the engine's API does not read them. What
//! is secret here is given to the engine, and neither logged nor kept.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bollard::auth::DockerCredentials;
use serde::Deserialize;

use crate::{
    limits::Limits,
    ports::EngineError,
    process::{self, Program},
};

/// How long a helper may take.
const HELPER: Duration = Duration::from_secs(5);
/// What Docker calls its own registry here.
const HUB: &str = "https://index.docker.io/v1/";
/// What a helper says of a registry that it has no log-in for.
const NONE: &str = "credentials not found";

/// The file that holds them.
#[derive(Debug, Clone)]
pub(crate) struct Logins {
    file: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct File {
    auths: BTreeMap<String, Auth>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    /// `user:password` in base64.
    auth: Option<String>,
    identitytoken: Option<String>,
}

/// What a helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl Logins {
    /// Those of the user with this home directory.
    pub(crate) fn of(home: &Path) -> Self {
        Self { file: home.join(".docker/config.json") }
    }

    /// The log-in for the registry of `repository`; nothing if there is none.
    pub(crate) async fn find(
        &self,
        repository: &str,
    ) -> Result<Option<DockerCredentials>, EngineError> {
        let text = match fs::read(&self.file) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.wrong(&e.to_string())),
        };
        // What serde says in full may quote what is secret.
        let file: File = serde_json::from_slice(&text)
            .map_err(|e| self.wrong(&format!("not valid in line {}", e.line())))?;
        let registry = registry(repository);
        if let Some(helper) = file.helper(registry) {
            return self.ask(helper, registry).await;
        }
        let Some(auth) = file.auth(registry) else { return Ok(None) };
        match auth.credentials(registry) {
            Ok(credentials) => Ok(credentials),
            Err(why) => Err(self.wrong(&format!("the log-in for {registry} {why}"))),
        }
    }

    async fn ask(
        &self,
        helper: &str,
        registry: &str,
    ) -> Result<Option<DockerCredentials>, EngineError> {
        if !helper.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            return Err(self.wrong("a credential helper's name is no name of a program"));
        }
        let program = format!("docker-credential-{helper}");
        answer(&program, registry).await.map_err(|why| {
            self.wrong(&format!("{program}, asked for the log-in for {registry}: {why}"))
        })
    }

    fn wrong(&self, why: &str) -> EngineError {
        EngineError(format!(
            "the registry log-ins {}: {why}; mend it on the host with `docker login`",
            self.file.display()
        ))
    }
}

impl File {
    /// The helper that keeps the log-in: the registry's own, or else the one for all.
    fn helper(&self, registry: &str) -> Option<&str> {
        let own = self.cred_helpers.iter().find(|(key, _)| is_for(key, registry));
        let helper = own.map(|(_, helper)| helper).or(self.creds_store.as_ref())?;
        Some(helper).filter(|helper| !helper.is_empty()).map(String::as_str)
    }

    fn auth(&self, registry: &str) -> Option<&Auth> {
        let exact = self.auths.get(registry);
        exact.or_else(|| {
            self.auths.iter().find(|(key, _)| is_for(key, registry)).map(|(_, auth)| auth)
        })
    }
}

impl Auth {
    fn credentials(&self, registry: &str) -> Result<Option<DockerCredentials>, &'static str> {
        if let Some(token) = self.identitytoken.as_ref().filter(|token| !token.is_empty()) {
            return Ok(Some(with_token(registry, token.clone())));
        }
        let Some(auth) = self.auth.as_ref().filter(|auth| !auth.is_empty()) else {
            return Ok(None);
        };
        let text = BASE64_STANDARD.decode(auth.trim()).map_err(|_| "is not base64")?;
        let text = String::from_utf8(text).map_err(|_| "is no text")?;
        let (user, password) = text.split_once(':').ok_or("is not `user:password`")?;
        // Docker itself pads it with NUL.
        let password = password.trim_end_matches('\0').to_owned();
        Ok(Some(with_password(registry, user.to_owned(), password)))
    }
}

/// What `program` answers when it is asked for the log-in for `registry`.
async fn answer(program: &str, registry: &str) -> Result<Option<DockerCredentials>, String> {
    let argv = [program.to_owned(), "get".to_owned()];
    // Nothing hears its output, and nothing of it goes into a message.
    let program = Program { argv: &argv, directory: None, environment: &[], on_output: None };
    let finished = process::run_with_input(program, registry, &Limits::of(HELPER))
        .await
        .map_err(|e| format!("can't run it: {e}"))?;
    if !finished.is_success() {
        return match finished.stdout.contains(NONE) {
            true => Ok(None),
            false => Err(finished.why()),
        };
    }
    let Answer { username, secret } =
        serde_json::from_str(&finished.stdout).map_err(|_| "it answers no log-in")?;
    Ok(Some(match &*username {
        "<token>" => with_token(registry, secret),
        _ => with_password(registry, username, secret),
    }))
}

fn with_password(registry: &str, user: String, password: String) -> DockerCredentials {
    DockerCredentials {
        username: Some(user),
        password: Some(password),
        serveraddress: Some(registry.to_owned()),
        ..DockerCredentials::default()
    }
}

fn with_token(registry: &str, token: String) -> DockerCredentials {
    DockerCredentials {
        identitytoken: Some(token),
        serveraddress: Some(registry.to_owned()),
        ..DockerCredentials::default()
    }
}

/// The registry of a repository, as log-ins are filed under it.
fn registry(repository: &str) -> &str {
    match repository.split_once('/') {
        Some(("docker.io" | "index.docker.io", _)) | None => HUB,
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        Some(_) => HUB,
    }
}

/// Whether a log-in is filed under this registry: older ones have a scheme and a path.
fn is_for(key: &str, registry: &str) -> bool {
    fn host(text: &str) -> &str {
        let text = text.strip_prefix("https://").or(text.strip_prefix("http://")).unwrap_or(text);
        match text.split_once('/').map_or(text, |(host, _)| host) {
            "index.docker.io" | "registry-1.docker.io" => "docker.io",
            host => host,
        }
    }
    host(key) == host(registry)
}

#[cfg(test)]
mod tests;
