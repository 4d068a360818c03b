//! A release: several services that go forward, and back, as one. It is a chain of ordinary rollouts.
//!
//! What a release did is told by its rollouts; of its own it keeps only who wanted what, and which way it goes.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Manifest, ReleaseId, ReleaseName, RolloutId, ServiceName, Timestamp, Version,
    check::Problem,
    plan::{Severity, Wish},
    record::Verdict,
    report::State,
};

/// What an operator writes: which services, each by its own manifest, and their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseFile {
    /// What people call it.
    pub release: ReleaseName,
    /// The services. Those without an order among them go out at the same time.
    pub services: Vec<Entry>,
}

/// One service of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The path of its manifest, relative to this file.
    pub manifest: String,
    /// Its version; `${version}` stands for the version of the release, and is what it gets where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Services of this release that must have succeeded before this one begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<ServiceName>,
}

/// A release that can go out: everything in it is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// What people call it.
    pub name: ReleaseName,
    /// Its services, each after all that it comes after.
    pub members: Vec<Member>,
}

/// One service of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The version that goes out.
    pub version: Version,
    /// Members that must have succeeded before it begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<ServiceName>,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Member {
    /// Its name in the release.
    #[must_use]
    pub fn service(&self) -> &ServiceName {
        &self.manifest.service
    }
}

impl Release {
    /// The same with its members in their order; or all that is wrong with the order, each at its place in the list
    /// as it was given.
    pub fn arranged(mut self) -> Result<Self, Vec<Problem>> {
        let services: Vec<_> =
            self.members.iter().map(|m| (m.service().clone(), m.after.clone())).collect();
        let order = order(&services)?;
        let mut members: Vec<_> = self.members.into_iter().map(Some).collect();
        self.members = order.into_iter().filter_map(|i| members[i].take()).collect();
        Ok(self)
    }
}

/// The order in which services can go out: each after all that it names, and otherwise as they are listed.
pub fn order(services: &[(ServiceName, Vec<ServiceName>)]) -> Result<Vec<usize>, Vec<Problem>> {
    let problems = misnamed(services);
    if !problems.is_empty() {
        return Err(problems);
    }
    let index = |name: &ServiceName| services.iter().position(|(service, _)| service == name);
    let mut placed = vec![false; services.len()];
    let mut order = Vec::new();
    let free = |placed: &[bool]| {
        services.iter().enumerate().position(|(i, (_, after))| {
            !placed[i] && after.iter().filter_map(index).all(|before| placed[before])
        })
    };
    while let Some(next) = free(&placed) {
        placed[next] = true;
        order.push(next);
    }
    if order.len() == services.len() { Ok(order) } else { Err(vec![cycle(services, &placed)]) }
}

/// Services that are listed twice, and names in `after` that mean none.
fn misnamed(services: &[(ServiceName, Vec<ServiceName>)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut error = |path, text| problems.push(Problem { severity: Severity::Error, path, text });
    for (i, (service, after)) in services.iter().enumerate() {
        if services[..i].iter().any(|(before, _)| before == service) {
            let text = format!("{service} is listed twice: a release has one version of a service");
            error(format!("services[{i}].manifest"), text);
        }
        for (k, name) in after.iter().enumerate() {
            let path = format!("services[{i}].after[{k}]");
            if !services.iter().any(|(known, _)| known == name) {
                let known: BTreeSet<_> = services.iter().map(|(name, _)| name.as_str()).collect();
                let known = known.into_iter().collect::<Vec<_>>().join(", ");
                error(
                    path,
                    format!("no service of this release is named {name}: there are {known}"),
                );
            } else if after[..k].contains(name) {
                error(path, format!("{name} stands here twice"));
            }
        }
    }
    problems
}

/// Names the cycle: from any service that can't be placed, along what it comes after, until one comes again.
fn cycle(services: &[(ServiceName, Vec<ServiceName>)], placed: &[bool]) -> Problem {
    let waits_on = |i: usize| {
        let unplaced = |name: &ServiceName| {
            services.iter().position(|(service, _)| service == name).filter(|&at| !placed[at])
        };
        let mut after = services[i].1.iter().enumerate();
        after.find_map(|(k, name)| Some((k, unplaced(name)?)))
    };
    let mut at = placed.iter().position(|placed| !placed).unwrap_or_default();
    let mut path = Vec::new();
    while !path.contains(&at) {
        path.push(at);
        let Some((_, next)) = waits_on(at) else { break };
        at = next;
    }
    let begin = path.iter().position(|&i| i == at).unwrap_or_default();
    let mut names: Vec<_> = path[begin..].iter().map(|&i| services[i].0.as_str()).collect();
    names.push(services[at].0.as_str());
    let k = waits_on(at).map_or(0, |(k, _)| k);
    Problem {
        severity: Severity::Error,
        path: format!("services[{at}].after[{k}]"),
        text: format!(
            "nothing could ever begin: {}: take one of these `after` out",
            names.join(" comes after ")
        ),
    }
}

/// Which way a release goes. Decided once and kept before anything is done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// Members begin when it is their turn.
    Forward,
    /// Nothing further begins; what is under way goes on to its end.
    Stopped,
    /// Nothing further begins, and what is under way ends where it is.
    Aborted,
    /// Whatever was begun is taken back.
    Back {
        /// Who wants it.
        by: String,
        /// How.
        wish: Wish,
        /// Ways back of a lower number that ended badly are tried again.
        from: RolloutId,
    },
}

