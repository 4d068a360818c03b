//! Apply what is pending, and say what that was.

use dv_types::{Evidence, Migration, OpResult, Schema, outcome::Output};

use super::{
    Attempt, Context, Ended, command,
    schema::{self, Kinds, named},
};

pub(super) async fn migrate(
    context: &Context,
    check: &[String],
    upgrade: &[String],
    kinds: &Kinds,
) -> Ended {
    let before = schema::before(context, check, kinds).await?;
    if before.pending.is_empty() {
        let tail =
            format!("nothing is pending; the schema's head is {}\n", named(before.head.as_deref()));
        let evidence = evidence(&before, &before);
        return Ok(Attempt::done(evidence).with_output(Output { tail, dropped: 0 }));
    }
    // Even where it could not be started, or so it seems: the schema says what was done.
    let (result, output) = match command::run(context, upgrade).await {
        Ok(finished) => (command::result(&finished), finished.output),
        Err(halt) => (halt.result, halt.output),
    };
    let attempt = match schema::after(context, check, kinds).await {
        Ok(after) => {
            Attempt::from(judge(result, &after, &before)).with_evidence(evidence(&before, &after))
        }
        Err(unseen) => schema::unknown("upgrade", &result, &unseen).into(),
    };
    Ok(attempt.with_output(output))
}

/// An upgrade that says it was done has left nothing behind of what was pending.
fn judge(result: OpResult, after: &Schema, before: &Schema) -> OpResult {
    let left = before.pending.iter().find(|migration| is_pending(migration, after));
    match (result, left) {
        (OpResult::Done, Some(migration)) => OpResult::Failed(format!(
            "the upgrade ended well, and yet {} is still pending; see what it printed",
            migration.name
        )),
        (result, _) => result,
    }
}

fn evidence(before: &Schema, after: &Schema) -> Evidence {
    let applied = before.pending.iter().filter(|migration| !is_pending(migration, after));
    Evidence::Schema {
        before: before.head.clone(),
        after: after.head.clone(),
        changed: applied.cloned().collect(),
        omitted: 0,
    }
}

fn is_pending(migration: &Migration, schema: &Schema) -> bool {
    schema.pending.iter().any(|pending| pending.name == migration.name)
}

#[cfg(test)]
mod tests;
