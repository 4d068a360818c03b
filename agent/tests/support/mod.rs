//! A coordinator that does what a test tells it, and an agent that can crash.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    missing_docs,
    reason = "each test uses its part"
)]

mod authority;
mod coordinator;
pub mod signer;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread::JoinHandle,
    time::Duration,
};

use dv_agent::{Until, config::Config};
use dv_types::{Operation, Probe, Span, probe::Probing};
use tempfile::TempDir;
use tokio::sync::oneshot;

pub use authority::{Authority, Life};
pub use coordinator::{Coordinator, Session};
pub use signer::Signer;

/// Far more than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A host: its directory, its policy, its configuration.
pub struct Host {
    pub dir: TempDir,
    pub config: Config,
}

impl Host {
    /// Not enrolled yet. `policy` is its policy file's text.
    pub fn new(coordinator: &str, policy: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy.yaml");
        fs::write(&file, policy).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
        let config = Config {
            coordinator: coordinator.into(),
            state_dir: dir.path().join("state"),
            policy: file,
            docker_socket: Some("/nowhere/docker.sock".into()),
            unprivileged: true,
        };
        Self { dir, config }
    }

    /// With a certificate of `authority` for `h1`.
    pub fn enrolled(coordinator: &Coordinator, policy: &str) -> Self {
        let host = Self::new(&coordinator.address, policy);
        host.give_identity(&coordinator.authority, Life::Long);
        host
    }

    pub fn give_identity(&self, authority: &Authority, life: Life) {
        let (certificate, key) = authority.host("h1", life);
        let identity = self.config.state_dir.join("identity");
        fs::create_dir_all(&identity).unwrap();
        fs::write(identity.join("key.pem"), key).unwrap();
        fs::set_permissions(identity.join("key.pem"), PermissionsExt::from_mode(0o600)).unwrap();
        fs::write(identity.join("ca.pem"), authority.ca()).unwrap();
        fs::write(identity.join("certificate.pem"), certificate).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn ledger(&self) -> PathBuf {
        self.config.state_dir.join("ledger")
    }

    /// A script in the host's directory, which every policy here allows.
    pub fn script(&self, name: &str, text: &str) -> Vec<String> {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        vec!["/bin/sh".to_owned(), path.to_str().unwrap().to_owned()]
    }

    pub fn start(&self) -> Agent {
        Agent::start(self.config.clone())
    }
}

/// Waits until the probe is good.
pub fn verify(probe: Probe) -> Operation {
    let probing = Probing {
        probes: vec![("live".to_owned(), probe)],
        interval: Span::from_millis(100),
        timeout: Span::from_secs(20),
        successes: 1,
    };
    let healthy_deadline = Span::from_secs(20);
    Operation::Verify { probing, min_healthy_time: Span::ZERO, healthy_deadline }
}

/// What scripts are allowed by.
pub const SCRIPTS: &str = "commands: [[/bin/sh, '**']]\n";

/// An agent in a thread of its own.
pub struct Agent {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Agent {
    pub fn start(config: Config) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    ended = dv_agent::run(config, forever()) => ended.unwrap(),
                    _ = stopped => {}
                }
            });
            // Whatever it was doing is dropped where it stands.
            runtime.shutdown_background();
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }

    /// Ends it in the middle of whatever it does.
    pub fn crash(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the agent panicked");
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.end();
    }
}

/// Nobody tells it to end.
fn forever() -> Until<std::future::Pending<()>, std::future::Pending<()>> {
    Until { stop: std::future::pending(), retire: std::future::pending() }
}

/// Waits for `condition`; says what it waited for if it never comes.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let all = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