/// How a release ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Every member has succeeded.
    Succeeded,
    /// Every member that was begun went back.
    TakenBack,
    /// Some members have not succeeded, or not gone back.
    Stopped,
}

/// One rollout of a member, as far as its release is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// Its number.
    pub rollout: RolloutId,
    /// Where it stands.
    pub state: State,
    /// Whether it changed anything that would be taken back.
    pub touched: bool,
}

/// Where a member stands: a fold over its rollouts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// Not begun.
    Pending,
    /// Its rollout is under way.
    UnderWay(State),
    /// Its rollout has succeeded.
    Succeeded,
    /// Its rollout has succeeded, and changed nothing that would be taken back.
    Unchanged,
    /// Its rollout has ended otherwise, and is not taken back.
    Failed {
        /// Whether it changed anything.
        touched: bool,
        /// Whether a person ended it.
        aborted: bool,
    },
    /// It is taken back, or is about to be.
    GoingBack(Option<State>),
    /// It was taken back.
    Back,
    /// It was to be taken back, and something of it stays as it is.
    LeftBehind {
        /// The rollback that ended so.
        by: RolloutId,
    },
}

impl MemberState {
    /// The state that a member's rollouts make: the one that went out, the last that took it back, and whether a
    /// rollback of it is due.
    #[must_use]
    pub fn of(out: Option<&Leg>, back: Option<&Leg>, due: bool) -> Self {
        let Some(out) = out else { return Self::Pending };
        if let Some(back) = back {
            return match back.state {
                State::Ended(Verdict::Succeeded) => Self::Back,
                // Begun again already.
                State::Ended(_) if due => Self::GoingBack(None),
                State::Ended(_) => Self::LeftBehind { by: back.rollout },
                ref under_way => Self::GoingBack(Some(under_way.clone())),
            };
        }
        match out.state {
            State::Ended(_) if due => Self::GoingBack(None),
            State::Ended(Verdict::Succeeded) if out.touched => Self::Succeeded,
            State::Ended(Verdict::Succeeded) => Self::Unchanged,
            State::Ended(verdict) => {
                Self::Failed { touched: out.touched, aborted: verdict == Verdict::Aborted }
            }
            ref under_way => Self::UnderWay(under_way.clone()),
        }
    }

    /// Whether its rollout has succeeded and stands.
    #[must_use]
    pub fn has_succeeded(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Unchanged)
    }

    /// Whether taking its release back takes it back too.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        matches!(
            self,
            Self::UnderWay(_)
                | Self::Succeeded
                | Self::Failed { touched: true, .. }
                | Self::LeftBehind { .. }
        )
    }

    /// Whether a rollout of it is under way, or due.
    #[must_use]
    pub fn moves(&self) -> bool {
        matches!(self, Self::UnderWay(_) | Self::GoingBack(_))
    }

    /// Whether a person has to say something before its rollout goes on.
    #[must_use]
    pub fn waits_for_a_person(&self) -> bool {
        match self {
            Self::UnderWay(state) | Self::GoingBack(Some(state)) => {
                matches!(state, State::Paused(_) | State::AwaitingPromotion)
            }
            _ => false,
        }
    }
}

/// Where a release stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseReport {
    /// The release.
    pub release: ReleaseId,
    /// What people call it.
    pub name: ReleaseName,
    /// Which way it goes.
    pub course: Course,
    /// Why it no longer goes forward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What a person has to decide before it goes on, besides what its members wait on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// Who started it.
    pub by: String,
    /// Why, where a reason was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Its members, in their order.
    pub members: Vec<MemberReport>,
}

