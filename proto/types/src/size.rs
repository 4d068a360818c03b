//! A number of bytes as people write it: `500MiB`, `2GiB`, `1024`.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Size(pub u64);

const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// A text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a size: write a number and a unit, like 500MiB, 2GiB or 1024B")]
pub struct InvalidSize(String);

impl Size {
    /// Reads `500MiB`, `2 GiB` or `1024`.
    pub fn parse(text: &str) -> Result<Self, InvalidSize> {
        let invalid = || InvalidSize(text.to_owned());
        let trimmed = text.trim();
        let (number, unit) = UNITS
            .iter()
            .find_map(|(unit, bytes)| Some((trimmed.strip_suffix(unit)?, *bytes)))
            .unwrap_or((trimmed, 1));
        let number: u64 = number.trim_end().parse().map_err(|_| invalid())?;
        number.checked_mul(unit).map(Self).ok_or_else(invalid)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = UNITS[..4].iter().rev();
        let whole = |bytes: &u64| self.0 >= *bytes && self.0.is_multiple_of(*bytes);
        match binary.clone().find(|(_, bytes)| whole(bytes)) {
            Some((unit, bytes)) => f.pad(&format!("{}{unit}", self.0 / bytes)),
            None => f.pad(&format!("{}B", self.0)),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Size;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size, like 500MiB or 2GiB")
            }
            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
                Ok(Size(bytes))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                Size::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl schemars::JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number of bytes, with a unit or without: 500MiB, 2GiB, 1024.",
            "oneOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^[0-9]+ *([KMGT]iB|kB|[MGT]B|B)?$" },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write_and_reads_back_what_it_prints() {
        for (text, bytes) in [
            ("500MiB", 500 << 20),
            ("2 GiB", 2 << 30),
            ("1024", 1024),
            ("7B", 7),
            ("1GB", 1_000_000_000),
        ] {
            let size = Size::parse(text).unwrap();
            assert_eq!(size, Size(bytes), "{text}");
            assert_eq!(Size::parse(&size.to_string()), Ok(size), "{text}");
        }
        for text in ["", "GiB", "-1", "1.5GiB", "1PiB", "99999999999TiB"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }
}
