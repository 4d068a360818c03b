//! The exit codes, the one table that help, documentation and tests go by.

use std::process::ExitCode;

/// How a call of `dvctl` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It was done; a rollout that was followed succeeded.
    Succeeded = 0,
    /// An error that nobody expected.
    Unexpected = 1,
    /// The command line is wrong.
    Usage = 2,
    /// It was refused, and nothing changed.
    Refused = 3,
    /// The rollout failed or was aborted before any host was touched.
    FailedUntouched = 4,
    /// The rollout failed or was aborted, and hosts were changed.
    FailedTouched = 5,
    /// The rollout failed and was taken back.
    RolledBack = 6,
    /// The rollout waits for a person.
    Waiting = 7,
    /// Contact was lost while the rollout goes on.
    LostContact = 8,
    /// The coordinator could not be reached, and nothing was asked of it.
    Unreachable = 9,
    /// Ctrl-C: no longer following, and the rollout goes on.
    Detached = 130,
}

impl Exit {
    /// Every one, in order.
    pub const ALL: [Self; 11] = [
        Self::Succeeded,
        Self::Unexpected,
        Self::Usage,
        Self::Refused,
        Self::FailedUntouched,
        Self::FailedTouched,
        Self::RolledBack,
        Self::Waiting,
        Self::LostContact,
        Self::Unreachable,
        Self::Detached,
    ];

    /// The number that the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What it means.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Succeeded => "it was done; a rollout that was followed succeeded",
            Self::Unexpected => "an unexpected error",
            Self::Usage => "the command line is wrong, or does not say which rollout is meant",
            Self::Refused => {
                "refused: a bad manifest, a plan with errors, or the coordinator says no; nothing changed"
            }
            Self::FailedUntouched => {
                "the rollout failed or was aborted before any host was touched"
            }
            Self::FailedTouched => "the rollout failed or was aborted, and hosts were changed",
            Self::RolledBack => {
                "the rollout did not succeed, and every touched host was taken back"
            }
            Self::Waiting => {
                "the rollout is paused or its canary waits to be promoted: a person decides"
            }
            Self::LostContact => {
                "contact with the coordinator was lost; the rollout goes on without dvctl"
            }
            Self::Unreachable => "the coordinator could not be reached; nothing was asked of it",
            Self::Detached => "detached by Ctrl-C; the rollout goes on",
        }
    }

    /// The table as text, one line each.
    #[must_use]
    pub fn table() -> String {
        Self::ALL.iter().map(|exit| format!("{:>5}  {}\n", exit.code(), exit.meaning())).collect()
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
