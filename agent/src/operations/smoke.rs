//! Do what a person would click after a deployment: a short HTTP session, or a command.

mod client;
mod expect;
mod form;
mod page;
mod secrets;
mod session;

use dv_types::{Evidence, OpResult, manifest::Smoke};

use super::{Attempt, Context, Ended, run};
use crate::limits::Stop;
use client::Client;
use session::Session;

pub(super) async fn smoke(context: &Context, smoke: &Smoke, base: Option<&str>) -> Ended {
    match &smoke.command {
        Some(argv) => run::run(context, argv).await,
        // Made here and dropped here: an idle agent keeps no client.
        None => Ok(session(context, smoke, base, Client::default()).await),
    }
}

async fn session(context: &Context, smoke: &Smoke, base: Option<&str>, client: Client) -> Attempt {
    let mut session = Session::new(context, base, client);
    let ended = context.limits.within(session.run(&smoke.session)).await;
    let result = match ended {
        Ok(Ok(())) => OpResult::Done,
        Ok(Err(result)) => result,
        Err(Stop::Cancelled) => OpResult::Cancelled,
        Err(Stop::TimedOut(limit)) => OpResult::TimedOut(match session.under_way() {
            Some(request) => format!("it was not done within {limit}: no end of {request}"),
            None => format!("it was not done within {limit}"),
        }),
    };
    // Whatever a page, a server or a library put into these words, no secret leaves here.
    let secrets = session.secrets();
    let result = match result {
        OpResult::Failed(why) => OpResult::Failed(secrets.redact(&why)),
        OpResult::Refused(why) => OpResult::Refused(secrets.redact(&why)),
        OpResult::TimedOut(why) => OpResult::TimedOut(secrets.redact(&why)),
        other => other,
    };
    let requests = session.requests().iter().map(|line| secrets.redact(line)).collect();
    Attempt::from(result).with_evidence(Evidence::Smoke { requests })
}

#[cfg(test)]
mod tests;
