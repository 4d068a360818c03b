//! `dvctl agent token`

use dv_types::{HostName, Span};
use serde_json::json;

use crate::{
    Exit,
    client::Client,
    error::{Error, Result},
    output::Output,
};

/// Makes a token with which one host enrols.
pub(crate) async fn run(
    host: &HostName,
    labels: Vec<(String, String)>,
    ttl: Span,
    client: &Client,
    output: &Output,
) -> Result<Exit> {
    if ttl < Span::from_secs(1) {
        return Err(Error::usage(
            "--ttl: a token that can't be used at all is of no use: give 1s or more",
        ));
    }
    let reply = client.token(host, labels, ttl.get()).await?;
    if output.json() {
        output
            .document(&json!({ "host": host, "token": reply.token, "expires": reply.expires }))?;
        return Ok(Exit::Succeeded);
    }
    output.text(&format!("{}\n", reply.token))?;
    output.remark(&format!(
        "It lets {host} in once, until {}. On {host}: dv-agent enrol --config /etc/dv-agent/agent.yaml --token-file -",
        reply.expires
    ));
    Ok(Exit::Succeeded)
}
