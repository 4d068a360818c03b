//! Where the policy demands signatures: whether a command is the next thing that somebody has signed for.

use std::collections::BTreeMap;

use dv_types::{Command, OpResult};

use super::{Runner, lock};
use crate::{
    durable,
    ledger::{Known, Mark},
    operations::Halt,
    warrants::{Case, Claim, Standing},
};

impl Runner {
    /// Whether it may be done, as far as can be told now; `begun` where it is to be done again after a crash.
    pub(super) async fn look_at_warrant(
        &self,
        command: &Command,
        claim: &Claim,
        begun: bool,
    ) -> Result<(), Halt> {
        self.ask_warrants(command, claim, begun, None).await
    }

    /// Lets it in, right before it is begun: what is there now is known.
    pub(super) async fn let_in_by_warrant(
        &self,
        command: &Command,
        claim: &Claim,
        mark: Option<Mark>,
    ) -> Result<(), Halt> {
        self.ask_warrants(command, claim, false, Some(mark)).await
    }

    async fn ask_warrants(
        &self,
        command: &Command,
        claim: &Claim,
        begun: bool,
        let_in: Option<Option<Mark>>,
    ) -> Result<(), Halt> {
        let refused = |why: String| Halt::from(OpResult::Refused(why));
        // Read anew each time, so that a key that is taken out counts no more at once.
        let policy = (self.ports.policy)().map_err(|why| refused(why.to_string()))?;
        if policy.signed.is_none() {
            return Ok(());
        }
        let mut ledger = BTreeMap::new();
        for id in self.warrants.unsettled(claim) {
            // What is about to be begun is not in the ledger yet.
            let at_work = id != command.id && lock(&self.running).contains_key(&id);
            let known = standing(&self.known(id).await);
            ledger.insert(id, if at_work { Standing::Open } else { known });
        }
        let (warrants, command, claim) = (self.warrants.clone(), command.clone(), claim.clone());
        let now = self.ports.outside.now();
        durable::apart(&*self.ports.disk, move || {
            let mark = let_in.as_ref().and_then(Option::as_ref);
            let case = Case {
                policy: &policy,
                now,
                command: &command,
                claim: &claim,
                begun,
                mark,
                ledger: &ledger,
            };
            match let_in {
                Some(_) => warrants.let_in(&case),
                None => warrants.look(&case),
            }
        })
        .await
        .map_err(refused)
    }
}

fn standing(known: &Known) -> Standing {
    match known {
        Known::Ended(entry) if entry.outcome.as_ref().is_some_and(|o| o.result.is_done()) => {
            Standing::Done
        }
        Known::Intent(_) => Standing::Open,
        Known::Nothing | Known::Ended(_) | Known::Damaged(_) => Standing::NotDone,
    }
}
