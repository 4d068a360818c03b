//! The images that a plan brings to its hosts.

use dv_types::{Digest, Operation, Plan, Span};

/// One that is pulled.
pub(super) struct Pull<'a> {
    pub(super) repository: &'a str,
    pub(super) tag: &'a str,
    pub(super) digest: &'a Digest,
    pub(super) timeout: Span,
}

/// Each image once, in the plan's order.
pub(super) fn pulls(plan: &Plan) -> Vec<Pull<'_>> {
    let mut pulls: Vec<Pull<'_>> = Vec::new();
    for operation in plan.programs.iter().flat_map(|program| &program.operations) {
        if let Operation::PullImage { repository, tag, digest, timeout } = operation {
            let known = |pull: &Pull<'_>| {
                pull.repository == repository && pull.tag == tag && pull.digest == digest
            };
            if !pulls.iter().any(known) {
                pulls.push(Pull { repository, tag, digest, timeout: *timeout });
            }
        }
    }
    pulls
}
