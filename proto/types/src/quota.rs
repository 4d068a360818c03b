//! A number of hosts, or a share of the fleet.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// `3` or `25%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quota {
    /// So many hosts.
    Hosts(u32),
    /// So many in a hundred of the rollout's hosts.
    Percent(u8),
}

impl Quota {
    /// In hosts of a fleet of `fleet`, a part of a host counting as a whole one.
    #[must_use]
    pub fn round_up(self, fleet: u32) -> u32 {
        match self {
            Self::Hosts(n) => n,
            Self::Percent(p) => (u64::from(fleet) * u64::from(p)).div_ceil(100) as u32,
        }
    }

    /// In hosts of a fleet of `fleet`, a part of a host counting as none.
    #[must_use]
    pub fn round_down(self, fleet: u32) -> u32 {
        match self {
            Self::Hosts(n) => n,
            Self::Percent(p) => (u64::from(fleet) * u64::from(p) / 100) as u32,
        }
    }

    /// Reads `3` or `25%`.
    pub fn parse(text: &str) -> Result<Self, InvalidQuota> {
        let text = text.trim();
        let invalid = || InvalidQuota(text.to_owned());
        match text.strip_suffix('%') {
            Some(p) => match p.trim_end().parse() {
                Ok(p) if p <= 100 => Ok(Self::Percent(p)),
                _ => Err(invalid()),
            },
            None => text.parse().map(Self::Hosts).map_err(|_| invalid()),
        }
    }
}

/// A text that is neither a number of hosts nor a percentage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a number of hosts, like 3, nor a percentage from 0% to 100%")]
pub struct InvalidQuota(String);

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(n) => write!(f, "{n}"),
            Self::Percent(p) => write!(f, "{p}%"),
        }
    }
}

impl Serialize for Quota {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Hosts(n) => serializer.serialize_u32(*n),
            Self::Percent(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Quota {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Quota;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of hosts, like 3, or a percentage, like 25%")
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Quota, E> {
                u32::try_from(n)
                    .map(Quota::Hosts)
                    .map_err(|_| E::custom(format!("{n} hosts are too many")))
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Quota, E> {
                u32::try_from(n)
                    .map(Quota::Hosts)
                    .map_err(|_| E::custom(format!("{n} is not a number of hosts")))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Quota, E> {
                Quota::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl schemars::JsonSchema for Quota {
    fn schema_name() -> Cow<'static, str> {
        "Quota".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number of hosts, like 3, or a share of the rollout's hosts, like 25%.",
            "oneOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^(100|[0-9]{1,2})%$" },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_hosts() {
        assert_eq!(Quota::Percent(10).round_up(5), 1);
        assert_eq!(Quota::Percent(10).round_down(5), 0);
        assert_eq!(Quota::Percent(100).round_up(7), 7);
        assert_eq!(Quota::Hosts(3).round_up(2), 3);
    }

    #[test]
    fn refuses_what_is_no_share() {
        for text in ["101%", "-1", "many", "%", ""] {
            assert!(Quota::parse(text).is_err(), "{text}");
        }
    }
}
