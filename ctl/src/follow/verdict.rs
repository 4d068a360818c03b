//! From how a rollout ended to the exit code.

use dv_types::{
    Report,
    plan::Kind,
    record::Verdict,
    release::{Ending, ReleaseReport},
    report::State,
};

use crate::Exit;

/// Of a rollout that is not taken back.
pub(crate) fn of(report: &Report) -> Exit {
    match report.state {
        State::Ended(Verdict::Succeeded) => Exit::Succeeded,
        // Every host that was changed went back by itself.
        State::Ended(Verdict::Failed)
            if report.totals.touched == 0 && report.hosts.iter().any(|host| host.reverted) =>
        {
            Exit::RolledBack
        }
        // What a rollback should have taken back was changed before it began.
        _ if report.totals.touched == 0
            && report.migrations.is_empty()
            && !matches!(report.kind, Kind::Reversal { .. }) =>
        {
            Exit::FailedUntouched
        }
        _ => Exit::FailedTouched,
    }
}

/// Of a rollout that was taken back by itself, by how the way back ended.
pub(crate) fn of_reversed(reversal: &Report) -> Exit {
    match reversal.state {
        State::Ended(Verdict::Succeeded) => Exit::RolledBack,
        _ => Exit::FailedTouched,
    }
}

/// Of a release, by how it ended; of one that has not, a person decides.
pub(crate) fn of_release(report: &ReleaseReport) -> Exit {
    match report.ending {
        Some(Ending::Succeeded) => Exit::Succeeded,
        Some(Ending::TakenBack) => Exit::RolledBack,
        Some(Ending::Stopped) if report.members.iter().any(|member| member.touched) => {
            Exit::FailedTouched
        }
        Some(Ending::Stopped) => Exit::FailedUntouched,
        None => Exit::Waiting,
    }
}
