//! The service's database: what it says was done to it, what is in it, and a lock that keeps a command in the middle of
//! its work.

use std::time::Duration;

use crate::{bed::Bed, machine::Machine, wait::until};

const SOON: Duration = Duration::from_secs(30);
/// By this name the lock is known to the database, and to the machine.
const LOCK: &str = "bed-lock";

/// A row of the table in which each command that changes data says that it began, and that it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// `backup create`, `backup restore`, `db upgrade` or `db downgrade`.
    pub what: String,
    /// The tag, the release's version or the count.
    pub arg: String,
    /// The host that it ran on.
    pub host: String,
    /// Whether it ended well.
    pub done: bool,
}

/// What was done to the database since the test began, in order.
#[must_use]
#[track_caller]
pub fn operations(bed: &Bed) -> Vec<Operation> {
    let rows = sql(
        &bed.infra,
        "debvisor_audit",
        "SELECT what, arg, host, done IS NOT NULL FROM operations ORDER BY id",
    );
    let operation = |row: &str| match row.split('|').collect::<Vec<_>>()[..] {
        [what, arg, host, done] => Operation {
            what: what.to_owned(),
            arg: arg.to_owned(),
            host: host.to_owned(),
            done: done == "t",
        },
        _ => panic!("no row of operations: {row}"),
    };
    rows.lines().map(operation).collect()
}

/// Of one kind of operation: how often it was begun, and how often it was done.
#[must_use]
#[track_caller]
pub fn counts(bed: &Bed, what: &str) -> (usize, usize) {
    tally(bed, |row| row.what == what)
}

/// The same, of one host.
#[must_use]
#[track_caller]
pub fn counts_on(bed: &Bed, what: &str, host: &str) -> (usize, usize) {
    tally(bed, |row| row.what == what && row.host == host)
}

#[track_caller]
fn tally(bed: &Bed, which: impl Fn(&Operation) -> bool) -> (usize, usize) {
    let all: Vec<_> = operations(bed).into_iter().filter(which).collect();
    (all.len(), all.iter().filter(|row| row.done).count())
}

/// The migrations that are applied, in order.
#[must_use]
#[track_caller]
pub fn migrations(bed: &Bed) -> Vec<String> {
    let rows =
        sql(&bed.infra, "debvisor", "SELECT name FROM schema_migrations ORDER BY applied, name");
    rows.lines().map(str::to_owned).collect()
}

/// The users' addresses in the column that this release of the code reads, by name.
#[must_use]
#[track_caller]
pub fn addresses(bed: &Bed, column: &str) -> Vec<String> {
    let query = format!("SELECT coalesce({column}, '') FROM users ORDER BY name");
    sql(&bed.infra, "debvisor", &query).lines().map(str::to_owned).collect()
}

/// Whether `users` has this column.
#[must_use]
#[track_caller]
pub fn has_column(bed: &Bed, column: &str) -> bool {
    let query = format!(
        "SELECT count(*) FROM information_schema.columns WHERE table_name = 'users' AND column_name = '{column}'"
    );
    sql(&bed.infra, "debvisor", &query).trim() == "1"
}

/// Brings the schema to where a release wants it, before the test begins to count.
#[track_caller]
pub fn prepare(bed: &Bed, version: &str) {
    let script = format!(
        "export DEBVISOR_DATABASE=postgresql://debvisor:debvisor@127.0.0.1/debvisor
         export DEBVISOR_RELEASE=/usr/share/debvisor/releases/{version}.json
         /usr/share/debvisor/bin/debvisor-cli db upgrade"
    );
    bed.infra.script(&script).ok();
}

/// Changes something, as the service or a person would.
#[track_caller]
pub fn change(bed: &Bed, statement: &str) {
    sql(&bed.infra, "debvisor", statement);
}

/// Nothing gets at the users while it is there: whoever works on them waits in the middle of it.
#[derive(Debug)]
pub struct Lock<'b> {
    infra: &'b Machine,
}

impl<'b> Lock<'b> {
    /// Takes it.
    #[must_use]
    #[track_caller]
    pub fn take(bed: &'b Bed) -> Self {
        let infra = &bed.infra;
        infra
            .exec(&[
                "systemd-run",
                "--quiet",
                "--collect",
                &format!("--unit={LOCK}"),
                &format!("--setenv=PGAPPNAME={LOCK}"),
                "--uid=postgres",
                "psql",
                "--no-psqlrc",
                "--dbname=debvisor",
                "--command=LOCK TABLE users; SELECT pg_sleep(600)",
            ])
            .ok();
        until(SOON, "the lock to be had", || sessions(infra, true, &format!("= '{LOCK}'")));
        Self { infra }
    }

    /// Waits until somebody who is not the service itself waits for it.
    #[track_caller]
    pub fn is_waited_for(&self) {
        until(SOON, "a command to wait for the lock", || {
            sessions(self.infra, false, "<> 'debvisor'")
        });
    }

    /// Gives it up, and waits until those who waited for it, their own ends dead or not, are through.
    #[track_caller]
    pub fn release(self) {
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{LOCK}'"
        );
        sql(self.infra, "debvisor", &end);
        until(SOON, "nobody to wait for the lock", || {
            match sessions(self.infra, false, "<> 'debvisor'") {
                Ok(()) => Err("somebody waits"),
                Err(_) => Ok(()),
            }
        });
    }
}

/// Whether there is a session of such a name that has, or waits for, a lock on the users.
fn sessions(infra: &Machine, granted: bool, name: &str) -> Result<(), String> {
    let not = if granted { "" } else { "NOT" };
    let query = format!(
        "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) \
         WHERE relation = 'users'::regclass AND {not} granted AND application_name {name}"
    );
    match sql(infra, "debvisor", &query).trim() {
        "" => Err("there is no such session".to_owned()),
        _ => Ok(()),
    }
}

#[track_caller]
fn sql(infra: &Machine, database: &str, text: &str) -> String {
    let database = format!("--dbname={database}");
    let text = format!("--command={text}");
    let psql = ["runuser", "-u", "postgres", "--", "psql", "--no-psqlrc", "--tuples-only"];
    let more = ["--no-align", "--set=ON_ERROR_STOP=1", &database, &text];
    infra.exec(&[&psql[..], &more[..]].concat()).ok()
}
