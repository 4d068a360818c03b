//! What the tests of operations share.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use dv_types::Span;
use tokio_util::sync::CancellationToken;

use super::Context;
use crate::{
    adapter::{disk::HostDisk, host::Host},
    config::Config,
    limits::Limits,
    outbox::Outbox,
    policy::Policy,
    ports::{Dial, EngineError, Line, Ports},
    progress::Progress,
    switch::Switches,
};

/// A directory with the scripts that stand for a service's commands; they run in it.
pub(crate) struct Scripts(tempfile::TempDir);

impl Scripts {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A script, as its command.
    pub(crate) fn script(&self, name: &str, text: &str) -> Vec<String> {
        let path = self.path(name);
        fs::write(&path, format!("cd {}\n{text}\n", self.0.path().display())).unwrap();
        vec!["/bin/sh".to_owned(), path.to_str().unwrap().to_owned()]
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }
}

/// Nobody is there.
struct NoCoordinator;

impl Dial for NoCoordinator {
    fn dial(&self, _: &str) -> Result<Box<dyn Line>, String> {
        Err("no coordinator here".to_owned())
    }
}

/// A host without any managers.
pub(crate) fn no_ports() -> Ports {
    Ports {
        units: Arc::new(|| panic!("nothing here asks for units")),
        images: Arc::new(|| Err(EngineError("no engine here".to_owned()))),
        programs: Arc::new(Host),
        probes: Arc::new(Host),
        disk: Arc::new(HostDisk),
        outside: Arc::new(Host),
        policy: Arc::new(|| Ok(Policy::default())),
        dial: Arc::new(NoCoordinator),
    }
}

/// A context with an empty policy, which operations do not look at for permission.
pub(crate) fn context(ports: Ports, limit: Span) -> Context {
    Context {
        command: "r1-1".parse().unwrap(),
        switches: Switches::of_test(),
        config: Config {
            coordinator: "localhost:1".into(),
            state_dir: "/nowhere".into(),
            policy: "/nowhere/policy.yaml".into(),
            docker_socket: None,
            unprivileged: true,
        },
        ports,
        policy: Policy::default(),
        limits: Limits::new(limit, CancellationToken::new()),
        progress: Progress::new("r1-1".parse().unwrap(), Arc::new(Outbox::default())),
        units: OnceLock::new(),
        resumed: false,
        mark: None,
    }
}
