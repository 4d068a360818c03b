//! What a release does next, by where its members stand. Pure, and the same whenever it is asked: a coordinator
//! that was killed asks again.

use dv_types::{
    Release, RolloutId, ServiceName,
    manifest::OnFailure,
    release::{Course, Ending, MemberState},
};

/// What is to be done now. Numbers are members' places in the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Their rollouts begin, as far as they can.
    Begin(Vec<usize>),
    /// It goes forward no longer, because of this member.
    Turn {
        /// Whether what has succeeded is taken back.
        back: bool,
        /// The member.
        because: usize,
    },
    /// These are taken back, all at the same time.
    TakeBack(Vec<usize>),
    /// Their rollouts are told to end where they are.
    Abort(Vec<usize>),
    /// Something has to happen first.
    Wait,
    /// It is over.
    End(Ending),
}

/// What is to be done now.
#[must_use]
pub fn next(release: &Release, course: &Course, members: &[MemberState]) -> Next {
    match course {
        Course::Forward => forward(release, members),
        Course::Back { from, .. } => back(*from, members),
        Course::Stopped if members.iter().any(MemberState::moves) => Next::Wait,
        Course::Stopped => Next::End(Ending::Stopped),
        Course::Aborted => match places(members, MemberState::moves) {
            none if none.is_empty() => Next::End(Ending::Stopped),
            under_way => Next::Abort(under_way),
        },
    }
}

/// Whether a member that did not go well takes the others back with it.
#[must_use]
pub fn takes_back(release: &Release, member: usize) -> bool {
    release.members[member].manifest.strategy.on_failure == OnFailure::Rollback
}

fn forward(release: &Release, members: &[MemberState]) -> Next {
    let gone_wrong = |state: &MemberState| {
        !state.has_succeeded() && !matches!(state, MemberState::Pending | MemberState::UnderWay(_))
    };
    if let Some(because) = members.iter().position(gone_wrong) {
        // Who ends a rollout by hand wants everything to stay as it is.
        let aborted = matches!(members[because], MemberState::Failed { aborted: true, .. });
        return Next::Turn { back: !aborted && takes_back(release, because), because };
    }
    let succeeded = |service: &ServiceName| {
        let at = release.members.iter().position(|member| member.service() == service);
        at.is_some_and(|at| members[at].has_succeeded())
    };
    let ready = |i: &usize| {
        members[*i] == MemberState::Pending && release.members[*i].after.iter().all(succeeded)
    };
    let ready: Vec<_> = (0..members.len()).filter(ready).collect();
    if !ready.is_empty() {
        Next::Begin(ready)
    } else if members.iter().all(MemberState::has_succeeded) {
        Next::End(Ending::Succeeded)
    } else {
        Next::Wait
    }
}

/// Nothing begins before all that it comes after has succeeded, so no two members that are under way come one
/// after the other: they go back together, and first. Those that had succeeded follow one by one, the last first.
fn back(from: RolloutId, members: &[MemberState]) -> Next {
    let under_way = places(members, |state| matches!(state, MemberState::UnderWay(_)));
    if !under_way.is_empty() {
        return Next::TakeBack(under_way);
    }
    if members.iter().any(MemberState::moves) {
        return Next::Wait;
    }
    // What a member stands on is not taken away from under it.
    if members.iter().any(|state| matches!(state, MemberState::LeftBehind { by } if *by >= from)) {
        return Next::End(Ending::Stopped);
    }
    match members.iter().rposition(MemberState::is_changed) {
        Some(last) => Next::TakeBack(vec![last]),
        None if members.contains(&MemberState::Back) => Next::End(Ending::TakenBack),
        // There was nothing to take back.
        None => Next::End(Ending::Stopped),
    }
}

fn places(members: &[MemberState], which: impl Fn(&MemberState) -> bool) -> Vec<usize> {
    let found = members.iter().enumerate().filter(|(_, state)| which(state));
    found.map(|(i, _)| i).collect()
}

#[cfg(test)]
mod tests {
    use dv_types::{plan::Wish, release::Member, report::State};

    use super::*;
    use MemberState::{Back, GoingBack, LeftBehind, Pending, Succeeded};

    const UNDER_WAY: MemberState = MemberState::UnderWay(State::Running);
    const FAILED: MemberState = MemberState::Failed { touched: true, aborted: false };

    /// `db`, then `api` and `jobs`, then `web`.
    fn release() -> Release {
        let member = |service: &str, after: &[&str]| Member {
            version: "v2".parse().unwrap(),
            after: after.iter().map(|name| name.parse().unwrap()).collect(),
            manifest: serde_json::from_value(serde_json::json!({
                "service": service,
                "hosts": { "labels": { "role": service } },
                "steps": [{ "restart": { "unit": "app.service" } }],
            }))
            .unwrap(),
        };
        let members = vec![
            member("db", &[]),
            member("api", &["db"]),
            member("jobs", &["db"]),
            member("web", &["api", "jobs"]),
        ];
        Release { name: "shop".parse().unwrap(), members }
    }

