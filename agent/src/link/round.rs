//! Which coordinator's turn it is: each once, then a pause.

use std::collections::VecDeque;

/// One round over all coordinators.
#[derive(Debug)]
pub(super) struct Round {
    addresses: Vec<String>,
    /// The one to begin with: it welcomed this host last, or comes after one that fell silent.
    first: usize,
    left: VecDeque<usize>,
    /// One that stands by: at its door this host may wait.
    standby: Option<usize>,
}

impl Round {
    pub(super) fn new(addresses: &[String]) -> Self {
        let mut round =
            Self { addresses: addresses.to_vec(), first: 0, left: VecDeque::new(), standby: None };
        round.begin();
        round
    }

    /// A new round.
    pub(super) fn begin(&mut self) {
        let count = self.addresses.len();
        self.left = (self.first..self.first + count).map(|number| number % count).collect();
        self.standby = None;
    }

    /// The next to be tried; nobody, when all have been.
    pub(super) fn next(&mut self) -> Option<String> {
        self.left.pop_front().map(|number| self.addresses[number].clone())
    }

    /// This one welcomed the host.
    pub(super) fn welcomed(&mut self, address: &str) {
        self.first = self.number(address).unwrap_or(self.first);
    }

    /// The link to this one broke: it may be hard to see that it is gone, so the next one is asked first.
    pub(super) fn broke(&mut self, address: &str) {
        let next = self.number(address).map(|number| (number + 1) % self.addresses.len());
        self.first = next.unwrap_or(self.first);
    }

    /// This one stands by, and says who leads: if that one has not been tried, it is next.
    pub(super) fn stands_by(&mut self, address: &str, leader: Option<&str>) {
        self.standby = self.number(address);
        let leader = leader.and_then(|leader| self.number(leader));
        if let Some(leader) = leader.filter(|leader| self.left.contains(leader)) {
            self.left.retain(|number| *number != leader);
            self.left.push_front(leader);
        }
    }

    /// The one that leads has answered, and there is nobody else to be asked.
    pub(super) fn end(&mut self) {
        self.left.clear();
        self.standby = None;
    }

    /// At whose door to wait.
    pub(super) fn door(&self) -> Option<String> {
        self.standby.map(|number| self.addresses[number].clone())
    }

    fn number(&self, address: &str) -> Option<usize> {
        self.addresses.iter().position(|known| known == address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round() -> Round {
        Round::new(&["a:1", "b:1", "c:1"].map(str::to_owned))
    }

    fn rest(round: &mut Round) -> Vec<String> {
        std::iter::from_fn(|| round.next()).collect()
    }

    #[test]
    fn it_goes_once_over_all_from_the_one_that_was_good_or_after_the_one_that_broke() {
        let mut round = round();
        assert_eq!(rest(&mut round), ["a:1", "b:1", "c:1"]);
        assert_eq!(round.door(), None);
        round.welcomed("b:1");
        round.begin();
        assert_eq!(rest(&mut round), ["b:1", "c:1", "a:1"]);
        round.welcomed("c:1");
        round.broke("c:1");
        round.begin();
        assert_eq!(rest(&mut round), ["a:1", "b:1", "c:1"]);
    }

    #[test]
    fn who_is_said_to_lead_is_next_unless_it_was_tried_or_is_not_ours() {
        let mut round = round();
        round.next();
        round.stands_by("a:1", Some("c:1"));
        assert_eq!(round.next().as_deref(), Some("c:1"));
        round.stands_by("c:1", Some("a:1"));
        round.stands_by("c:1", Some("evil:1"));
        assert_eq!(rest(&mut round), ["b:1"]);
        assert_eq!(round.door().as_deref(), Some("c:1"));
        round.begin();
        assert_eq!(round.door(), None);
    }

    #[test]
    fn nobody_else_is_asked_once_the_leader_has_said_no() {
        let mut round = round();
        round.next();
        round.stands_by("a:1", None);
        round.end();
        assert_eq!((round.next(), round.door()), (None, None));
    }
}
