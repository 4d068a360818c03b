//! The way out to the coordinator, while there is one. What must arrive is kept elsewhere (the ledger) and
//! sent again at each connection, so nothing here outlives a session.

use std::sync::Mutex;

use dv_proto::v1::{FromAgent, Progress, from_agent::Message};
use dv_types::{CommandId, Outcome};
use futures_util::Stream;
use tokio::sync::mpsc;
use tokio_stream::{
    StreamExt,
    wrappers::{ReceiverStream, UnboundedReceiverStream},
};

/// So many messages that may be lost wait for a slow network; more are dropped.
const CHATTER: usize = 64;

/// The present session's way out.
#[derive(Default)]
pub(crate) struct Outbox {
    session: Mutex<Option<Session>>,
}

struct Session {
    /// Outcomes, facts and turns of health: no more than what the coordinator asked for.
    must: mpsc::UnboundedSender<FromAgent>,
    /// Progress and heartbeats.
    may: mpsc::Sender<FromAgent>,
}

impl Outbox {
    /// Begins a session with `first`; the former session, if any, ends.
    pub(crate) fn open(&self, first: Message) -> impl Stream<Item = FromAgent> + Send + use<> {
        let (must, musts) = mpsc::unbounded_channel();
        let (may, mays) = mpsc::channel(CHATTER);
        *self.session.lock().expect("no panic under this lock") = Some(Session { must, may });
        let rest = UnboundedReceiverStream::new(musts).merge(ReceiverStream::new(mays));
        tokio_stream::once(FromAgent { message: Some(first) }).chain(rest)
    }

    /// Ends the session.
    pub(crate) fn close(&self) {
        *self.session.lock().expect("no panic under this lock") = None;
    }

    /// Sends what must arrive, if there is a session.
    pub(crate) fn send(&self, message: Message) {
        if let Some(session) = &*self.session.lock().expect("no panic under this lock") {
            let _ = session.must.send(FromAgent { message: Some(message) });
        }
    }

    /// Sends an outcome, if there is a session.
    pub(crate) fn outcome(&self, outcome: &Outcome) {
        let outcome_json = dv_proto::to_json(outcome);
        self.send(Message::Outcome(dv_proto::v1::Outcome { outcome_json }));
    }

    /// Sends what may be lost.
    pub(crate) fn chatter(&self, message: Message) {
        if let Some(session) = &*self.session.lock().expect("no panic under this lock") {
            let _ = session.may.try_send(FromAgent { message: Some(message) });
        }
    }

    /// Sends what an operation says.
    pub(crate) fn progress(&self, command: CommandId, text: &str) {
        self.chatter(Message::Progress(Progress {
            command: command.to_string(),
            text: text.to_owned(),
        }));
    }
}
