//! The coordinator's stream as one unbroken sequence: cut off, it is taken up again after the last record.

use std::time::Duration;

use dv_proto::{from_json, v1, v1::watch_rollout_reply::Message};
use dv_types::{Fact, HostName, Record, Report, RolloutId};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout_at},
};
use tonic::Status;

use crate::client::{Client, is_transient};

/// The pause before the first new attempt.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const LASTED: Duration = Duration::from_secs(10);

/// What comes in.
pub(crate) enum News {
    Record(Box<Record>),
    Report(Box<Report>),
    Progress {
        host: HostName,
        text: String,
    },
    /// Contact was lost, or is back.
    Remark(String),
    /// The coordinator refuses; trying again is of no use.
    Failed(Status),
    /// Contact was lost for too long.
    GaveUp(String),
    /// The last record is in.
    End,
}

/// The next pause after one of `pause`.
pub(crate) fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

/// A rollout's news, gathered by a task of its own.
pub(crate) struct Feed(mpsc::Receiver<News>);

impl Feed {
    pub(crate) fn open(client: Client, id: RolloutId, patience: Duration) -> Self {
        // A slow terminal slows the stream down; nothing piles up.
        let (sender, receiver) = mpsc::channel(64);
        let source =
            Source { client, id, patience, cursor: 0, ended: false, give_up: None, sender };
        tokio::spawn(source.run());
        Self(receiver)
    }

    pub(crate) async fn next(&mut self) -> News {
        self.0.recv().await.unwrap_or(News::End)
    }
}

struct Source {
    client: Client,
    id: RolloutId,
    patience: Duration,
    /// The number of the last record that was passed on.
    cursor: u64,
    /// Whether that record is the rollout's last.
    ended: bool,
    /// Since contact was lost: when to give up.
    give_up: Option<Instant>,
    sender: mpsc::Sender<News>,
}

/// Why the stream ended.
enum Cut {
    /// The coordinator refuses.
    Failed(Status),
    /// Contact was lost.
    Lost(String),
    /// The follower is gone: nobody listens.
    Gone,
}

impl Source {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let in_contact = self.give_up.is_none();
            let why = match self.stream().await {
                Ok(()) => return,
                Err(Cut::Gone) => return,
                Err(Cut::Failed(status)) => return drop(self.send(News::Failed(status)).await),
                Err(Cut::Lost(why)) => why,
            };
            if in_contact || self.give_up.is_none() {
                pause = FIRST_PAUSE;
                let text = format!("contact with the coordinator is lost ({why}); trying again");
                if self.send(News::Remark(text)).await.is_err() {
                    return;
                }
            }
            let give_up = *self.give_up.get_or_insert_with(|| Instant::now() + self.patience);
            if Instant::now() + pause >= give_up {
                return drop(self.send(News::GaveUp(why)).await);
            }
            sleep(pause).await;
            pause = longer(pause);
        }
    }

    /// One stream, from the cursor on, as long as it lasts.
    async fn stream(&mut self) -> Result<(), Cut> {
        let deadline = self.give_up.unwrap_or_else(|| Instant::now() + self.patience);
        let opened = timeout_at(deadline, self.client.watch(self.id, self.cursor)).await;
        let opened = opened.map_err(|_| Cut::Lost("no answer".to_owned()))?;
        let mut stream = opened.map_err(cut)?;
        let opened = Instant::now();
        loop {
            let reply = stream.message().await;
            // A stream that lasted counts as contact, even if there was nothing to say.
            if opened.elapsed() >= LASTED {
                self.give_up = None;
            }
            let Some(reply) = reply.map_err(cut)? else { break };
            if self.give_up.take().is_some() {
                self.send(News::Remark("contact with the coordinator is back".to_owned())).await?;
            }
            if let Some(message) = reply.message {
                self.take(message).await?;
            }
        }
        if self.ended {
            return self.send(News::End).await;
        }
        Err(Cut::Lost("the coordinator ended the stream".to_owned()))
    }

    async fn take(&mut self, message: Message) -> Result<(), Cut> {
        let unreadable = |error| Cut::Failed(Status::from(error));
        match message {
            Message::RecordJson(json) => {
                let record: Record = from_json("record_json", &json).map_err(unreadable)?;
                if record.number <= self.cursor {
                    return Ok(());
                }
                self.cursor = record.number;
                self.ended = matches!(record.fact, Fact::Ended { .. });
                self.send(News::Record(Box::new(record))).await
            }
            Message::ReportJson(json) => {
                let report: Report = from_json("report_json", &json).map_err(unreadable)?;
                self.send(News::Report(Box::new(report))).await
            }
            Message::Progress(v1::HostProgress { host, text, .. }) => match HostName::new(host) {
                Ok(host) => self.send(News::Progress { host, text }).await,
                // Chatter; a name that can't be one is passed over.
                Err(_) => Ok(()),
            },
        }
    }

    async fn send(&self, news: News) -> Result<(), Cut> {
        self.sender.send(news).await.map_err(|_| Cut::Gone)
    }
}

fn cut(status: Status) -> Cut {
    if is_transient(&status) { Cut::Lost(why(&status)) } else { Cut::Failed(status) }
}

fn why(status: &Status) -> String {
    let text = status.message();
    if text.is_empty() { "the connection broke".to_owned() } else { text.to_owned() }
}
