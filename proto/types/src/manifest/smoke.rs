//! A smoke test: what a person would click after a deployment.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Span;

/// A declared HTTP session, or a command. It runs against the canary before the batches, and once at the end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Smoke {
    /// What the session's paths are relative to: `http://localhost:8080`, on the host that has just been updated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The same for the run at the end, such as the address that users know. As `base` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// The requests, in order. Cookies are kept from one to the next, redirects are followed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub session: Vec<SmokeRequest>,
    /// Instead of a session: a command that exits with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// How long all of it may take.
    #[serde(default = "one_minute")]
    pub timeout: Span,
}

/// One request of a session: exactly one of `get` and `submit`, and what is expected of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SmokeRequest {
    /// GET of a path or URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub get: Option<String>,
    /// Submit the form that this CSS selector finds on the last page, its hidden fields (CSRF) included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submit: Option<String>,
    /// With `submit`: the fields that a person would fill in. `${secret:NAME}` stands for a secret that the host's
    /// policy lists; it is read on the host and appears in no log, journal or record.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// What is expected of the answer.
    #[serde(default)]
    pub expect: Expect,
}

/// What an answer must be like; all that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The status after redirects; any of 200 to 299 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The path after redirects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A text that the body contains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A CSS selector that finds something in the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}

fn one_minute() -> Span {
    Span::from_secs(60)
}
