//! `dvctl ca`

use dv_proto::v1;
use dv_types::Timestamp;
use serde_json::json;

use crate::{Exit, args::Ca, client::Client, display, error::Result, output::Output};

/// Shows which authorities are trusted, or lets one follow another.
pub(crate) async fn run(what: Option<Ca>, client: &Client, output: &Output) -> Result<Exit> {
    let reply = match what {
        None => client.authority().await?,
        Some(Ca::Rotate) => client.rotate_authority().await?,
        Some(Ca::Retire { force }) => client.retire_authority(force).await?,
    };
    if output.json() {
        output.document(&document(&reply))?;
        return Ok(Exit::Succeeded);
    }
    output.lines(&display::authority::authority(&reply, Timestamp::now()))?;
    match what {
        Some(Ca::Rotate) => output.remark(
            "Hosts in contact renew now, others when they come back, operators at their next call. \
             When nobody depends on the former one any more: `dvctl ca retire`.",
        ),
        Some(Ca::Retire { .. }) => {
            output.remark("What the former one has issued is worth nothing.");
        }
        None => {}
    }
    Ok(Exit::Succeeded)
}

fn document(reply: &v1::GetAuthorityReply) -> serde_json::Value {
    let one = |authority: &v1::Authority| {
        json!({
            "pin": authority.pin,
            "until": authority.until,
            "hosts": authority.hosts,
            "operators": authority.operators,
            "dependants": authority.dependants,
        })
    };
    json!({ "authorities": reply.authorities.iter().map(one).collect::<Vec<_>>() })
}
