//! What the hosts of a signed rollout are handed: the warrant, its signature, and of the leaves each its own.

use std::{collections::HashMap, sync::Arc};

use dv_rollout::planning::{leaf, signed_hosts};
use dv_types::{
    Command, Digest, HostName, Plan,
    warrant::{HostWarrant, Leaf, SignedWarrant, Tree},
};

use super::Rollouts;
use crate::{
    fleet::Order,
    refusal::Refusal,
    store::{Header, Signing},
};

/// The tree is kept as its hashes, and each leaf made when it is needed: a fleet is large.
pub(super) struct Hands {
    signed: SignedWarrant,
    id: Digest,
    back: bool,
    /// The plan that was signed, and the tree over its leaves; why not, where it is lost.
    signed_plan: Option<(Arc<Plan>, Vec<HostName>, Tree)>,
    /// The session in which each host was handed it last.
    handed: HashMap<HostName, Option<u64>>,
}

impl Hands {
    /// Of a rollout; nothing where its plan is not signed.
    pub(super) async fn of(rollouts: &Rollouts, header: &Header) -> Option<Self> {
        let Signing { warrant, of, back } = header.signing.clone()?;
        let id = warrant.id();
        let signed_plan = match rollouts.plan(of.unwrap_or(header.rollout)).await {
            Ok(plan) => {
                let hosts = signed_hosts(&plan);
                let tree = Tree::new(hosts.iter().map(|host| leaf(&plan, host).text()));
                Some((plan, hosts, tree))
            }
            Err(why) => {
                // The hosts say what they miss.
                tracing::error!(rollout = %header.rollout, %why, "the plan that was signed can't be read");
                None
            }
        };
        Some(Self { signed: warrant, id, back, signed_plan, handed: HashMap::new() })
    }

    /// What this host must be handed before its next command, in this session.
    pub(super) fn hand(&mut self, host: &HostName, session: Option<u64>) -> Option<HostWarrant> {
        if self.handed.insert(host.clone(), session) == Some(session) {
            return None;
        }
        let (plan, hosts, tree) = self.signed_plan.as_ref()?;
        // A host that the plan did not have has no leaf.
        let index = hosts.binary_search(host).ok()? as u32;
        Some(HostWarrant {
            signed: self.signed.clone(),
            leaf: leaf(plan, host).text(),
            index,
            path: tree.path(index),
        })
    }

    /// A command in the warrant's name.
    pub(super) fn order(&self, command: Command) -> Order {
        Order::Signed { command, warrant: self.id.clone(), back: self.back }
    }
}

/// Takes what an operator has signed, if it is for this plan: the hosts would refuse anything else, one by one.
pub(crate) fn accept(
    plan: &Plan,
    signed: &SignedWarrant,
    now: dv_types::Timestamp,
) -> Result<(), Refusal> {
    let refused = |why: &str| Refusal::Invalid(format!("what was signed is refused: {why}"));
    let warrant = dv_types::Warrant::read(&signed.text).map_err(|why| refused(&why.to_string()))?;
    if warrant.plan != plan.hash() {
        return Err(Refusal::PlanChanged { now: plan.hash() });
    }
    let same = (&warrant.service, &warrant.version, &warrant.kind);
    if same != (&plan.service, &plan.version, &plan.kind) {
        return Err(refused("it names another service, version or kind than its plan"));
    }
    if warrant.not_after <= now {
        return Err(refused("it has expired by the coordinator's clock"));
    }
    let tree = tree(plan).ok_or_else(|| refused("its plan has no host"))?;
    if (warrant.hosts, warrant.root) != (tree.count(), tree.root()) {
        return Err(refused(
            "its leaves are not what this coordinator makes of the plan: dvctl is of another version",
        ));
    }
    Ok(())
}

fn tree(plan: &Plan) -> Option<Tree> {
    let leaves: Vec<_> = signed_hosts(plan).iter().map(|host| leaf(plan, host)).collect();
    (!leaves.is_empty()).then(|| Tree::new(leaves.iter().map(Leaf::text)))
}
