//! Releases of several services.

use std::{fs, path::Path};

use dv_types::{
    ReleaseId, RolloutId,
    plan::Wish,
    record::{PauseWhy, Verdict},
    release::{Course, Ending, MemberReport, MemberState, ReleaseReport},
    report::{Phase, State},
};
use tempfile::tempdir;

use crate::{
    fake::{Fake, Scene},
    sample::{Journal, at, host, plan, report, reversal},
    support::{MANIFEST, dvctl, prepared, told},
};

const SHOP: &str = "\
release: shop
services:
  - {manifest: web.yaml, after: [api, db]}
  - manifest: parts/db.yaml
    version: db-${version}
  - manifest: parts/api.yaml
    after: [db]
";

/// A release and its manifests in `home`.
fn write(home: &Path, release: &str) {
    fs::create_dir_all(home.join("parts")).unwrap();
    fs::write(home.join("shop.yaml"), release).unwrap();
    for (file, service) in [("web.yaml", "web"), ("parts/db.yaml", "db"), ("parts/api.yaml", "api")]
    {
        let manifest = MANIFEST.replace("service: app", &format!("service: {service}"));
        fs::write(home.join(file), manifest).unwrap();
    }
}

fn validate(change: impl FnOnce(&Path), arguments: &[&str]) -> String {
    let home = tempdir().unwrap();
    write(home.path(), SHOP);
    change(home.path());
    let mut command = dvctl(home.path());
    told(&command.args(["validate", "shop.yaml"]).args(arguments).output().unwrap())
}

fn call(fake: &Fake, arguments: &[&str]) -> String {
    let home = tempdir().unwrap();
    write(home.path(), SHOP);
    told(&prepared(home.path(), &fake.context()).args(arguments).output().unwrap())
}

#[test]
fn validate_says_that_a_release_is_good_and_its_order() {
    insta::assert_snapshot!(validate(|_| (), &[]));
}

#[test]
fn validate_shows_every_problem_in_its_file() {
    insta::assert_snapshot!(validate(
        |home| {
            let release = SHOP
                .replace("after: [api, db]", "after: [api, cache]")
                .replace("${version}", "${versoin}");
            write(home, &(release + "  - manifest: parts/db.yaml\n"));
            let broken = MANIFEST.replace("service: app", "service: api").replace("{unit", "{unti");
            fs::write(home.join("parts/api.yaml"), broken).unwrap();
        },
        &[]
    ));
    // The order is looked at when every manifest says which service it is.
    insta::assert_snapshot!(
        "problems_of_the_order",
        validate(
            |home| {
                let release = SHOP.replace("after: [api, db]", "after: [api, cache]");
                write(home, &(release + "  - manifest: parts/db.yaml\n"));
            },
            &[]
        )
    );
}

#[test]
fn validate_names_a_cycle() {
    let release = SHOP.replace("    version: db-${version}\n", "    after: [api]\n");
    insta::assert_snapshot!(validate(|home| write(home, &release), &[]));
}

#[test]
fn validate_says_which_manifest_is_not_there_and_which_key_is_wrong() {
    insta::assert_snapshot!(
        "no_manifest",
        validate(|home| fs::remove_file(home.join("web.yaml")).unwrap(), &[])
    );
    let release = SHOP.replace("after: [db]", "afer: [db]");
    insta::assert_snapshot!("wrong_key", validate(|home| write(home, &release), &[]));
}

#[test]
fn validate_as_json_holds_every_file() {
    let broken = MANIFEST.replace("service: app", "service: api").replace("app.service", "app");
    let change = |home: &Path| fs::write(home.join("parts/api.yaml"), broken).unwrap();
    insta::assert_snapshot!(validate(change, &["--output", "json"]));
}

#[test]
fn a_plan_shows_the_order_and_every_plan() {
    let fake = Fake::new();
    let scene = report(RolloutId(1), &plan(), State::Running, &[Phase::Pending; 3]);
    fake.scene("plan", Scene::new(plan(), Vec::new(), scene));
    let told = call(&fake, &["plan", "shop.yaml", "--version", "v2"]);
    assert_eq!(fake.asked(), ["plan release shop db=db-v2 api=v2 web=v2"]);
    assert!(told.starts_with("exit: 0\n"), "{told}");
    insta::assert_snapshot!(told.lines().take(8).collect::<Vec<_>>().join("\n"));
    assert_eq!(told.matches("Rollout of app v2 on 3 hosts").count(), 3, "{told}");
    assert!(told.contains(&format!("Release plan {}", "5".repeat(64))), "{told}");
}

