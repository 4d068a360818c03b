//! The link to the coordinator: the agent dials, and dials again, for ever.

mod round;
mod session;

use std::{error::Error, sync::Arc, time::Duration};

use dv_proto::{Standby, come_back};
use tokio::time::{Instant, sleep, sleep_until};
use tonic::{Code, Status as Answer};

use crate::{
    backoff::Backoff, config::Config, epoch::Fence, notify::Status, outbox::Outbox, runner::Runner,
    words::innermost,
};
use round::Round;
use session::Session;

/// What holds the link.
pub(crate) struct Link {
    pub(crate) config: Config,
    pub(crate) runner: Arc<Runner>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) fence: Arc<Fence>,
    pub(crate) status: Arc<Status>,
    /// The program's version.
    pub(crate) version: String,
    /// New at each start of the agent.
    pub(crate) instance: String,
}

/// Why a session ended.
pub(crate) enum End {
    /// The host has a new certificate, to be shown at once.
    Renewed,
    /// The coordinator stands by: another one leads, or none.
    Standby(Standby),
    /// The coordinator that leads says no.
    Refused(Cut),
    /// The link is cut, or never came about.
    Cut(Cut),
}

impl From<Answer> for End {
    fn from(answer: Answer) -> Self {
        match (Standby::of(&answer), answer.code()) {
            (Some(standby), _) => Self::Standby(standby),
            (None, Code::PermissionDenied | Code::Unauthenticated) => Self::Refused(answer.into()),
            (None, _) => Self::Cut(answer.into()),
        }
    }
}

/// Why a link is cut, in words.
pub(crate) struct Cut {
    why: String,
    /// The coordinator said when to dial again.
    come_back: Option<Duration>,
}

impl From<String> for Cut {
    fn from(why: String) -> Self {
        Self { why, come_back: None }
    }
}

impl From<&str> for Cut {
    fn from(why: &str) -> Self {
        why.to_owned().into()
    }
}

impl From<Answer> for Cut {
    fn from(answer: Answer) -> Self {
        let why = transport_error(&answer).unwrap_or_else(|| answer.message().to_owned());
        Self { why, come_back: come_back::told(&answer) }
    }
}

impl Link {
    /// Holds the link, for ever.
    pub(crate) async fn hold(self) {
        let mut backoff = Backoff::default();
        let mut round = Round::new(self.config.coordinator.all());
        loop {
            let (mut whys, mut come_back) = (Vec::new(), None);
            let mut note = |address: &str, cut: Cut| {
                whys.push(format!("{address}: {}", cut.why));
                come_back = come_back.max(cut.come_back);
            };
            while let Some(address) = round.next() {
                match self.session(&address, None, &mut round, &mut backoff).await {
                    End::Renewed => {
                        tracing::info!("dialling again with the new certificate");
                        round.begin();
                    }
                    End::Standby(standby) => {
                        round.stands_by(&address, standby.leader.as_deref());
                        note(&address, "it stands by".into());
                    }
                    End::Refused(cut) => {
                        round.end();
                        note(&address, cut);
                    }
                    End::Cut(cut) => note(&address, cut),
                }
            }
            let wait = come_back.unwrap_or_else(|| self.wait(&mut backoff));
            let why = whys.join("; ");
            tracing::warn!(why, ?wait, "no link");
            self.status.link(format!("not connected: {why}"));
            self.pause(wait, &mut round, &mut backoff).await;
            round.begin();
        }
    }

    fn wait(&self, backoff: &mut Backoff) -> Duration {
        backoff.next(self.runner.ports.outside.chance())
    }

    /// The time until the next round. Where a coordinator stands by, the host spends it at that one's door: it is let in
    /// if that one comes to lead, and told at once who else does.
    async fn pause(&self, wait: Duration, round: &mut Round, backoff: &mut Backoff) {
        let until = Instant::now() + wait;
        let Some(address) = round.door() else { return sleep_until(until).await };
        match self.session(&address, Some(wait), round, backoff).await {
            // There is news.
            End::Standby(Standby { leader: Some(_) }) | End::Renewed | End::Refused(_) => {}
            // It let the host in, and that is over.
            _ if round.door().is_none() => sleep(self.wait(backoff)).await,
            End::Standby(_) | End::Cut(_) => sleep_until(until).await,
        }
    }

    /// One session, from the dialling to the end. A coordinator that stands by may let the host wait so long.
    async fn session(
        &self,
        address: &str,
        wait: Option<Duration>,
        round: &mut Round,
        backoff: &mut Backoff,
    ) -> End {
        let line = match self.runner.ports.dial.dial(address) {
            Ok(line) => line,
            Err(why) => return End::Cut(why.into()),
        };
        let began = Instant::now();
        let session = Session { link: self, line: &*line, address, wait };
        let (welcomed, end) = session.run(backoff).await;
        self.outbox.close();
        if welcomed {
            round.welcomed(address);
            if matches!(end, End::Cut(_)) {
                round.broke(address);
            }
            // Others need not be asked right away: this one may be back in a moment, and all its hosts at once are many.
            round.end();
            backoff.held(began.elapsed());
        }
        end
    }
}

/// The innermost cause, where the trouble is the connection and not the coordinator's answer.
pub(crate) fn transport_error(answer: &Answer) -> Option<String> {
    answer.source().map(innermost)
}
