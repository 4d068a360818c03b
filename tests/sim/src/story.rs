//! Messages as lines of a story.

use dv_proto::v1::{FromAgent, ToAgent, from_agent, to_agent};

pub(crate) fn said(host: &str, word: &FromAgent) -> String {
    use from_agent::Message;
    let text = match &word.message {
        None => "nothing".to_owned(),
        Some(Message::Hello(hello)) => format!("hello, knows {:?}", hello.commands),
        Some(Message::Heartbeat(_)) => "heartbeat".to_owned(),
        Some(Message::Progress(progress)) => format!("{}: {}", progress.command, progress.text),
        Some(Message::Outcome(outcome)) => format!("outcome {}", outcome.outcome_json),
        Some(Message::Health(health)) => format!("health good={} {}", health.good, health.why),
        Some(Message::Facts(facts)) => format!("facts {}", facts.request),
    };
    format!("message     {host} says {text}")
}

pub(crate) fn told(coordinator: u32, host: &str, order: &ToAgent) -> String {
    use to_agent::Message;
    let text = match &order.message {
        None => "nothing".to_owned(),
        Some(Message::Welcome(_)) => "welcome".to_owned(),
        Some(Message::Command(command)) => format!("command {}", command.command_json),
        Some(Message::Cancel(cancel)) => format!("cancel {}", cancel.command),
        Some(Message::Acknowledge(ack)) => format!("acknowledge {}", ack.command),
        Some(Message::Inspect(inspect)) => format!("inspect {}", inspect.request),
        Some(Message::Watch(_)) => "watch".to_owned(),
        Some(Message::Unwatch(_)) => "unwatch".to_owned(),
        Some(Message::Warrant(_)) => "warrant".to_owned(),
        Some(Message::Renew(_)) => "renew".to_owned(),
    };
    format!("message     coordinator {coordinator} (epoch {}) tells {host} {text}", order.epoch)
}