#[test]
fn a_version_that_the_template_makes_wrong_is_refused_in_its_place() {
    let home = tempdir().unwrap();
    write(home.path(), &SHOP.replace("db-${version}", "-${version}"));
    let fake = Fake::new();
    let mut command = prepared(home.path(), &fake.context());
    let output = command.args(["plan", "shop.yaml", "--version", "v2"]).output().unwrap();
    let told = told(&output);
    assert!(told.starts_with("exit: 3\n"), "{told}");
    assert!(told.contains("shop.yaml:5:14: \"-v2\" is not a version"), "{told}");
    assert!(fake.asked().is_empty());
}

fn member(service: &str, after: &[&str], out: Option<u64>, state: MemberState) -> MemberReport {
    MemberReport {
        service: service.parse().unwrap(),
        version: "v2".parse().unwrap(),
        after: after.iter().map(|name| name.parse().unwrap()).collect(),
        touched: out.is_some(),
        state,
        rollout: out.map(RolloutId),
        back: None,
    }
}

/// `db` by r42, then `api`.
fn shop(db: MemberState, api: MemberReport) -> ReleaseReport {
    ReleaseReport {
        release: ReleaseId(7),
        name: "shop".parse().unwrap(),
        course: Course::Forward,
        why: None,
        held: None,
        ending: None,
        by: "admin".to_owned(),
        reason: None,
        began: at(0),
        ended: None,
        members: vec![member("db", &[], Some(42), db), api],
    }
}

fn waiting() -> MemberReport {
    member("api", &["db"], None, MemberState::Pending)
}

fn ended(mut report: ReleaseReport, ending: Ending) -> ReleaseReport {
    report.ending = Some(ending);
    report.ended = Some(at(90));
    report
}

fn going_back(mut report: ReleaseReport) -> ReleaseReport {
    let by = "dv".to_owned();
    report.course = Course::Back { by, wish: Wish::default(), from: RolloutId(0) };
    report.why = Some("api (r44) has failed".to_owned());
    report
}

/// A rollout that has ended.
fn scene(id: u64, back: bool, verdict: Verdict) -> Scene {
    let id = RolloutId(id);
    let plan = if back { reversal() } else { plan() };
    let hosts: Vec<_> = plan.hosts.iter().map(|host| host.name.clone()).collect();
    let mut journal = Journal::new(id);
    let mut phases = Vec::new();
    for name in &hosts {
        journal = match verdict {
            Verdict::Succeeded => journal.healthy(0, name.as_str()),
            _ => journal.failed(0, host(name.as_str()).as_str()),
        };
        phases.push(if verdict == Verdict::Succeeded { Phase::Healthy } else { Phase::Failed });
    }
    let report = report(id, &plan, State::Ended(verdict), &phases);
    Scene::new(plan, journal.ended(verdict, false).records, report)
}

const START: [&str; 5] = ["rollout", "start", "shop.yaml", "--version", "v2"];

#[test]
fn a_release_is_followed_member_by_member_and_success_is_0() {
    let fake = Fake::new();
    let (running, good) = (MemberState::UnderWay(State::Running), MemberState::Succeeded);
    let out = |state| member("api", &["db"], Some(43), state);
    *fake.script.releases.lock().unwrap() = [
        shop(running.clone(), waiting()),
        shop(good.clone(), out(running)),
        ended(shop(good.clone(), out(good)), Ending::Succeeded),
    ]
    .into();
    fake.scene("r42", scene(42, false, Verdict::Succeeded));
    fake.scene("r43", scene(43, false, Verdict::Succeeded));
    let told = call(&fake, &[&START[..], &["-q"]].concat());
    assert!(told.starts_with("exit: 0\n"), "{told}");
    assert_eq!(
        fake.asked()[0],
        r#"start release shop db=db-v2 api=v2 web=v2 force=false reason="" plan="""#
    );
    let watched: Vec<_> = fake.asked().into_iter().filter(|a| a.starts_with("watch")).collect();
    assert_eq!(watched, ["watch r42 after 0", "watch r43 after 0"]);
    let end = told.split("rel7 shop: ").nth(1).unwrap();
    insta::assert_snapshot!(end.split("TIME").next().unwrap());
}

#[test]
fn a_release_that_went_back_is_6_and_says_why() {
    let fake = Fake::new();
    let mut failed = member("api", &["db"], Some(44), MemberState::Back);
    failed.back = Some(RolloutId(45));
    let mut last = ended(going_back(shop(MemberState::Back, failed)), Ending::TakenBack);
    last.members[0].back = Some(RolloutId(46));
    *fake.script.releases.lock().unwrap() = [last].into();
    fake.scene("r42", scene(42, false, Verdict::Succeeded));
    fake.scene("r44", scene(44, false, Verdict::Failed));
    fake.scene("r45", scene(45, true, Verdict::Succeeded));
    fake.scene("r46", scene(46, true, Verdict::Succeeded));
    let told = call(&fake, &START);
    assert!(told.starts_with("exit: 6\n"), "{told}");
    let heads: Vec<_> = told.lines().filter(|l| l.starts_with("rel7 shop: ")).collect();
    insta::assert_snapshot!(heads.join("\n"));
}

