//! The context file: where the coordinator is, and who is asking.

use std::path::{Path, PathBuf};

use dv_proto::Addresses;
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
}

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
        serde_saphyr::from_str_with_options(&text, serde_saphyr::options! { with_snippet: false })
            .map_err(|error| {
                let place = error.location().map_or_else(String::new, |at| {
                    format!(":{}:{}", at.line(), at.column())
                });
                // The file holds a key: nothing of its text is shown.
                Error::usage(format!(
                    "{shown}{place}: this is no context file: it holds coordinator, name, ca, certificate and key"
                ))
            })
    }
}

fn usual() -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let config = var("XDG_CONFIG_HOME").or_else(|| Some(var("HOME")?.join(".config")))?;
    Some(config.join("dv/context.yaml"))
}
