//! The way back for the database: which one, and why. The choice is made here and nowhere else.

use dv_types::{
    Migration, MigrationKind,
    manifest::{BackupStep, MigrateStep, Step},
    plan::{Database, Way, Wish},
};

use crate::{Rollout, once::State};

/// What becomes of the database when `of` is taken back; or why that can't be said without a person, and what to do.
pub fn way_back(of: &Rollout, wish: Wish) -> Result<Database, String> {
    let id = of.id;
    let migrations = of.migrations();
    if wish.restore_backup {
        return restore(of);
    }
    if wish.code_only {
        let why = "only the code goes back: --code-only".to_owned();
        return Ok(Database { way: Way::Code, why });
    }
    let ways = "`--restore-backup` to restore the backup of this rollout, or `--code-only` to leave the database as it is";
    if of.schema_unknown() {
        // What has ended takes no word any more.
        let say = match of.is_ended() {
            true => format!("then use {ways}"),
            false => format!("say so with `dvctl rollout resolve` while {id} is paused, or {ways}"),
        };
        return Err(format!(
            "nobody knows what the migrations of {id} did: look at the database, {say}"
        ));
    }
    if migrations.is_empty() {
        return Ok(Database { way: Way::Code, why: "no migration ran".to_owned() });
    }
    if migrations.iter().all(|m| m.kind == MigrationKind::Expand) {
        let why = format!("the old code runs on the new schema: {} only adds", names(&migrations));
        return Ok(Database { way: Way::Code, why });
    }
    if !wish.by_person {
        return Err(format!(
            "the code before {id} can't run on the schema after {}, and nothing touches the database by itself: \
             choose with `dvctl rollback {id}`",
            names(&migrations)
        ));
    }
    let lossy: Vec<_> =
        migrations.iter().filter(|m| m.kind == MigrationKind::Irreversible).cloned().collect();
    if migrate_step(of).is_none_or(|step| step.downgrade.is_none()) {
        return Err(format!(
            "the code before {id} can't run on the schema after {}, and the manifest gives no `downgrade`: \
             use `--restore-backup` to restore the backup of this rollout, or `--code-only` to leave the database as it is",
            names(&migrations)
        ));
    }
    if !lossy.is_empty() && !wish.accept_data_loss {
        return Err(format!(
            "taking back {} loses data: use `--accept-data-loss` if that is meant, or {ways}",
            names(&lossy)
        ));
    }
    let why = match lossy.is_empty() {
        true => format!(
            "the old code can't run on the new schema, and taking back {} loses nothing",
            names(&migrations)
        ),
        false => format!(
            "the old code can't run on the new schema; that taking back {} loses data is accepted",
            names(&lossy)
        ),
    };
    Ok(Database { way: Way::Downgrade { migrations }, why })
}

fn restore(of: &Rollout) -> Result<Database, String> {
    let id = of.id;
    let made = of.plan.once.iter().position(|once| once.name == "backup");
    let made = made.is_some_and(|k| of.once[k].state == State::Done);
    if !made {
        return Err(format!("{id} has made no backup that could be restored"));
    }
    if backup_step(of).is_none_or(|step| step.restore.is_none()) {
        return Err(format!(
            "the manifest of {id} gives no `restore` for its backup: restore it by hand, then use `--code-only`"
        ));
    }
    let why = format!(
        "the backup that {id} made is restored: --restore-backup; what was written since is lost"
    );
    Ok(Database { way: Way::Restore, why })
}

pub(super) fn migrate_step(of: &Rollout) -> Option<&MigrateStep> {
    of.plan.manifest.steps.iter().find_map(|step| match step {
        Step::Migrate(step) => Some(step),
        _ => None,
    })
}

pub(super) fn backup_step(of: &Rollout) -> Option<&BackupStep> {
    of.plan.manifest.steps.iter().find_map(|step| match step {
        Step::Backup(step) => Some(step),
        _ => None,
    })
}

fn names(migrations: &[Migration]) -> String {
    migrations.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
