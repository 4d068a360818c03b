//! Each way back, forced by a release with each kind of migration: the data that should be there afterwards is there, and
//! nothing touches the database by itself.

use dv_e2e::{
    database::{self, Operation},
    manifest::{Manifest, Shape},
    scenario::Scenario,
    shell::Ran,
};
use dv_types::{MigrationKind, RolloutId, record::PauseWhy, report::State};

/// The service at v2 with its migration, and a release that is found bad after its own.
struct Bad {
    scenario: Scenario,
    ran: Ran,
    rollout: RolloutId,
}

impl Bad {
    /// Brings out a version that migrates the database, and whose smoke test on the canary then fails.
    #[track_caller]
    fn release(name: &str, version: &str) -> Self {
        let scenario = Scenario::begin(name);
        let manifest = Self::manifest(&scenario);
        scenario.baseline(&manifest, "v2");
        database::prepare(&scenario.bed, "v2");
        let ran = scenario.rollout(&manifest, version);
        let rollout = scenario.dvctl.json(&["rollout", "history", &scenario.service]);
        let of = |report: &&serde_json::Value| {
            report["version"] == version && report["kind"] == "forward"
        };
        let rollout = rollout.as_array().expect("a list").iter().find(of).expect("it was begun");
        let rollout = rollout["rollout"].as_str().expect("a number").parse().expect("a number");
        Self { scenario, ran, rollout }
    }

    /// Quick on the way back, too; what fails on the canary is what only v2 can show.
    fn manifest(scenario: &Scenario) -> Manifest {
        let quick = scenario.playbook(["{}", "{}"]).without("max_parallel");
        quick
            .with("canary", "1")
            .with("auto_promote", "true")
            .with("batches", "[1, 100%]")
            .only_good("v2")
    }

    /// The rollout has paused, because the old code can't run on the new schema.
    #[track_caller]
    fn waits_for_a_person(&self, kind: MigrationKind) {
        assert_eq!(self.ran.code, Some(7), "a person decides\n{}", self.ran);
        let report = self.scenario.report();
        assert_eq!(report.rollout, self.rollout, "nothing goes back by itself");
        let State::Paused(PauseWhy::Migrated { migrations, because }) = &report.state else {
            panic!("it has paused for its migration: {:#?}", report.state);
        };
        assert!(migrations[0].contains(&kind.to_string()), "{migrations:?}");
        assert!(because.contains("smoke-canary"), "{because}");
        self.nothing_was_taken_back();
    }

    /// No downgrade and no restore has ever been begun.
    #[track_caller]
    fn nothing_was_taken_back(&self) {
        for what in ["db downgrade", "backup restore"] {
            let all = database::operations(&self.scenario.bed);
            assert!(all.iter().all(|o| o.what != what), "nobody asked for it: {all:#?}");
        }
    }

    fn rollback(&self, arguments: &[&str]) -> Ran {
        let command = [&["rollback", self.scenario.service.as_str()], arguments].concat();
        self.scenario.dvctl.run(&command)
    }

    /// What was done to the database after the rollout had paused, by its words and its argument.
    fn taken_back(&self) -> Vec<(String, String, bool)> {
        let all = database::operations(&self.scenario.bed).into_iter();
        let back = all.filter(|o| ["db downgrade", "backup restore"].contains(&o.what.as_str()));
        back.map(|Operation { what, arg, done, .. }| (what, arg, done)).collect()
    }
}

const ADDRESSES: [&str; 2] = ["ada@example.com", "grace@example.com"];

#[test]
fn an_expanding_migration_stays_and_the_code_goes_back_by_itself() {
    let bad = Bad::release("expand", "v3-expand");
    let bed = &bad.scenario.bed;
    assert_eq!(bad.ran.code, Some(6), "it is back\n{}", bad.ran);
    bad.scenario.all_run(Shape::Unit, "v2");
    bad.nothing_was_taken_back();
    assert_eq!(database::migrations(bed).last().map(String::as_str), Some("0003-user-phone"));
    assert!(database::has_column(bed, "phone"), "the new column stays");
    assert_eq!(database::addresses(bed, "email"), ADDRESSES);
}

