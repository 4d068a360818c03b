//! Messages of agents as words, and orders as messages.

use dv_proto::{from_json, to_json, v1};
use dv_types::{Epoch, Finding, HostName, Outcome, ServiceName};
use tonic::Status;

use super::fit::fit;
use crate::{
    fleet::{Facts, Order, Word},
    text::head,
};

/// Chatter and reasons beyond this are cut off.
const TEXT: usize = 1024;

pub(super) fn order(epoch: Epoch, order: Order) -> v1::ToAgent {
    use v1::to_agent::Message;
    let message = match order {
        Order::Command(command) => {
            Message::Command(v1::Command { command_json: to_json(&command), ..Default::default() })
        }
        Order::Signed { command, warrant, back } => Message::Command(v1::Command {
            command_json: to_json(&command),
            warrant: warrant.into(),
            back,
        }),
        Order::Warrant(warrant) => {
            Message::Warrant(v1::Warrant { warrant_json: to_json(&*warrant) })
        }
        Order::Cancel(command) => Message::Cancel(v1::Cancel { command: command.to_string() }),
        Order::Acknowledge(command) => {
            Message::Acknowledge(v1::Acknowledge { command: command.to_string() })
        }
        Order::Inspect { request, question } => Message::Inspect(v1::Inspect {
            request,
            subjects_json: to_json(&question.subjects),
            probing_json: question.probing.as_ref().map(to_json).unwrap_or_default(),
        }),
        Order::Watch { service, probing } => Message::Watch(v1::Watch {
            service: service.to_string(),
            probing_json: to_json(&probing),
        }),
        Order::Unwatch { service } => {
            Message::Unwatch(v1::Unwatch { service: service.to_string() })
        }
        Order::Renew { within } => {
            let within_ms = u32::try_from(within.as_millis()).unwrap_or(u32::MAX);
            Message::Renew(v1::Renew { within_ms })
        }
    };
    v1::ToAgent { epoch: epoch.0, message: Some(message) }
}

/// Nothing for a message that a newer agent may send and we don't know.
pub(super) fn word(host: &HostName, message: v1::FromAgent) -> Result<Option<Word>, Status> {
    use v1::from_agent::Message;
    let word = match message.message {
        None => return Ok(None),
        Some(Message::Hello(_)) => {
            return Err(Status::invalid_argument("Hello is said once, at the beginning"));
        }
        Some(Message::Heartbeat(_)) => Word::Heartbeat,
        Some(Message::Progress(progress)) => Word::Progress {
            command: progress.command.parse().map_err(invalid)?,
            text: shortened(progress.text),
        },
        Some(Message::Outcome(outcome)) => {
            let size = outcome.outcome_json.len();
            let mut outcome: Outcome = from_json("outcome_json", &outcome.outcome_json)?;
            // Refused, it would come again at every connection, for ever.
            if fit(&mut outcome) {
                let command = outcome.command;
                tracing::warn!(%host, %command, size, "its outcome is too large to be kept as it is: its texts are cut short");
            }
            Word::Outcome(outcome)
        }
        Some(Message::Health(health)) => Word::Health {
            service: ServiceName::new(health.service).map_err(invalid)?,
            good: health.good,
            why: Some(shortened(health.why)).filter(|why| !why.is_empty()),
        },
        Some(Message::Facts(facts)) => Word::Facts {
            request: facts.request,
            facts: Facts {
                findings: from_json::<Vec<Finding>>("findings_json", &facts.findings_json)?,
                healthy: facts.healthy,
            },
        },
    };
    Ok(Some(word))
}

fn shortened(mut text: String) -> String {
    head(&mut text, TEXT);
    text
}

pub(super) fn invalid(why: impl std::fmt::Display) -> Status {
    Status::invalid_argument(why.to_string())
}
