//! Where coordinators are: one address, or several of which one leads.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Addresses of coordinators, each `host:port`, at least one. Written as one text or as a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses(Vec<String>);

impl Addresses {
    /// All of them, in the order in which they are written.
    #[must_use]
    pub fn all(&self) -> &[String] {
        &self.0
    }

    /// Whether there are several coordinators.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.0.len() > 1
    }
}

impl From<&str> for Addresses {
    fn from(one: &str) -> Self {
        Self(vec![one.to_owned()])
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// `host:port,host:port`, as it is written in one word.
impl FromStr for Addresses {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text.split(',').map(|one| one.trim().to_owned()).collect())
    }
}

impl Addresses {
    fn new(all: Vec<String>) -> Result<Self, &'static str> {
        match all.is_empty() || all.iter().any(String::is_empty) {
            true => Err("write host:port, or a list of such addresses"),
            false => Ok(Self(all)),
        }
    }
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Addresses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("host:port, or a list of such addresses")
            }

            fn visit_str<E: de::Error>(self, one: &str) -> Result<Addresses, E> {
                Addresses::new(vec![one.to_owned()]).map_err(E::custom)
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Addresses, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element()? {
                    all.push(one);
                }
                Addresses::new(all).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for Addresses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [one] => one.serialize(serializer),
            all => all.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_or_a_list() {
        let read = |json: &str| serde_json::from_str::<Addresses>(json);
        for (json, text) in [("\"a:1\"", "a:1"), ("[\"a:1\",\"b:2\"]", "a:1, b:2")] {
            let addresses = read(json).unwrap();
            assert_eq!(addresses.to_string(), text);
            assert_eq!(serde_json::to_string(&addresses).unwrap(), json);
            assert_eq!(text.parse(), Ok(addresses));
        }
        for wrong in ["[]", "\"\"", "[\"a:1\",\"\"]", "7", "[7]", "null"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
