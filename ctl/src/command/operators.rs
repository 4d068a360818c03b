//! `dvctl operators`

use dv_proto::v1;
use dv_types::Timestamp;
use serde_json::{Value, json};

use super::hosts::revocation;
use crate::{
    Exit, client::Client, context::Context, display, error::Result, identity, output::Output,
};

/// Lists the operators.
pub(crate) async fn list(client: &Client, output: &Output) -> Result<Exit> {
    let operators = client.operators().await?;
    if output.json() {
        output.document(&operators.iter().map(document).collect::<Vec<_>>())?;
    } else {
        output.lines(&display::operators::operators(&operators, Timestamp::now()))?;
    }
    Ok(Exit::Succeeded)
}

/// Makes a further operator, and prints its context file. Its key is made here, and goes nowhere else.
pub(crate) async fn add(
    name: &str,
    own: &Context,
    client: &Client,
    output: &Output,
) -> Result<Exit> {
    let key = identity::key()?;
    let reply = client.add_operator(name, identity::request(&key)?).await?;
    output.text(&own.of_another(name, reply, key)?)?;
    output.remark(&format!(
        "This is the context file of {name}, with the key: whoever has it is {name}. On {name}'s machine: ~/.config/dv/context.yaml, mode 600."
    ));
    Ok(Exit::Succeeded)
}

/// Lets an operator in no more.
pub(crate) async fn revoke(
    name: &str,
    reason: &str,
    client: &Client,
    output: &Output,
) -> Result<Exit> {
    client.revoke_operator(name, reason).await?;
    if output.json() {
        output.document(&json!({ "operator": name, "revoked": true }))?;
    } else {
        output.remark(&format!(
            "Operator {name} is let in no more, with whatever certificate; `dvctl operators add {name}` lets in again."
        ));
    }
    Ok(Exit::Succeeded)
}

fn document(operator: &v1::Operator) -> Value {
    json!({
        "name": operator.name,
        "by": (!operator.by.is_empty()).then_some(&operator.by),
        "since": operator.since,
        "certificate_until": (!operator.certificate_until.is_empty()).then_some(&operator.certificate_until),
        "revoked": operator.revoked.as_ref().map(revocation),
    })
}
