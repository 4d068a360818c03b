//! Connections, counted by whose they are. Where there is no room for one more, whoever has most of them gives up the one
//! that has waited longest: nobody keeps others out, however many he opens.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// So many at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Of everybody together.
    pub(super) all: usize,
    /// Of one.
    pub(super) each: usize,
}

/// Those who are there.
#[derive(Clone)]
pub(super) struct Crowd<K: Eq + Hash + Clone>(Arc<Inner<K>>);

struct Inner<K> {
    room: Room,
    members: Mutex<Members<K>>,
    left: Notify,
}

struct Members<K> {
    /// Whoever is named by a lower number came, or fell silent, earlier.
    next: u64,
    count: usize,
    by_owner: HashMap<K, HashMap<u64, Member>>,
}

struct Member {
    /// Since when it waits for its peer; nothing while it waits for us.
    waits: Option<u64>,
    gone: CancellationToken,
}

/// Why nobody more comes in, where nobody can be sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// There are too many of this one's.
    Own,
    /// There are too many of all: it passes by itself.
    All,
}

impl<K: Eq + Hash + Clone> Crowd<K> {
    pub(super) fn new(room: Room) -> Self {
        let members = Members { next: 0, count: 0, by_owner: HashMap::new() };
        Self(Arc::new(Inner { room, members: Mutex::new(members), left: Notify::new() }))
    }

    /// One more; another one may have to go for it.
    pub(super) fn enter(&self, owner: K) -> Result<Place<K>, Full> {
        let room = self.0.room;
        let mut members = self.0.members();
        let own = members.by_owner.get(&owner).map_or(0, HashMap::len);
        if own >= room.each {
            members.send_away(&owner).ok_or(Full::Own)?;
        } else if members.count >= room.all {
            let most = members.by_owner.iter().max_by_key(|(_, all)| all.len());
            let most = most.map(|(owner, _)| owner.clone()).ok_or(Full::All)?;
            members.send_away(&most).ok_or(Full::All)?;
        }
        let id = members.tick();
        let gone = CancellationToken::new();
        let member = Member { waits: Some(id), gone: gone.clone() };
        members.by_owner.entry(owner.clone()).or_default().insert(id, member);
        members.count += 1;
        Ok(Place { crowd: self.clone(), owner, id, gone })
    }

    /// Resolves when one has left since the last call: for one who waits.
    pub(super) async fn left(&self) {
        self.0.left.notified().await;
    }
}

impl<K> Inner<K> {
    fn members(&self) -> MutexGuard<'_, Members<K>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone> Members<K> {
    fn tick(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Of this one's, the one that has waited for its peer longest; none if all of them wait for us.
    fn send_away(&mut self, owner: &K) -> Option<()> {
        let all = self.by_owner.get(owner)?;
        let waiting = all.iter().filter_map(|(id, member)| Some((member.waits?, *id)));
        let (_, id) = waiting.min()?;
        self.remove(owner, id)?.gone.cancel();
        Some(())
    }

    fn remove(&mut self, owner: &K, id: u64) -> Option<Member> {
        let all = self.by_owner.get_mut(owner)?;
        let member = all.remove(&id)?;
        if all.is_empty() {
            self.by_owner.remove(owner);
        }
        self.count -= 1;
        Some(member)
    }
}

/// A place in a crowd. It is free again when this is dropped.
pub(super) struct Place<K: Eq + Hash + Clone> {
    crowd: Crowd<K>,
    owner: K,
    id: u64,
    gone: CancellationToken,
}

impl<K: Eq + Hash + Clone> Place<K> {
    /// Cancelled when it has to give way.
    pub(super) fn gone(&self) -> &CancellationToken {
        &self.gone
    }

    /// From now on it waits for us, and does not give way.
    pub(super) fn works(&self) {
        self.set(|_| None);
    }

    /// From now on it waits for its peer.
    pub(super) fn waits(&self) {
        self.set(Some);
    }

    fn set(&self, waits: impl FnOnce(u64) -> Option<u64>) {
        let mut members = self.crowd.0.members();
        let now = members.tick();
        let member = members.by_owner.get_mut(&self.owner).and_then(|all| all.get_mut(&self.id));
        if let Some(member) = member {
            member.waits = waits(now);
        }
    }
}

impl<K: Eq + Hash + Clone> Drop for Place<K> {
    fn drop(&mut self) {
        self.crowd.0.members().remove(&self.owner, self.id);
        self.crowd.0.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(all: usize, each: usize) -> Crowd<&'static str> {
        Crowd::new(Room { all, each })
    }

    fn is_gone<K: Eq + Hash + Clone>(place: &Place<K>) -> bool {
        place.gone().is_cancelled()
    }

    #[test]
    fn whoever_has_most_gives_way() {
        let crowd = crowd(4, 4);
        let honest = crowd.enter("honest").unwrap();
        let many: Vec<_> = (0..3).map(|_| crowd.enter("many").unwrap()).collect();
        let others: Vec<_> = ["b", "c"].map(|owner| crowd.enter(owner).unwrap()).into();
        assert!(!is_gone(&honest) && !others.iter().any(is_gone));
        assert_eq!(many.iter().map(is_gone).collect::<Vec<_>>(), [true, true, false]);
    }

    #[test]
    fn the_one_that_waited_longest_goes_and_none_that_waits_for_us() {
        let crowd = crowd(3, 3);
        let all = [(); 3].map(|()| crowd.enter("one").unwrap());
        all[0].works();
        all[1].works();
        all[1].waits();
        let fourth = crowd.enter("one").unwrap();
        assert_eq!(all.each_ref().map(is_gone), [false, false, true]);
        let fifth = crowd.enter("one").unwrap();
        assert_eq!(all.each_ref().map(is_gone), [false, true, true]);
        fifth.works();
        fourth.works();
        assert_eq!(crowd.enter("one").err(), Some(Full::Own));
        assert_eq!(crowd.enter("other").err(), Some(Full::All));
        drop(fifth);
        crowd.enter("other").unwrap();
    }

    #[test]
    fn one_alone_has_no_more_than_is_one_s() {
        let crowd = crowd(9, 2);
        let mine = [(); 3].map(|()| crowd.enter("mine").unwrap());
        assert_eq!(mine.each_ref().map(is_gone), [true, false, false]);
    }
}
