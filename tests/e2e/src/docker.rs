//! The engine of the machine that the bed stands on.

use std::{process::Command, time::Duration};

use crate::shell::{self, Ran};

const LIMIT: Duration = Duration::from_secs(120);

/// `docker ARGUMENTS`
pub fn docker<S: AsRef<str>>(arguments: &[S]) -> Ran {
    docker_with(arguments, &[])
}

/// `docker ARGUMENTS`, with `input` on its standard input.
pub fn docker_with<S: AsRef<str>>(arguments: &[S], input: &[u8]) -> Ran {
    let mut command = Command::new("docker");
    command.args(arguments.iter().map(AsRef::as_ref)).env("DOCKER_BUILDKIT", "0");
    shell::run_with(&mut command, input, LIMIT)
}

/// Whether the engine has this image.
#[must_use]
pub fn has_image(image: &str) -> bool {
    docker(&["image", "inspect", image]).code == Some(0)
}
