//! The way out to the coordinator, while there is one. What must arrive is kept elsewhere (the ledger) and
//! sent again at each connection, so nothing here outlives a session.

use std::sync::Mutex;

use dv_proto::v1::{FromAgent, Progress, from_agent::Message};
use dv_types::{CommandId, Outcome};
use futures_util::Stream;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};

/// So many messages that must arrive wait for a slow network. There are never more than what the coordinator asked for,
/// which is far less; where there are, the session ends, and what counts is sent again in the next.
const MUST: usize = 1024;
/// So many messages that may be lost wait for a slow network; more are dropped.
const CHATTER: usize = 64;

/// The present session's way out.
#[derive(Default)]
pub struct Outbox {
    session: Mutex<Option<Session>>,
}

struct Session {
    /// Outcomes, facts and turns of health.
    must: mpsc::Sender<FromAgent>,
    /// Progress and heartbeats.
    may: mpsc::Sender<FromAgent>,
}

impl Outbox {
    /// Begins a session with `first`; the former session, if any, ends.
    pub fn open(&self, first: Message) -> impl Stream<Item = FromAgent> + Send + use<> {
        let (must, musts) = mpsc::channel(MUST);
        let (may, mays) = mpsc::channel(CHATTER);
        *self.session.lock().expect("no panic under this lock") = Some(Session { must, may });
        let rest = ReceiverStream::new(musts).merge(ReceiverStream::new(mays));
        tokio_stream::once(FromAgent { message: Some(first) }).chain(rest)
    }

    /// Ends the session.
    pub fn close(&self) {
        *self.session.lock().expect("no panic under this lock") = None;
    }

    /// Sends what must arrive, if there is a session.
    pub fn send(&self, message: Message) {
        let mut session = self.session.lock().expect("no panic under this lock");
        let sent =
            session.as_ref().map(|to| to.must.try_send(FromAgent { message: Some(message) }));
        if let Some(Err(TrySendError::Full(_))) = sent {
            tracing::warn!("the coordinator takes nothing: the link is given up");
            *session = None;
        }
    }

    /// Waits until there is room for one more that must arrive, or no session.
    pub async fn room(&self) {
        let must = {
            let session = self.session.lock().expect("no panic under this lock");
            session.as_ref().map(|session| session.must.clone())
        };
        if let Some(must) = must {
            let _ = must.reserve().await;
        }
    }

    /// Sends an outcome, if there is a session.
    pub fn outcome(&self, outcome: &Outcome) {
        let outcome_json = dv_proto::to_json(outcome);
        self.send(Message::Outcome(dv_proto::v1::Outcome { outcome_json }));
    }

    /// Sends what may be lost.
    pub fn chatter(&self, message: Message) {
        if let Some(session) = &*self.session.lock().expect("no panic under this lock") {
            let _ = session.may.try_send(FromAgent { message: Some(message) });
        }
    }

    /// Sends what an operation says.
    pub fn progress(&self, command: CommandId, text: &str) {
        self.chatter(Message::Progress(Progress {
            command: command.to_string(),
            text: text.to_owned(),
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use dv_proto::v1::{Facts, Hello};

    use super::*;

    fn facts(request: u64) -> Message {
        Message::Facts(Facts { request, ..Facts::default() })
    }

    #[tokio::test]
    async fn a_session_that_takes_nothing_ends_and_the_next_begins_empty() {
        let outbox = Outbox::default();
        let stuck = outbox.open(Message::Hello(Hello::default()));
        (0..100_000).for_each(|n| outbox.send(facts(n)));
        assert_eq!(stuck.collect::<Vec<_>>().await.len(), 1 + MUST);

        let next = outbox.open(Message::Hello(Hello::default()));
        outbox.send(facts(7));
        outbox.close();
        let said: Vec<_> = next.filter_map(|word| word.message).collect().await;
        assert_eq!(said, [Message::Hello(Hello::default()), facts(7)]);
    }

    #[tokio::test]
    async fn whoever_has_more_to_send_waits_for_room() {
        let outbox = Arc::new(Outbox::default());
        let words = outbox.open(Message::Hello(Hello::default()));
        let many = 3 * MUST as u64;
        let sending = async {
            for n in 0..many {
                outbox.room().await;
                outbox.send(facts(n));
            }
            outbox.close();
        };
        let heard = words.collect::<Vec<_>>();
        let ((), heard) =
            tokio::time::timeout(Duration::from_secs(30), async { tokio::join!(sending, heard) })
                .await
                .expect("nobody waits for ever");
        assert_eq!(heard.len() as u64, 1 + many);
    }
}
