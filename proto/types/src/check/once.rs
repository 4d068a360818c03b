//! What happens once.

use super::{
    Problems,
    steps::{argv_with, timeout},
    template,
};
use crate::manifest::{BackupStep, MigrateStep, Once, Proof};

/// The commands that take migrations back name how many.
const DOWNGRADE: &[&str] = &["count", "version", "rollout"];

pub(super) fn backup(step: &BackupStep, path: &str, problems: &mut Problems) {
    argv_with(&step.create, template::ONCE, &format!("{path}.create"), problems);
    match &step.restore {
        Some(restore) => argv_with(restore, template::ONCE, &format!("{path}.restore"), problems),
        None => problems.warning(
            path,
            "nothing restores this backup: `dvctl rollback --restore-backup` can't be used; give `restore`",
        ),
    }
    proof(&step.proof, &format!("{path}.proof"), problems);
    on(&step.on, &format!("{path}.once"), problems);
    timeout(step.timeout, path, problems);
}

fn proof(proof: &Proof, path: &str, problems: &mut Problems) {
    if let Some(file) = &proof.file {
        if !file.starts_with('/') {
            problems.error(
                format!("{path}.file"),
                format!("{file:?} is not a full path, like /var/backups/app.dump"),
            );
        }
        template::variables(file, template::ONCE, &format!("{path}.file"), problems);
    }
    if let Some(command) = &proof.command {
        argv_with(command, template::ONCE, &format!("{path}.command"), problems);
    }
    if proof.file.is_some() && proof.command.is_some() {
        problems.error(path, "give `file` or `command`, not both");
    }
    if proof.checksum && proof.file.is_none() {
        problems.error(
            format!("{path}.checksum"),
            "`checksum` goes with `file`; a command prints `sha256: …` by itself",
        );
    }
}

pub(super) fn migrate(step: &MigrateStep, path: &str, problems: &mut Problems) {
    argv_with(&step.check, template::ONCE, &format!("{path}.check"), problems);
    argv_with(&step.upgrade, template::ONCE, &format!("{path}.upgrade"), problems);
    match &step.downgrade {
        Some(downgrade) => {
            argv_with(downgrade, DOWNGRADE, &format!("{path}.downgrade"), problems);
            if !downgrade.iter().any(|argument| argument.contains("${count}")) {
                problems.error(
                    format!("{path}.downgrade"),
                    "it does not say how many migrations are taken back: write ${count} in it, as in -${count}",
                );
            }
        }
        None => problems.warning(
            path,
            "nothing takes these migrations back: a rollback after one that is not `expand` needs the backup; give `downgrade`",
        ),
    }
    on(&step.on, &format!("{path}.once"), problems);
    timeout(step.timeout, path, problems);
}

pub(super) fn on(on: &Once, path: &str, problems: &mut Problems) {
    if on.host.is_some() && !on.labels.is_empty() {
        problems.error(path, "give `host` or `labels`, not both");
    }
}
