//! Where the store is: in `state_dir`, or in etcd.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use dv_etcd::{Etcd, Login};
use dv_types::Span;
use serde::Deserialize;

use super::Cluster;
use crate::{outgoing, secret::Source, store::Layout};

/// `store:` of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Place {
    /// In the state directory.
    #[default]
    Sled,
    /// In etcd, below a prefix.
    Etcd {
        /// Its members, each `host:port`.
        members: Vec<String>,
        /// What all names begin with.
        prefix: String,
    },
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is neither sled nor etcd: write etcd://etcd1.example.com:2379,etcd2.example.com:2379/dv"
            )
        };
        if text == "sled" {
            return Ok(Self::Sled);
        }
        let rest = text.strip_prefix("etcd://").ok_or_else(wrong)?;
        let (members, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { "dv" } else { prefix };
        let members: Vec<_> = members.split(',').map(str::to_owned).collect();
        let is_address = |member: &String| {
            member.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && !host.contains('@') && port.parse::<u16>().is_ok()
            })
        };
        match members.iter().all(is_address) {
            true => Ok(Self::Etcd { members, prefix: prefix.to_owned() }),
            false => Err(wrong()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sled => f.write_str("sled"),
            Self::Etcd { members, prefix } => write!(f, "etcd://{}/{prefix}", members.join(",")),
        }
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// `etcd:` of the configuration file: how etcd is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EtcdConfig {
    /// How long this coordinator leads after its lease was renewed last; the others take over after it.
    pub lease: Span,
    /// TLS; without it, clear text.
    pub tls: Option<EtcdTls>,
    /// The user, where etcd asks for one.
    pub user: Option<String>,
    /// The file with the user's password.
    pub password_file: Option<PathBuf>,
    /// Or the name of the credential that systemd hands it over in.
    pub credential: Option<String>,
}

/// The files for TLS to etcd.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EtcdTls {
    /// Whom to trust, instead of the system's authorities.
    pub ca_file: Option<PathBuf>,
    /// The certificate to show.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
}

impl Default for EtcdConfig {
    fn default() -> Self {
        let (tls, user, password_file, credential) = (None, None, None, None);
        Self { lease: Span::from_secs(5), tls, user, password_file, credential }
    }
}

impl EtcdConfig {
    /// What is wrong with it, with the key in front.
    pub fn check(&self, place: &Place) -> Result<(), String> {
        let seconds = self.lease.get().as_secs();
        if !(2..=60).contains(&seconds) || self.lease != Span::from_secs(seconds) {
            return Err(format!(
                "lease is {}: it must be whole seconds, from 2s to 60s",
                self.lease
            ));
        }
        if let Some(tls) = &self.tls
            && tls.cert_file.is_some() != tls.key_file.is_some()
        {
            return Err("tls: cert_file and key_file belong together".to_owned());
        }
        match (&self.user, self.password().check()?) {
            (Some(_), false) => {
                return Err("user: give password_file or credential as well".to_owned());
            }
            (None, true) => return Err("user is missing".to_owned()),
            (None, false) | (Some(_), true) => {}
        }
        let here = |member: &String| {
            matches!(
                member.rsplit_once(':').map(|(host, _)| host),
                Some("localhost" | "127.0.0.1" | "[::1]")
            )
        };
        match place {
            Place::Etcd { members, .. }
                if self.user.is_some() && self.tls.is_none() && !members.iter().all(here) =>
            {
                Err("user: the password would go in clear text: give tls".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn password(&self) -> Source<'_> {
        Source {
            what: "password",
            key: "password_file",
            file: self.password_file.as_deref(),
            credential: self.credential.as_deref(),
        }
    }

    /// The cluster. Nothing is asked of it yet.
    pub fn cluster(
        &self,
        members: &[String],
        prefix: &str,
        credentials: Option<&Path>,
    ) -> Result<Cluster, String> {
        let tls = self.tls.as_ref().map(|tls| {
            let identity = tls.cert_file.as_deref().zip(tls.key_file.as_deref());
            outgoing::tls_as(tls.ca_file.as_deref(), identity)
        });
        let password = self.password().read(credentials)?;
        let login = self.user.as_ref().zip(password);
        let login = login.map(|(user, password)| Login::new(user, &password));
        let etcd = Etcd::new(members, tls.transpose()?, login).map_err(|why| why.to_string())?;
        Ok(Cluster { etcd, layout: Layout::new(prefix), lease: self.lease })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_named_by_its_members_and_a_prefix() {
        let members = vec!["a.example.com:2379".to_owned(), "[::1]:2379".to_owned()];
        let place = Place::Etcd { members, prefix: "fleet/one".to_owned() };
        assert_eq!("etcd://a.example.com:2379,[::1]:2379/fleet/one/".parse(), Ok(place.clone()));
        assert_eq!(place.to_string().parse(), Ok(place));
        assert_eq!("sled".parse(), Ok(Place::Sled));
        let bare = "etcd://a:1".parse();
        let members = vec!["a:1".to_owned()];
        assert_eq!(bare, Ok(Place::Etcd { members, prefix: "dv".to_owned() }));
        for wrong in
            ["", "etcd", "etcd://", "etcd://a", "etcd://u:p@a:1", "http://a:1", "etcd://a:1,/dv"]
        {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let far = "etcd://a.example.com:1".parse().unwrap();
        let near = "etcd://localhost:1,127.0.0.1:2,[::1]:3".parse().unwrap();
        let check = |text: &str, place: &Place| {
            serde_saphyr::from_str::<EtcdConfig>(text).unwrap().check(place)
        };
        assert_eq!(EtcdConfig::default().check(&far), Ok(()));
        for (text, part) in [
            ("lease: 1s", "lease"),
            ("lease: 2500ms", "lease"),
            ("tls: {cert_file: /a}", "belong together"),
            ("user: dv", "password_file"),
            ("password_file: /a", "user"),
            ("{user: dv, password_file: /a, credential: b}", "not both"),
            ("{user: dv, password_file: /a}", "clear text"),
        ] {
            let why = check(text, &far).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
        assert_eq!(check("{user: dv, password_file: /a}", &near), Ok(()));
        assert_eq!(check("{user: dv, credential: b, tls: {}}", &far), Ok(()));
    }
}
