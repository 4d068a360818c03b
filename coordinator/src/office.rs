//! How a coordinator comes to reign, and why it does no longer: alone over its store, or as one of several of which one
//! leads.
//!
//! Who loses the lead ends its reign at once and then the program: whatever was in memory goes with the process, every
//! connection too, and systemd starts it again as a standby that knows nothing it would have to forget.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    config::Config,
    coordinator::Down,
    identity::Authority,
    leader::{Candidate, Cluster, Door, Leadership, Standing},
    ports::{Clock, Store, StoreError},
    reign::Reign,
    seat::{Seat, Seated},
};

/// What a reign is made of, besides its store.
#[derive(Clone)]
pub(crate) struct Means {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) authority: Arc<Authority>,
}

impl Means {
    async fn reign(self, store: Arc<dyn Store>) -> Result<Reign, StoreError> {
        Reign::begin(&self.config, store, self.clock, self.authority).await
    }
}

/// A coordinator's place.
pub(crate) struct Office {
    seat: watch::Receiver<Seat>,
    door: Door,
    down: watch::Receiver<Option<Down>>,
    leads: watch::Receiver<Option<Leadership>>,
}

impl Office {
    /// That of the only coordinator over a store.
    pub(crate) async fn alone(means: Means, store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let reign = means.reign(store).await?;
        let (is_down, down) = watch::channel(None);
        let (placed, seat) = watch::channel(Seat::leads(reign));
        tokio::spawn(async move {
            let Some(reign) = placed.borrow().reign().cloned() else { return };
            is_down.send_replace(Some(Down::Store(reign.broken().await)));
        });
        Ok(Self { seat, door: Door::default(), down, leads: watch::channel(None).1 })
    }

    /// That of one of several: it stands by, until it leads.
    pub(crate) fn among(means: Means, cluster: Cluster, address: String) -> Self {
        let (is_down, down) = watch::channel(None);
        let (placed, seat) = watch::channel(Seat::Standby(Standing::Nobody));
        let (led, leads) = watch::channel(None);
        let door = Door::default();
        let candidate = Candidate::new(cluster, address, door.clone());
        tokio::spawn(async move {
            let why = campaign(means, candidate, &placed, &led).await;
            if let Some(reign) = placed.borrow().reign() {
                reign.end();
            }
            placed.send_replace(Seat::Standby(Standing::Nobody));
            is_down.send_replace(Some(why));
        });
        Self { seat, door, down, leads }
    }

    /// What answers calls.
    pub(crate) fn service(&self) -> Seated {
        Seated { seat: self.seat.clone(), door: self.door.clone() }
    }

    /// One line on how it stands.
    pub(crate) fn status(&self) -> String {
        match &*self.seat.borrow() {
            Seat::Leads(reign, _) => reign.status(),
            Seat::Standby(Standing::Behind(leader)) => {
                format!("stands by: {} leads", leader.address)
            }
            Seat::Standby(Standing::Nobody) => "stands by: nobody leads yet".to_owned(),
            Seat::Standby(Standing::CutOff(why)) => format!("stands by: {why}"),
        }
    }

    /// Resolves when it can't go on.
    pub(crate) async fn down(&self) -> Down {
        let mut down = self.down.clone();
        match down.wait_for(Option::is_some).await.map(|why| why.clone()) {
            Ok(Some(why)) => why,
            _ => std::future::pending().await,
        }
    }

    /// Ends the reign: streams are told first. Another coordinator may lead as soon as this returns.
    pub(crate) async fn leave(&self) {
        let reign = self.seat.borrow().reign().cloned();
        if let Some(reign) = &reign {
            reign.end();
        }
        let led = self.leads.borrow().clone();
        if let Some(led) = led {
            led.farewell().await;
        }
    }

    /// Resolves when nothing is under way any more.
    pub(crate) async fn at_rest(&self) {
        let reign = self.seat.borrow().reign().cloned();
        if let Some(reign) = reign {
            reign.at_rest().await;
        }
    }
}

/// Stands by, leads, and says why it does no longer.
async fn campaign(
    means: Means,
    candidate: Candidate,
    placed: &watch::Sender<Seat>,
    led: &watch::Sender<Option<Leadership>>,
) -> Down {
    let say = |standing: Standing| {
        let changed = |seat: &mut Seat| {
            let is_new = !matches!(seat, Seat::Standby(before) if *before == standing);
            if is_new {
                tracing::info!(?standing, "standing by");
                *seat = Seat::Standby(standing.clone());
            }
            is_new
        };
        placed.send_if_modified(changed);
    };
    let leadership = candidate.stand(say).await;
    tracing::info!("this coordinator leads");
    led.send_replace(Some(leadership.clone()));
    let seat = placed.subscribe();
    let contact = move || seat.borrow().reign().map(|reign| reign.contact());
    // Apart from everything else: the lease is renewed however long the store takes to be read.
    let mut keeping = tokio::spawn(leadership.clone().keep(contact));
    let reigning = async {
        let store = leadership.store().await?;
        let seat = Seat::leads(means.reign(Arc::new(store)).await?);
        let reign = seat.reign().cloned();
        placed.send_replace(seat);
        match reign {
            Some(reign) => Err(reign.broken().await),
            None => Ok(()),
        }
    };
    let lost = tokio::select! {
        lost = &mut keeping => lost,
        why = reigning => match why {
            // Why the lead is lost says more than that a write was refused because of it.
            _ if !leadership.holds() => keeping.await,
            Err(why) => return Down::Store(why),
            Ok(()) => return Down::Server,
        },
    };
    Down::Deposed(lost.map_or_else(|why| why.to_string(), |lost| lost.to_string()))
}