#[test]
fn a_reversible_migration_is_taken_back_when_a_person_says_so() {
    let bad = Bad::release("reversible", "v3-reversible");
    let bed = &bad.scenario.bed;
    bad.waits_for_a_person(MigrationKind::Reversible);
    // What is written meanwhile must not be lost.
    database::change(bed, "UPDATE users SET mail = 'ada@new.example' WHERE name = 'ada'");

    let plan = bad.rollback(&["--plan"]).exits(0);
    assert!(plan.stdout.contains("downgrade"), "it says what becomes of the database\n{plan}");
    bad.nothing_was_taken_back();

    bad.rollback(&[]).exits(0);
    bad.scenario.all_run(Shape::Unit, "v2");
    let one = ("db downgrade".to_owned(), "1".to_owned(), true);
    assert_eq!(bad.taken_back(), [one], "exactly what the rollout had applied");
    assert_eq!(database::migrations(bed), ["0001-users", "0002-user-email"]);
    assert_eq!(database::addresses(bed, "email"), ["ada@new.example", ADDRESSES[1]]);
}

#[test]
fn an_irreversible_migration_is_taken_back_only_with_the_loss_accepted() {
    let bad = Bad::release("lossy", "v3-irreversible");
    let bed = &bad.scenario.bed;
    bad.waits_for_a_person(MigrationKind::Irreversible);
    let refused = bad.rollback(&[]).exits(3);
    for way in ["--accept-data-loss", "--restore-backup", "--code-only"] {
        assert!(refused.stderr.contains(way), "it says {way}\n{refused}");
    }
    bad.nothing_was_taken_back();
    assert_eq!(bad.scenario.report().rollout, bad.rollout, "the rollout still waits");

    bad.rollback(&["--accept-data-loss"]).exits(0);
    bad.scenario.all_run(Shape::Unit, "v2");
    let one = ("db downgrade".to_owned(), "1".to_owned(), true);
    assert_eq!(bad.taken_back(), [one], "exactly what the rollout had applied");
    assert_eq!(database::migrations(bed), ["0001-users", "0002-user-email"]);
    assert_eq!(database::addresses(bed, "email"), ["", ""], "the loss that was accepted");
}

#[test]
fn the_backup_of_exactly_this_rollout_brings_the_data_back() {
    let bad = Bad::release("restore", "v3-irreversible");
    let bed = &bad.scenario.bed;
    bad.waits_for_a_person(MigrationKind::Irreversible);
    // Nobody types the number of another rollout by mistake.
    let other = RolloutId(bad.rollout.0 - 1).to_string();
    let refused = bad.rollback(&["--restore-backup", "--confirm", &other]);
    assert_ne!(refused.code, Some(0), "another rollout was confirmed\n{refused}");
    bad.nothing_was_taken_back();

    let this = bad.rollout.to_string();
    bad.rollback(&["--restore-backup", "--confirm", &this]).exits(0);
    bad.scenario.all_run(Shape::Unit, "v2");
    let tag = format!("pre-deploy-v3-irreversible-{this}");
    assert_eq!(bad.taken_back(), [("backup restore".to_owned(), tag, true)]);
    assert_eq!(database::migrations(bed), ["0001-users", "0002-user-email"]);
    assert_eq!(database::addresses(bed, "email"), ADDRESSES);
}

#[test]
fn only_the_code_goes_back_where_a_person_says_so() {
    let bad = Bad::release("code-only", "v3-reversible");
    let bed = &bad.scenario.bed;
    bad.waits_for_a_person(MigrationKind::Reversible);
    // v2 can't run on this schema, which is what was accepted: its hosts are not well afterwards.
    let ran = bad.rollback(&["--code-only"]).exits(5);
    bad.scenario.all_run(Shape::Unit, "v2");
    bad.nothing_was_taken_back();
    assert_eq!(database::addresses(bed, "mail"), ADDRESSES, "{ran}");
}
