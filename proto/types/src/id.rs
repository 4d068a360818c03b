//! Names and numbers that identify things. A value that exists is valid.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A text that can't be the name it was given as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a {what}: {rule}")]
pub struct InvalidName {
    /// What the text should have been.
    pub what: &'static str,
    /// The text, as given.
    pub value: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The rule that every value obeys, in words.
            pub const RULE: &'static str = $rule;

            /// Takes `value` if it obeys [`Self::RULE`].
            pub fn new(value: impl Into<String>) -> Result<Self, InvalidName> {
                let value = value.into();
                let ok: fn(&str) -> bool = $ok;
                if ok(&value) {
                    Ok(Self(value))
                } else {
                    Err(InvalidName { what: $what, value, rule: $rule })
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(value: String) -> Result<Self, InvalidName> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(value: &str) -> Result<Self, InvalidName> {
                Self::new(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "description": $rule })
            }
        }
    };
}

fn all(value: &str, max: usize, ok: fn(char) -> bool) -> bool {
    (1..=max).contains(&value.len()) && value.chars().all(ok)
}

fn hex(value: &str, len: usize) -> bool {
    value.len() == len && value.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

name!(
    /// The name of a host in the fleet.
    HostName,
    "host name",
    "1 to 63 of a-z, 0-9, '-' and '.', starting with a letter or digit",
    |v| all(v, 63, |c| c.is_ascii_lowercase()
        || c.is_ascii_digit()
        || c == '-'
        || c == '.')
        && v.starts_with(|c: char| c.is_ascii_alphanumeric())
);

name!(
    /// The name of a service, as the manifest gives it.
    ServiceName,
    "service name",
    "1 to 63 of a-z, 0-9, '-' and '_', starting with a letter",
    |v| all(v, 63, |c| c.is_ascii_lowercase()
        || c.is_ascii_digit()
        || c == '-'
        || c == '_')
        && v.starts_with(|c: char| c.is_ascii_lowercase())
);

name!(
    /// The name of a release of several services, as its file gives it.
    ReleaseName,
    "release name",
    "1 to 63 of a-z, 0-9, '-' and '_', starting with a letter",
    |v| all(v, 63, |c| c.is_ascii_lowercase()
        || c.is_ascii_digit()
        || c == '-'
        || c == '_')
        && v.starts_with(|c: char| c.is_ascii_lowercase())
);

name!(
    /// The version that a rollout brings: an image tag, a git ref, or whatever the manifest's commands take.
    Version,
    "version",
    "1 to 128 of letters, digits, '.', '_', '-', '+' and '/', starting with a letter or digit, without '..'",
    |v| all(v, 128, |c| c.is_ascii_alphanumeric() || "._-+/".contains(c))
        && v.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !v.contains("..")
);

name!(
    /// A content digest, as registries give it.
    Digest,
    "digest",
    "'sha256:' and 64 lower-case hexadecimal digits",
    |v| v.strip_prefix("sha256:").is_some_and(|h| hex(h, 64))
);

name!(
    /// A git commit.
    Commit,
    "commit",
    "40 lower-case hexadecimal digits",
    |v| hex(v, 40)
);

/// The number of a rollout; people write it `r42`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RolloutId(pub u64);

impl fmt::Display for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("r{}", self.0))
    }
}

impl FromStr for RolloutId {
    type Err = InvalidName;
    fn from_str(value: &str) -> Result<Self, InvalidName> {
        value.strip_prefix('r').unwrap_or(value).parse().map(Self).map_err(|_| InvalidName {
            what: "rollout id",
            value: value.to_owned(),
            rule: "'r' and a number, like r42",
        })
    }
}

impl TryFrom<String> for RolloutId {
    type Error = InvalidName;
    fn try_from(value: String) -> Result<Self, InvalidName> {
        value.parse()
    }
}

impl From<RolloutId> for String {
    fn from(id: RolloutId) -> Self {
        id.to_string()
    }
}

/// The number of a release; people write it `rel7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseId(pub u64);

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("rel{}", self.0))
    }
}

impl FromStr for ReleaseId {
    type Err = InvalidName;
    fn from_str(value: &str) -> Result<Self, InvalidName> {
        let number = value.strip_prefix("rel").filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
        number.and_then(|n| n.parse().ok()).map(Self).ok_or_else(|| InvalidName {
            what: "release id",
            value: value.to_owned(),
            rule: "'rel' and a number, like rel7",
        })
    }
}

impl TryFrom<String> for ReleaseId {
    type Error = InvalidName;
    fn try_from(value: String) -> Result<Self, InvalidName> {
        value.parse()
    }
}

impl From<ReleaseId> for String {
    fn from(id: ReleaseId) -> Self {
        id.to_string()
    }
}

/// The number of a coordinator's reign. It only rises; an agent obeys no lower one than it has seen.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One command to one host: unique in the store's life, so that an agent can tell a repeat from a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommandId {
    /// The rollout that it belongs to.
    pub rollout: RolloutId,
    /// Its number in the rollout, from 1.
    pub number: u32,
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-{}", self.rollout, self.number))
    }
}

impl FromStr for CommandId {
    type Err = InvalidName;
    fn from_str(value: &str) -> Result<Self, InvalidName> {
        let parse = || {
            let (rollout, number) = value.split_once('-')?;
            Some(Self { rollout: rollout.parse().ok()?, number: number.parse().ok()? })
        };
        parse().ok_or_else(|| InvalidName {
            what: "command id",
            value: value.to_owned(),
            rule: "a rollout id, '-' and a number, like r42-7",
        })
    }
}

impl TryFrom<String> for CommandId {
    type Error = InvalidName;
    fn try_from(value: String) -> Result<Self, InvalidName> {
        value.parse()
    }
}

impl From<CommandId> for String {
    fn from(id: CommandId) -> Self {
        id.to_string()
    }
}
