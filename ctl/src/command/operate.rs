//! `dvctl rollout pause|resume|promote|abort|retry|skip|override|resolve`

use dv_types::record::Verb;
use serde_json::json;

use super::which;
use crate::{
    Exit,
    args::{Said, SaidOfHost, Which},
    client::Client,
    error::Result,
    output::Output,
};

impl From<SaidOfHost> for Said {
    fn from(said: SaidOfHost) -> Self {
        Self { which: Which { id: Some(said.id) }, reason: said.reason }
    }
}

/// Says a verb to a rollout.
pub(crate) async fn run(client: &Client, said: Said, verb: Verb, output: &Output) -> Result<Exit> {
    let id = which::rollout(client, said.which.id).await?;
    client.operate(id, &verb, said.reason.as_deref()).await?;
    if output.json() {
        output.document(&json!({ "rollout": id, "verb": verb }))?;
        return Ok(Exit::Succeeded);
    }
    let done = match &verb {
        Verb::Pause => "is paused; hosts that have begun go on to their end".to_owned(),
        Verb::Resume => "goes on".to_owned(),
        Verb::Promote => "goes on to the hosts after the canary".to_owned(),
        Verb::Abort => "ends here; every host stays as it is".to_owned(),
        Verb::MakeWay => "makes way for a rollout of its service".to_owned(),
        Verb::Rollback => "ends here, and its hosts are taken back".to_owned(),
        Verb::Retry { host } => format!("tries {host} again"),
        Verb::Skip { host } => format!("leaves {host} out"),
        Verb::Override { gate } => format!("goes on in spite of the gate {gate}"),
        Verb::Resolve { once, done: true } => format!("counts {once} as done"),
        Verb::Resolve { once, done: false } => format!("counts {once} as not done, and may do it"),
    };
    output.text(&format!("{id} {done}\n"))?;
    output.remark(&format!("Follow it: dvctl rollout watch {id}"));
    Ok(Exit::Succeeded)
}