    fn forward(members: [MemberState; 4]) -> Next {
        next(&release(), &Course::Forward, &members)
    }

    fn back(members: [MemberState; 4]) -> Next {
        back_from(0, members)
    }

    fn back_from(from: u64, members: [MemberState; 4]) -> Next {
        let (by, wish, from) = ("dv".to_owned(), Wish::default(), RolloutId(from));
        next(&release(), &Course::Back { by, wish, from }, &members)
    }

    #[test]
    fn a_member_begins_when_all_that_it_comes_after_have_succeeded() {
        assert_eq!(forward([Pending, Pending, Pending, Pending]), Next::Begin(vec![0]));
        assert_eq!(forward([UNDER_WAY, Pending, Pending, Pending]), Next::Wait);
        assert_eq!(forward([Succeeded, Pending, Pending, Pending]), Next::Begin(vec![1, 2]));
        assert_eq!(forward([Succeeded, UNDER_WAY, Pending, Pending]), Next::Begin(vec![2]));
        assert_eq!(forward([Succeeded, Succeeded, UNDER_WAY, Pending]), Next::Wait);
        assert_eq!(forward([Succeeded, Succeeded, Succeeded, Pending]), Next::Begin(vec![3]));
        let all = [Succeeded, Succeeded, Succeeded, Succeeded];
        assert_eq!(forward(all), Next::End(Ending::Succeeded));
    }

    #[test]
    fn what_goes_wrong_turns_it_before_anything_else_begins() {
        let failed = forward([Succeeded, FAILED, Pending, Pending]);
        assert_eq!(failed, Next::Turn { back: true, because: 1 });
        let going = forward([Succeeded, Succeeded, GoingBack(None), Pending]);
        assert_eq!(going, Next::Turn { back: true, because: 2 });
        let aborted = MemberState::Failed { touched: true, aborted: true };
        let aborted = forward([Succeeded, aborted, Pending, Pending]);
        assert_eq!(aborted, Next::Turn { back: false, because: 1 });
        let mut release = release();
        release.members[1].manifest.strategy.on_failure = OnFailure::Continue;
        let failed = next(&release, &Course::Forward, &[Succeeded, FAILED, Pending, Pending]);
        assert_eq!(failed, Next::Turn { back: false, because: 1 });
    }

    #[test]
    fn it_goes_back_in_reverse_one_by_one() {
        let steps = [
            ([Succeeded, FAILED, UNDER_WAY, Pending], Next::TakeBack(vec![2])),
            ([Succeeded, GoingBack(None), Back, Pending], Next::Wait),
            ([Succeeded, Succeeded, Back, Pending], Next::TakeBack(vec![1])),
            ([Succeeded, GoingBack(Some(State::Running)), Back, Pending], Next::Wait),
            ([Succeeded, Back, Back, Pending], Next::TakeBack(vec![0])),
            ([Back, Back, Back, Pending], Next::End(Ending::TakenBack)),
        ];
        for (members, wanted) in steps {
            assert_eq!(back(members.clone()), wanted, "{members:?}");
        }
    }

    #[test]
    fn what_changed_nothing_holds_nothing_up() {
        use MemberState::Unchanged;
        assert_eq!(forward([Unchanged, Pending, Pending, Pending]), Next::Begin(vec![1, 2]));
        let all = [Unchanged, Succeeded, Unchanged, Succeeded];
        assert_eq!(forward(all), Next::End(Ending::Succeeded));
        let failed = forward([Unchanged, Succeeded, Succeeded, FAILED]);
        assert_eq!(failed, Next::Turn { back: true, because: 3 });
        assert_eq!(back([Unchanged, Succeeded, Unchanged, Back]), Next::TakeBack(vec![1]));
        assert_eq!(back([Unchanged, Back, Unchanged, Back]), Next::End(Ending::TakenBack));
    }

    #[test]
    fn a_way_back_that_fails_ends_it_unless_a_person_asked_since() {
        let left = || [Succeeded, LeftBehind { by: RolloutId(7) }, Pending, Pending];
        assert_eq!(back(left()), Next::End(Ending::Stopped));
        assert_eq!(back_from(8, left()), Next::TakeBack(vec![1]));
    }

    #[test]
    fn with_nothing_changed_there_is_nothing_to_take_back() {
        let untouched = MemberState::Failed { touched: false, aborted: false };
        assert_eq!(back([untouched, Pending, Pending, Pending]), Next::End(Ending::Stopped));
    }

    #[test]
    fn stopped_it_waits_and_aborted_it_ends_what_is_under_way() {
        let members = [Succeeded, FAILED, UNDER_WAY, Pending];
        assert_eq!(next(&release(), &Course::Stopped, &members), Next::Wait);
        assert_eq!(next(&release(), &Course::Aborted, &members), Next::Abort(vec![2]));
        let members = [Succeeded, FAILED, Succeeded, Pending];
        for course in [Course::Stopped, Course::Aborted] {
            assert_eq!(next(&release(), &course, &members), Next::End(Ending::Stopped));
        }
    }
}
