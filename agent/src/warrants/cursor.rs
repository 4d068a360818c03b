//! How far a host has come under a warrant, and what it may do next. Pure.

use std::collections::BTreeMap;

use dv_types::{Command, CommandId, Commit, Operation, RolloutId, outcome::Tags, warrant::Leaf};
use serde::{Deserialize, Serialize};

use crate::ledger::Mark;

/// How far a host has come. It is written before an operation is begun.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Cursor {
    /// The last run through what goes forward.
    forward: Option<Run>,
    /// The last run through what goes back. Where there is one, nothing goes forward any more.
    back: Option<Run>,
    /// Every number that was let in, and for what.
    given: BTreeMap<CommandId, Given>,
    /// What the tags were before the host changed them under this warrant.
    tags: BTreeMap<String, Tags>,
    /// The same of working trees.
    commits: BTreeMap<String, Commit>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    rollout: RolloutId,
    attempt: u32,
    /// Which one it is of all that there were in this direction, from 1.
    count: u32,
    /// The operation that comes next.
    next: usize,
    last: CommandId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Given {
    place: Place,
    /// It was done: whatever the ledger still knows.
    #[serde(default)]
    done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Forward(usize),
    Once(usize),
    Back(usize),
    Undo(usize),
}

/// What the ledger knows of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has no end yet.
    Open,
    Done,
    /// It has ended otherwise, or nothing is known of it.
    NotDone,
}

/// A command as it stands before the cursor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    pub(crate) command: &'a Command,
    /// It is said to take the host back.
    pub(crate) back: bool,
    /// What is there now, of that which it changes; nothing where that is not known yet.
    pub(crate) now: Option<&'a Mark>,
    pub(crate) ledger: &'a BTreeMap<CommandId, Standing>,
}

