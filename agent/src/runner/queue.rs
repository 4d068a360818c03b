//! Whose turn it is. Operations that touch the same thing go one after the other, in the order in which
//! they were commanded: what is left of a rollout that has ended must not finish after its rollback has
//! put the same thing right.

use std::sync::{Arc, Mutex, MutexGuard};

use dv_types::{Command, CommandId, Operation};
use tokio::sync::Notify;

/// The commands that have not ended, in the order of their arrival.
#[derive(Default)]
pub(super) struct Queue {
    places: Mutex<Places>,
    left: Notify,
}

#[derive(Default)]
struct Places {
    next: u64,
    taken: Vec<Place>,
}

struct Place {
    number: u64,
    command: CommandId,
    operation: Operation,
}

/// A place in the queue; it is left when this is dropped.
pub(super) struct Turn {
    queue: Arc<Queue>,
    number: u64,
}

impl Queue {
    /// The last place, for `command`.
    pub(super) fn place(self: &Arc<Self>, command: &Command) -> Turn {
        let mut places = self.places();
        let number = places.next;
        places.next += 1;
        let Command { id, operation, .. } = command;
        places.taken.push(Place { number, command: *id, operation: operation.clone() });
        Turn { queue: Arc::clone(self), number }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().expect("no panic under this lock")
    }
}

impl Turn {
    /// Ends when it is its turn; tells `waits` each command that it waits for.
    pub(super) async fn come(&self, mut waits: impl FnMut(CommandId)) {
        loop {
            // Before the look, so that who leaves right after it is noticed.
            let left = self.queue.left.notified();
            let Some(other) = self.behind() else { return };
            waits(other);
            left.await;
        }
    }

    /// The first command that must end before this one may begin.
    fn behind(&self) -> Option<CommandId> {
        let places = self.queue.places();
        let own = places.taken.iter().find(|place| place.number == self.number)?;
        let earlier = places.taken.iter().take_while(|place| place.number != self.number);
        earlier
            .into_iter()
            .find(|place| conflict(&place.operation, &own.operation))
            .map(|place| place.command)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.queue.places().taken.retain(|place| place.number != self.number);
        self.queue.left.notify_waiters();
    }
}

/// Whether one must end before the other begins. A command may touch anything.
pub(crate) fn conflict(one: &Operation, other: &Operation) -> bool {
    let any = |operation: &Operation| matches!(operation, Operation::Run { .. });
    let shared = || {
        let subjects = other.subjects();
        one.subjects().iter().any(|subject| subjects.contains(subject))
    };
    one.touches() && other.touches() && (any(one) || any(other) || shared())
}

#[cfg(test)]
mod tests {
    use dv_types::{Digest, Span, operation::UnitVerb, probe::Probing};
    use futures_util::FutureExt;

    use super::*;

    fn unit(unit: &str, verb: UnitVerb) -> Operation {
        Operation::Unit { unit: unit.into(), verb, timeout: Span::from_secs(1) }
    }

    fn run() -> Operation {
        let argv = vec!["/bin/true".into()];
        Operation::Run { argv, timeout: Span::from_secs(1), repeatable: true }
    }

    fn compose(project: &str) -> Operation {
        Operation::ComposeUp { project: project.into(), timeout: Span::from_secs(1) }
    }

    fn digest() -> Digest {
        Digest::new(format!("sha256:{}", "a".repeat(64))).unwrap()
    }

    fn pull() -> Operation {
        Operation::PullImage {
            repository: "r/app".into(),
            tag: "v1".into(),
            digest: digest(),
            timeout: Span::from_secs(1),
        }
    }

    fn verify() -> Operation {
        let argv = vec!["/bin/true".into()];
        let probing = Probing {
            probes: vec![("live".into(), dv_types::Probe::Command { argv })],
            interval: Span::from_secs(1),
            timeout: Span::from_secs(1),
            successes: 1,
        };
        Operation::Verify { probing, min_healthy_time: Span::ZERO, healthy_deadline: Span::ZERO }
    }

    fn place(queue: &Arc<Queue>, id: &str, operation: Operation) -> Turn {
        queue.place(&Command { id: id.parse().unwrap(), attempt: 1, given: None, operation })
    }

    #[test]
    fn those_that_touch_the_same_thing_conflict() {
        let tag = Operation::TagImage { repository: "r/app".into(), digest: digest() };
        let (a, b) = (compose("a"), compose("b"));
        assert!(conflict(&a, &a) && conflict(&tag, &tag));
        assert!(conflict(&unit("a.service", UnitVerb::Stop), &unit("a.service", UnitVerb::Start)));
        assert!(!conflict(&a, &b) && !conflict(&a, &unit("a", UnitVerb::Stop)));
        // A command may touch anything.
        for other in [run(), a, unit("a.service", UnitVerb::Stop), tag.clone()] {
            assert!(conflict(&run(), &other) && conflict(&other, &run()));
        }
        // What touches nothing waits for nobody, and nobody for it.
        for idle in [pull(), verify()] {
            for other in [run(), tag.clone(), pull(), verify()] {
                assert!(!conflict(&idle, &other) && !conflict(&other, &idle));
            }
        }
    }

    #[test]
    fn waits_for_those_before_it_and_for_no_other() {
        let queue = Arc::new(Queue::default());
        let first = place(&queue, "r5-1", compose("a"));
        let other = place(&queue, "r4-7", compose("b"));
        let mut second = Some(place(&queue, "r4-8", compose("a")));
        let third = place(&queue, "r4-9", run());
        let behind = |turn: &Turn| turn.behind().map(|id| id.to_string());
        assert_eq!((behind(&first), behind(&other)), (None, None));
        assert_eq!(behind(second.as_ref().unwrap()).as_deref(), Some("r5-1"));
        assert_eq!(behind(&third).as_deref(), Some("r5-1"));

        let mut waited = Vec::new();
        let mut come = Box::pin(third.come(|id| waited.push(id.to_string())));
        assert!(come.as_mut().now_or_never().is_none());
        drop(first);
        assert!(come.as_mut().now_or_never().is_none());
        drop(other);
        assert!(come.as_mut().now_or_never().is_none());
        drop(second.take());
        assert!(come.as_mut().now_or_never().is_some());
        drop(come);
        assert_eq!(waited, ["r5-1", "r4-7", "r4-8"]);
    }
}
