//! The ports, made real.

mod coordinator;
pub(crate) mod disk;
pub(crate) mod docker;
pub(crate) mod host;
pub(crate) mod systemd;

use std::{path::Path, sync::Arc};

use crate::{config::Config, outside, policy::Policy, ports::Ports};

/// This host, its systemd and Docker Engine, and its coordinator.
pub(crate) fn ports(config: &Config) -> Ports {
    let socket = config.docker_socket.clone();
    let logins = docker::Logins::of(Path::new(&outside::home()));
    let (policy, unprivileged) = (config.policy.clone(), config.unprivileged);
    Ports {
        units: Arc::new(|| Arc::new(systemd::Systemd::default())),
        images: Arc::new(move || {
            Ok(Arc::new(docker::Docker::connect(socket.as_deref(), logins.clone())?))
        }),
        programs: Arc::new(host::Host),
        probes: Arc::new(host::Host),
        disk: Arc::new(disk::HostDisk),
        outside: Arc::new(host::Host),
        policy: Arc::new(move || Policy::load(&policy, unprivileged)),
        dial: Arc::new(coordinator::Coordinator(config.clone())),
    }
}
