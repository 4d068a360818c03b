//! Who is who, and which authorities are trusted, as operators are told.

use std::{pin::Pin, sync::Arc};

use dv_proto::v1;
use futures_util::{Stream, StreamExt as _, stream};
use tonic::Status;

use crate::{
    identity::Peer,
    operators::Operators,
    store::{OperatorRecord, Revoked},
    succession::Standing,
};

/// So many of those that depend on an authority are named.
const NAMED: usize = 20;

pub(super) fn revocation(revoked: Revoked) -> v1::Revocation {
    v1::Revocation { by: revoked.by, at: revoked.at.to_string(), reason: revoked.reason }
}

pub(super) fn operator(record: OperatorRecord) -> v1::Operator {
    let until = record.certificates.iter().filter_map(|held| held.until).max();
    v1::Operator {
        name: record.name,
        by: record.by.unwrap_or_default(),
        since: record.since.to_string(),
        certificate_until: until.map(|until| until.to_string()).unwrap_or_default(),
        // One that has a certificate again is in again.
        revoked: record.revoked.filter(|_| record.certificates.is_empty()).map(revocation),
    }
}

pub(super) fn authority(standing: &[Standing]) -> v1::GetAuthorityReply {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let authorities = standing.iter().map(|one| v1::Authority {
        pin: one.anchor.pin.clone(),
        until: one.anchor.until.to_string(),
        hosts: count(one.hosts),
        operators: count(one.operators),
        dependants: one.dependants.iter().take(NAMED).cloned().collect(),
    });
    v1::GetAuthorityReply { authorities: authorities.collect(), files: String::new() }
}

/// A stream for an operator, which ends when that one is let in no more.
pub(super) fn while_admitted<T: Send + 'static>(
    operators: &Arc<Operators>,
    peer: Option<Peer>,
    replies: impl Stream<Item = Result<T, Status>> + Send + 'static,
) -> Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>> {
    let refused = Arc::clone(operators).refused(peer);
    // The refusal is the last that is said; the replies may end before.
    let refused = stream::once(refused).map(|why| Some(Err(why)));
    let replies = replies.map(Some).chain(stream::iter([None]));
    let all = stream::select_with_strategy(refused, replies, |()| stream::PollNext::Left);
    let mut over = false;
    Box::pin(
        all.take_while(move |reply| {
            let goes_on = !over && reply.is_some();
            over = over || matches!(reply, Some(Err(_)));
            std::future::ready(goes_on)
        })
        .filter_map(std::future::ready),
    )
}
