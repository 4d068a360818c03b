//! The ports, made real.

pub(crate) mod docker;
pub(crate) mod systemd;

use std::{path::Path, sync::Arc};

use crate::{config::Config, outside, ports::Ports};

/// This host's systemd and Docker Engine.
pub(crate) fn ports(config: &Config) -> Ports {
    let socket = config.docker_socket.clone();
    let logins = docker::Logins::of(Path::new(&outside::home()));
    Ports {
        units: Arc::new(|| Arc::new(systemd::Systemd::default())),
        images: Arc::new(move || {
            Ok(Arc::new(docker::Docker::connect(socket.as_deref(), logins.clone())?))
        }),
    }
}