impl Cursor {
    /// The commands of which the ledger must say how they ended, before anything more is let in.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = CommandId> {
        self.given.iter().filter(|(_, given)| !given.done).map(|(id, _)| *id)
    }

    /// Whether the number was let in already.
    pub(crate) fn knows(&self, id: CommandId) -> bool {
        self.given.contains_key(&id)
    }

    /// A command that was let in was done. `false` where that is known, or is none of this warrant.
    pub(crate) fn note_done(&mut self, id: CommandId) -> bool {
        match self.given.get_mut(&id) {
            Some(given) if !given.done => {
                given.done = true;
                true
            }
            _ => false,
        }
    }

    /// The cursor after this command was let in; or why it is not.
    pub(crate) fn after(&self, leaf: &Leaf, step: &Step<'_>) -> Result<Self, String> {
        let mut next = self.clone();
        for (id, given) in &mut next.given {
            given.done |= step.ledger.get(id) == Some(&Standing::Done);
        }
        let id = step.command.id;
        let place = match (next.given.get(&id), step.back) {
            (Some(given), _) => {
                return next.again(leaf, step, given).map(|()| next);
            }
            (None, false) if next.back.is_some() => {
                return Err(
                    "this host goes back under this warrant: nothing of it goes forward any more"
                        .to_owned(),
                );
            }
            (None, false) => {
                next.go_forward(leaf, step).or_else(|why| next.do_once(leaf, step, why))?
            }
            (None, true) => next.go_back(leaf, step).or_else(|why| next.undo(leaf, step, why))?,
        };
        next.given.insert(id, Given { place, done: false });
        if let (Place::Forward(_), Some(now)) = (place, step.now) {
            next.remember(&step.command.operation, now);
        }
        Ok(next)
    }

    /// The same number once more.
    fn again(&self, leaf: &Leaf, step: &Step<'_>, given: &Given) -> Result<(), String> {
        let (operation, rollout) = (&step.command.operation, step.command.id.rollout);
        let same = match given.place {
            Place::Forward(at) => leaf.forward.get(at) == Some(operation),
            Place::Once(at) => {
                leaf.once.get(at).is_some_and(|o| o.of_rollout(rollout) == *operation)
            }
            Place::Back(at) => leaf.back.get(at).is_some_and(|_| self.is_back(leaf, at, step)),
            Place::Undo(at) => self.undoes(leaf, at, step),
        };
        match (same, given.done) {
            (true, false) => Ok(()),
            (true, true) => Err("it was done already".to_owned()),
            (false, _) => Err("its number was given for something else".to_owned()),
        }
    }

    fn go_forward(&mut self, leaf: &Leaf, step: &Step<'_>) -> Result<Place, String> {
        let before = self.forward.as_ref();
        let same = before.filter(|run| run.is_of(step.command));
        let next = match (same, before) {
            (Some(run), _) => {
                if !self.is_done(run.last) {
                    return Err(format!("{}, which comes before it, was not done", run.last));
                }
                run.next
            }
            (None, Some(run)) => {
                let rest = leaf.forward.get(run.next..).unwrap_or_default();
                if self.is_done(run.last) && rest.iter().all(is_of_switch) {
                    return Err(
                        "everything was carried out here already: it is not done a second time"
                            .to_owned(),
                    );
                }
                run.check_next(step.command, leaf)?;
                0
            }
            (None, None) => 0,
        };
        let rest = leaf.forward.get(next..).unwrap_or_default();
        // A catch-up arms no switch where the old code can't run any more.
        let left_out =
            rest.iter().take_while(|o| is_of_switch(o) && **o != step.command.operation).count();
        let at = next + left_out;
        if leaf.forward.get(at) != Some(&step.command.operation) {
            return Err(match leaf.forward.get(next) {
                Some(due) => format!("the next operation of this host is `{due}`"),
                None => "no operation of this host comes next".to_owned(),
            });
        }
        self.forward = Some(Run::at(before, same.is_some(), step.command, at + 1));
        Ok(Place::Forward(at))
    }

    fn go_back(&mut self, leaf: &Leaf, step: &Step<'_>) -> Result<Place, String> {
        let before = self.back.as_ref();
        let same = before.filter(|run| run.is_of(step.command));
        let next = match (same, before) {
            (Some(run), _) => run.next,
            (None, Some(run)) => {
                run.check_next(step.command, leaf)?;
                0
            }
            (None, None) => 0,
        };
        // What was never begun need not be taken back.
        let at = (next..leaf.back.len()).find(|at| self.is_back(leaf, *at, step));
        let at = at.ok_or("what is left of this host's way back has nothing like it")?;
        self.back = Some(Run::at(before, same.is_some(), step.command, at + 1));
        Ok(Place::Back(at))
    }

    /// Whether it is the operation at this place of the way back, by what was there before the host changed it. What it has
    /// not changed under this warrant is as it was.
    fn is_back(&self, leaf: &Leaf, at: usize, step: &Step<'_>) -> bool {
        // Looked at before what is there now is known, it may be; it is looked at again before it is begun.
        let operation = &step.command.operation;
        let tags = |repository: &str| match (self.tags.get(repository), step.now, operation) {
            (Some(tags), ..) => Some(tags.clone()),
            (None, Some(Mark::Tags { tags }), _) => Some(tags.clone()),
            (None, None, Operation::RestoreTags { latest, previous, .. }) => {
                Some(Tags { latest: Some(latest.clone()), previous: previous.clone() })
            }
            _ => None,
        };
        let commit = |tree: &str| match (self.commits.get(tree), step.now, operation) {
            (Some(commit), ..) => Some(commit.clone()),
            (None, Some(Mark::Commit { commit }), _) => Some(commit.clone()),
            (None, None, Operation::Checkout { commit, .. }) => Some(commit.clone()),
            _ => None,
        };
        leaf.back[at].is(operation, tags, commit)
    }

    fn do_once(
        &mut self,
        leaf: &Leaf,
        step: &Step<'_>,
        otherwise: String,
    ) -> Result<Place, String> {
        let rollout = step.command.id.rollout;
        let is = |at: &usize| leaf.once[*at].of_rollout(rollout) == step.command.operation;
        self.one_time(leaf, step, (0..leaf.once.len()).filter(is).map(Place::Once), otherwise)
    }

    fn undo(&mut self, leaf: &Leaf, step: &Step<'_>, otherwise: String) -> Result<Place, String> {
        let is = |at: &usize| self.undoes(leaf, *at, step);
        let places: Vec<_> = (0..leaf.undo.len()).filter(is).map(Place::Undo).collect();
        let place = self.one_time(leaf, step, places.into_iter(), otherwise)?;
        let back = self.back.take();
        // From here on the way back has begun, where this is the first that is heard of it.
        self.back = back.or_else(|| Some(Run::at(None, false, step.command, 0)));
        Ok(place)
    }

    /// Whether it undoes, at this place, what was done on this host under the number that it names.
    fn undoes(&self, leaf: &Leaf, at: usize, step: &Step<'_>) -> bool {
        let Some(undo) = leaf.undo.get(at) else { return false };
        let is = |rollout| undo.operation.of_rollout(rollout) == step.command.operation;
        match undo.of {
            None => is(step.command.id.rollout),
            Some(of) => {
                let done = |given: &Given| given.place == Place::Once(of as usize);
                self.given.iter().any(|(id, given)| done(given) && is(id.rollout))
            }
        }
    }

    /// The first of these places where it may be done, once.
    fn one_time(
        &self,
        leaf: &Leaf,
        step: &Step<'_>,
        places: impl Iterator<Item = Place>,
        otherwise: String,
    ) -> Result<Place, String> {
        let mut why = otherwise;
        for place in places {
            match self.may_be_done(leaf, step, place) {
                Ok(()) => return Ok(place),
                Err(not) => why = not,
            }
        }
        Err(why)
    }

    fn may_be_done(&self, leaf: &Leaf, step: &Step<'_>, place: Place) -> Result<(), String> {
        // A smoke test looks, and each rollout under the warrant ends with one.
        let smoke = matches!(step.command.operation, Operation::Smoke { .. });
        let before = self.given.iter().filter(|(_, given)| given.place == place);
        let mut count = 0;
        for (id, given) in before {
            count += 1;
            let counts = !smoke || id.rollout == step.command.id.rollout;
            if given.done && counts {
                return Err(format!("it was done already, as {id}, and happens once"));
            }
            if !given.done && step.ledger.get(id) == Some(&Standing::Open) {
                return Err(format!("it was begun as {id}, which has not ended"));
            }
        }
        spent(count, leaf)
    }

    fn is_done(&self, id: CommandId) -> bool {
        self.given.get(&id).is_some_and(|given| given.done)
    }

    fn remember(&mut self, operation: &Operation, now: &Mark) {
        match (operation, now) {
            (Operation::TagImage { repository, .. }, Mark::Tags { tags }) => {
                self.tags.entry(repository.clone()).or_insert_with(|| tags.clone());
            }
            (Operation::Checkout { tree, .. }, Mark::Commit { commit }) => {
                self.commits.entry(tree.clone()).or_insert_with(|| commit.clone());
            }
            _ => {}
        }
    }
}

impl Run {
    fn at(before: Option<&Self>, same: bool, command: &Command, next: usize) -> Self {
        let count = before.map_or(0, |run| run.count) + u32::from(!same);
        Self {
            rollout: command.id.rollout,
            attempt: command.attempt,
            count,
            next,
            last: command.id,
        }
    }

    fn is_of(&self, command: &Command) -> bool {
        (self.rollout, self.attempt) == (command.id.rollout, command.attempt)
    }

    /// Whether there may be another attempt after this one.
    fn check_next(&self, command: &Command, leaf: &Leaf) -> Result<(), String> {
        if (command.id.rollout, command.attempt) < (self.rollout, self.attempt) {
            return Err(format!("a later attempt, of {}, has been begun since", self.rollout));
        }
        spent(self.count, leaf)
    }
}

fn spent(count: u32, leaf: &Leaf) -> Result<(), String> {
    if count < leaf.attempts {
        return Ok(());
    }
    Err(format!("it was tried {count} times, and no more than that was signed"))
}

fn is_of_switch(operation: &Operation) -> bool {
    matches!(operation, Operation::Arm { .. } | Operation::Confirm)
}

#[cfg(test)]
mod tests;