#[test]
fn how_a_release_ended_is_the_exit_code() {
    let failed =
        || member("api", &["db"], Some(44), MemberState::Failed { touched: true, aborted: false });
    let mut untouched = shop(MemberState::Pending, waiting());
    untouched.members[0].rollout = None;
    untouched.members[0].touched = false;
    let mut held = going_back(shop(MemberState::Succeeded, failed()));
    held.held = Some("r42 can't be taken back by rel7: its migrations lose data".to_owned());
    let cases = [
        (ended(shop(MemberState::Succeeded, failed()), Ending::Stopped), 5),
        (ended(untouched, Ending::Stopped), 4),
        (held, 7),
    ];
    for (report, code) in cases {
        let fake = Fake::new();
        *fake.script.releases.lock().unwrap() = [report].into();
        fake.scene("r42", scene(42, false, Verdict::Succeeded));
        fake.scene("r44", scene(44, false, Verdict::Failed));
        let told = call(&fake, &["rollout", "watch", "rel7"]);
        assert!(told.starts_with(&format!("exit: {code}\n")), "{told}");
        assert_eq!(code == 7, told.contains("its migrations lose data"), "{told}");
    }
}

#[test]
fn status_explain_and_history_show_a_release() {
    let fake = Fake::new();
    let paused = State::Paused(PauseWhy::Unreachable { unreachable: 2, tolerated: 1 });
    let report = ended(shop(MemberState::Succeeded, waiting()), Ending::Stopped);
    *fake.script.releases.lock().unwrap() = [report].into();
    insta::assert_snapshot!("status", call(&fake, &["rollout", "status", "rel7"]));
    insta::assert_snapshot!("history", call(&fake, &["rollout", "history"]));
    let report = shop(MemberState::UnderWay(paused), waiting());
    *fake.script.releases.lock().unwrap() = [report].into();
    insta::assert_snapshot!("explain", call(&fake, &["rollout", "explain", "rel7"]));
}

#[test]
fn a_release_is_ended_and_taken_back_by_its_id() {
    let fake = Fake::new();
    let told = call(&fake, &["rollout", "abort", "rel7", "--reason", "lunch"]);
    assert!(told.contains("rel7 ends here; every host stays as it is\n"), "{told}");
    assert_eq!(fake.asked(), [r#"abort rel7 reason="lunch""#]);

    let fake = Fake::new();
    let mut back = ended(going_back(shop(MemberState::Back, waiting())), Ending::TakenBack);
    back.members[0].back = Some(RolloutId(43));
    let before = ended(shop(MemberState::Succeeded, waiting()), Ending::Stopped);
    *fake.script.releases.lock().unwrap() = [before, back].into();
    fake.scene("r43", scene(43, true, Verdict::Succeeded));
    let told = call(&fake, &["rollback", "rel7", "--reason", "too slow"]);
    assert!(told.starts_with("exit: 0\n"), "{told}");
    let asked = fake.asked();
    assert_eq!(asked[..3], ["get rel7", r#"rollback rel7 reason="too slow""#, "get rel7"]);
    assert!(!asked.iter().any(|a| a.contains("r42")), "only the way back is followed: {asked:?}");
}

#[test]
fn one_member_alone_goes_back_with_a_warning() {
    let fake = Fake::new();
    *fake.script.part_of.lock().unwrap() = "rel7".to_owned();
    let told = call(&fake, &["rollback", "r42", "--detach"]);
    assert!(told.starts_with("exit: 0\n"), "{told}");
    assert!(told.contains("part of rel7, and only app goes back"), "{told}");
    assert!(told.contains("dvctl rollback rel7"), "{told}");
}

#[test]
fn what_is_for_one_rollout_is_not_said_to_a_release() {
    let fake = Fake::new();
    for arguments in [
        &["rollback", "rel7", "--plan"][..],
        &["rollback", "rel7", "--restore-backup"],
        &["rollout", "pause", "rel7"],
        &["rollout", "watch", "relx"],
    ] {
        let told = call(&fake, arguments);
        assert!(told.starts_with("exit: 2\n"), "{arguments:?}: {told}");
    }
    assert!(fake.asked().is_empty());
}
