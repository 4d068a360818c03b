//! The context file: where the coordinator is, and who is asking.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
};

use dv_proto::{Addresses, v1};
use serde::Deserialize;

use crate::error::{Error, Result};

/// An operator's way to a coordinator.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// `host:port`, or a list of such addresses.
    pub(crate) coordinator: Addresses,
    /// The operator.
    #[serde(default)]
    #[allow(dead_code, reason = "a name for people; the certificate's counts")]
    name: String,
    /// PEM.
    pub(crate) ca: String,
    /// PEM.
    pub(crate) certificate: String,
    /// PEM.
    pub(crate) key: String,
    /// The file itself.
    #[serde(skip)]
    path: PathBuf,
}

/// What a file says, whatever that is.
type Said = BTreeMap<String, serde_json::Value>;

impl Context {
    /// Reads the file that was named, or the one at the usual place.
    pub(crate) fn read(named: Option<&Path>) -> Result<Self> {
        let path = match named {
            Some(path) => path.to_owned(),
            None => usual().ok_or_else(|| {
                Error::usage("HOME is not set: name the context file by --context or DV_CONTEXT")
            })?,
        };
        let shown = path.display();
        let text = std::fs::read_to_string(&path).map_err(|why| {
            Error::usage(format!(
                "the context file {shown} can't be read: {why}; name another by --context or DV_CONTEXT \
                 (a new coordinator writes its first to operator/admin.yaml in its state directory)"
            ))
        })?;
        let mode = std::fs::metadata(&path)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(Error::usage(format!(
                "the context file {shown} holds a key, and others can read it (mode {mode:04o}): if nobody has, run \
                 `chmod 600 {shown}`; otherwise have the operator revoked (`dvctl operators revoke`)"
            )));
        }
        let read: Self = serde_saphyr::from_str_with_options(&text, serde_saphyr::options! { with_snippet: false })
            .map_err(|error| {
                let place = error.location().map_or_else(String::new, |at| {
                    format!(":{}:{}", at.line(), at.column())
                });
                // The file holds a key: nothing of its text is shown.
                Error::usage(format!(
                    "{shown}{place}: this is no context file: it holds coordinator, name, ca, certificate and key"
                ))
            })?;
        Ok(Self { path, ..read })
    }

    /// Writes the file anew, with this certificate and these authorities. What else it says stays. It is whole at any
    /// moment, and belongs to whom it did.
    pub(crate) fn renew(&self, reply: &v1::RenewOperatorReply) -> Result<()> {
        let path = std::fs::canonicalize(&self.path)?;
        let owner = std::fs::metadata(&path)?;
        let mut said = said(&std::fs::read_to_string(&path)?)?;
        said.insert("ca".to_owned(), reply.ca_pem.as_str().into());
        said.insert("certificate".to_owned(), reply.certificate_pem.as_str().into());
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let new = path.with_file_name(name);
        let written = (|| {
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(text(&said)?.as_bytes())?;
            if file.metadata()?.uid() != owner.uid() {
                fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
            }
            file.sync_all()?;
            std::fs::rename(&new, &path)
        })();
        if written.is_err() {
            // What matters is why it could not be written.
            let _ = std::fs::remove_file(&new);
        }
        Ok(written?)
    }

    /// The text of the context file of another operator, with this certificate and key, for the same coordinator.
    pub(crate) fn of_another(
        &self,
        name: &str,
        reply: v1::AddOperatorReply,
        key: String,
    ) -> Result<String> {
        let addresses = serde_json::to_value(&self.coordinator).unwrap_or_default();
        let said = Said::from([
            ("coordinator".to_owned(), addresses),
            ("name".to_owned(), name.into()),
            ("ca".to_owned(), reply.ca_pem.into()),
            ("certificate".to_owned(), reply.certificate_pem.into()),
            ("key".to_owned(), key.into()),
        ]);
        Ok(text(&said)?)
    }
}

fn said(text: &str) -> Result<Said> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|_| Error::usage("the context file has changed, and is none any more"))
}

fn text(said: &Said) -> io::Result<String> {
    serde_saphyr::to_string(said).map_err(io::Error::other)
}

fn usual() -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let config = var("XDG_CONFIG_HOME").or_else(|| Some(var("HOME")?.join(".config")))?;
    Some(config.join("dv/context.yaml"))
}
