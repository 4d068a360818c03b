//! Takes a bed down: its machines, their disks, its network. The images stay for the next one.

use std::fs;

use super::{directory, name};
use crate::docker::docker;

/// Takes the bed down, if there is one.
pub fn down() -> Result<(), String> {
    let filter = format!("label=dv-bed={}", name());
    let containers = docker(&["ps", "--all", "--quiet", "--filter", &filter]).result()?;
    let mut remove = vec!["rm", "--force", "--volumes"];
    let before = remove.len();
    remove.extend(containers.split_whitespace());
    if remove.len() > before {
        docker(&remove).result()?;
    }
    let networks = docker(&["network", "ls", "--quiet", "--filter", &filter]).result()?;
    for network in networks.split_whitespace() {
        docker(&["network", "rm", network]).result()?;
    }
    let _ = fs::remove_dir_all(directory());
    Ok(())
}