/// Where a member stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReport {
    /// The service.
    pub service: ServiceName,
    /// The version that goes out.
    pub version: Version,
    /// Members that must have succeeded before it begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<ServiceName>,
    /// How it stands.
    pub state: MemberState,
    /// Whether its rollout changed anything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub touched: bool,
    /// The rollout that brings it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutId>,
    /// The last rollout that takes it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<RolloutId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(all: &[(&str, &[&str])]) -> Vec<(ServiceName, Vec<ServiceName>)> {
        let name = |text: &str| ServiceName::new(text).unwrap();
        all.iter().map(|(s, after)| (name(s), after.iter().map(|a| name(a)).collect())).collect()
    }

    fn wrong(all: &[(&str, &[&str])]) -> Vec<(String, String)> {
        order(&services(all)).unwrap_err().into_iter().map(|p| (p.path, p.text)).collect()
    }

    #[test]
    fn each_comes_after_all_that_it_names_and_otherwise_as_listed() {
        let listed =
            services(&[("web", &["api", "db"]), ("mail", &[]), ("api", &["db"]), ("db", &[])]);
        let order = order(&listed).unwrap();
        let names: Vec<_> = order.iter().map(|&i| listed[i].0.as_str()).collect();
        assert_eq!(names, ["mail", "db", "api", "web"]);
    }

    #[test]
    fn an_order_that_is_right_stays() {
        let listed = services(&[("c", &[]), ("a", &["c"]), ("b", &[]), ("d", &["a"])]);
        assert_eq!(order(&listed).unwrap(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_cycle_is_named_without_what_only_waits_on_it() {
        let wrong = wrong(&[
            ("web", &["api"]),
            ("api", &["db"]),
            ("db", &["cache", "api"]),
            ("cache", &[]),
        ]);
        let [(path, text)] = &wrong[..] else { panic!("{wrong:?}") };
        assert_eq!(path, "services[1].after[0]");
        assert!(text.contains("api comes after db comes after api:"), "{text}");
    }

    #[test]
    fn a_service_after_itself_is_a_cycle() {
        let wrong = wrong(&[("a", &["a"])]);
        assert!(wrong[0].1.contains("a comes after a:"), "{wrong:?}");
    }

    #[test]
    fn unknown_and_double_names_are_all_said() {
        let wrong = wrong(&[("a", &["b", "x"]), ("b", &[]), ("a", &["b", "b"])]);
        let places: Vec<_> = wrong.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            places,
            ["services[0].after[1]", "services[2].manifest", "services[2].after[1]"]
        );
    }

    #[test]
    fn a_member_stands_where_its_rollouts_stand() {
        let leg = |n, state| Leg { rollout: RolloutId(n), state, touched: true };
        let ended = |n, verdict| leg(n, State::Ended(verdict));
        let ok = ended(1, Verdict::Succeeded);
        let bad = ended(1, Verdict::Failed);
        let cases = [
            (None, None, false, MemberState::Pending),
            (Some(leg(1, State::Running)), None, false, MemberState::UnderWay(State::Running)),
            (Some(ok.clone()), None, false, MemberState::Succeeded),
            (Some(Leg { touched: false, ..ok.clone() }), None, false, MemberState::Unchanged),
            (Some(bad.clone()), None, true, MemberState::GoingBack(None)),
            (Some(bad.clone()), None, false, MemberState::Failed { touched: true, aborted: false }),
            (
                Some(ended(1, Verdict::Aborted)),
                None,
                false,
                MemberState::Failed { touched: true, aborted: true },
            ),
            (
                Some(ok.clone()),
                Some(leg(2, State::Running)),
                false,
                MemberState::GoingBack(Some(State::Running)),
            ),
            (Some(bad), Some(ended(2, Verdict::Succeeded)), false, MemberState::Back),
            (
                Some(ok.clone()),
                Some(ended(2, Verdict::Failed)),
                false,
                MemberState::LeftBehind { by: RolloutId(2) },
            ),
            (Some(ok), Some(ended(2, Verdict::Failed)), true, MemberState::GoingBack(None)),
        ];
        for (out, back, due, state) in cases {
            assert_eq!(MemberState::of(out.as_ref(), back.as_ref(), due), state);
        }
    }
}
