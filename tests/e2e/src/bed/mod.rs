//! The bed: five hosts, a coordinator host, and what they need around them.

mod down;
mod images;
mod packages;
mod preflight;
mod provision;
mod up;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use down::down;
pub use preflight::LeftOut;
pub use provision::POLICY;
pub use up::{NoBed, check, up};

use crate::{dvctl::Dvctl, machine::Machine};

/// The hosts, and the zone of each.
pub const HOSTS: [(&str, &str); 5] =
    [("h1", "a"), ("h2", "b"), ("h3", "c"), ("h4", "a"), ("h5", "b")];

/// The service's image, as hosts pull it.
pub const REPOSITORY: &str = "registry.bed:5000/debvisor/debvisor";

/// The port on which the coordinator listens.
pub const PORT: u16 = 7443;

/// What `up` leaves for those who attach.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    /// The first three numbers of every address: `10.213.0`.
    prefix: String,
}

/// A bed.
#[derive(Debug, Clone)]
pub struct Bed {
    /// Its name: that of its network, and the beginning of each container's name.
    pub name: String,
    /// Where its files are.
    pub directory: PathBuf,
    /// PostgreSQL, Redis, the registry and the git server.
    pub infra: Machine,
    /// The coordinator's host.
    pub coordinator: Machine,
    /// `h1` to `h5`.
    pub hosts: Vec<Machine>,
}

impl Bed {
    /// The bed that was brought up, or what to do to have one.
    pub fn attach() -> Result<Self, String> {
        let directory = directory();
        let note = fs::read_to_string(directory.join("bed.json"))
            .map_err(|_| "there is no bed: `cargo run -p dv-e2e --bin bed -- up`".to_owned())?;
        let note: Note = serde_json::from_str(&note)
            .map_err(|why| format!("{}/bed.json: {why}", directory.display()))?;
        Ok(Self::at(&note.prefix))
    }

    fn at(prefix: &str) -> Self {
        let name = name();
        let machine = |host: &str, number: usize| Machine {
            name: host.to_owned(),
            container: format!("{name}-{host}"),
            network: name.clone(),
            address: format!("{prefix}.{number}"),
        };
        Self {
            directory: directory(),
            infra: machine("infra", 2),
            coordinator: machine("coordinator", 3),
            hosts: HOSTS
                .iter()
                .zip(11..)
                .map(|((host, _), number)| machine(host, number))
                .collect(),
            name,
        }
    }

    /// A host by its name.
    #[must_use]
    pub fn host(&self, name: &str) -> &Machine {
        self.hosts.iter().find(|host| host.name == name).expect("the bed has this host")
    }

    /// Every machine.
    pub fn machines(&self) -> impl Iterator<Item = &Machine> {
        [&self.infra, &self.coordinator].into_iter().chain(&self.hosts)
    }

    /// The packaged dvctl, with the first operator's context.
    #[must_use]
    pub fn dvctl(&self) -> Dvctl {
        Dvctl::new(self.directory.join("dvctl/usr/bin/dvctl"), self.directory.join("context.yaml"))
    }
}

/// Another name, in `DV_BED`, makes another bed.
fn name() -> String {
    env::var("DV_BED").unwrap_or_else(|_| "dv-bed".to_owned())
}

/// Where a bed keeps its files.
fn directory() -> PathBuf {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join(name())
}

/// The workspace's directory.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate is in tests/e2e")
}
