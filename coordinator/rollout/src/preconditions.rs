//! The gates of a manifest: what must hold before anything is touched.

use dv_types::{
    Fact, GateAnswer,
    gate::Answer,
    record::{Condemner, PauseWhy},
};

use crate::Rollout;

/// A gate of the plan.
#[derive(Debug, Clone, Default)]
pub(crate) struct Precondition {
    pub(crate) answer: Option<GateAnswer>,
    pub(crate) overridden: Option<String>,
}

impl Precondition {
    fn holds(&self) -> bool {
        self.overridden.is_some() || self.says(Answer::Pass)
    }

    fn says(&self, answer: Answer) -> bool {
        self.answer.as_ref().is_some_and(|a| a.answer == answer)
    }

    /// It waits to be asked.
    fn is_open(&self) -> bool {
        self.answer.is_none() && self.overridden.is_none()
    }
}

impl Rollout {
    /// Whether every gate holds, or somebody goes on in spite of it.
    pub(crate) fn gates_hold(&self) -> bool {
        self.gates.iter().all(Precondition::holds)
    }

    /// The gates that have not answered.
    pub(crate) fn open_gates(&self) -> Vec<String> {
        let open = self.plan.gates.iter().zip(&self.gates).filter(|(_, gate)| gate.is_open());
        open.map(|(name, _)| name.clone()).collect()
    }

    /// What follows from the answers, once all are there.
    pub(crate) fn verdict_of_gates(&self) -> Option<Fact> {
        if self.gates_hold() || self.gates.iter().any(Precondition::is_open) {
            return None;
        }
        let not_held = || self.gates.iter().filter(|gate| !gate.holds());
        let find = |answer| not_held().find(|gate| gate.says(answer))?.answer.clone();
        if let Some(GateAnswer { gate, why, .. }) = find(Answer::Fail) {
            return Some(self.condemn(Condemner::Gate { gate }, why));
        }
        let GateAnswer { gate, why, .. } = find(Answer::CannotTell)?;
        Some(Fact::Paused { why: PauseWhy::Gate { gate, why } })
    }

    /// A gate that has not answered for too long: whoever was to ask it may be gone.
    pub(crate) fn silence_of_gates(&self) -> Option<PauseWhy> {
        let gate = self.open_gates().into_iter().next()?;
        let why = format!("it has not answered within {}", self.plan.limits.progress_deadline);
        Some(PauseWhy::Gate { gate, why })
    }

    pub(crate) fn gate_mut(&mut self, name: &str) -> Result<&mut Precondition, String> {
        let at = self.plan.gates.iter().position(|gate| gate == name);
        at.and_then(|at| self.gates.get_mut(at))
            .ok_or_else(|| format!("the plan has no gate {name}"))
    }

    /// All are asked again, those that held included: it may be a day since they were asked. What a person overrides
    /// stays so.
    pub(crate) fn ask_again(&mut self) {
        for gate in self.gates.iter_mut().filter(|gate| gate.overridden.is_none()) {
            gate.answer = None;
        }
    }
}
