//! Why etcd did not do it.

use tonic::{Code, Status};

/// The name of a member is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the address of an etcd member: write host:port, like etcd1.example.com:2379")]
pub struct InvalidMember(pub(crate) String);

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No member answered in time. What was asked may have been done, or may still be.
    #[error("no etcd member answered in time: {0}")]
    Unanswered(String),
    /// The lease is over, or never was.
    #[error("the lease is over")]
    NoLease,
    /// etcd has no room left for keys.
    #[error(
        "etcd has no room left ({0}): compact and defragment it, or raise its quota, then disarm its alarm"
    )]
    Full(String),
    /// etcd says no.
    #[error("etcd refuses: {0}")]
    Refused(String),
}

/// What to do about an answer that is an error.
pub(crate) enum Verdict {
    /// Another member, or the same one later, may do it.
    Again,
    /// The token is not known any more.
    LogIn,
    /// It is final.
    Final(Error),
}

pub(crate) fn judge(status: &Status) -> Verdict {
    let text = status.message();
    match status.code() {
        Code::NotFound if text.contains("lease not found") => Verdict::Final(Error::NoLease),
        Code::ResourceExhausted if text.contains("space exceeded") => {
            Verdict::Final(Error::Full(text.to_owned()))
        }
        Code::Unauthenticated => Verdict::LogIn,
        Code::InvalidArgument if text.contains("user name is empty") || text.contains("is old") => {
            Verdict::LogIn
        }
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss => Verdict::Final(Error::Refused(text.to_owned())),
        // Among them what the connection itself says, and "too many requests".
        _ => Verdict::Again,
    }
}
