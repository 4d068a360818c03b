//! Take migrations back, if the schema still stands where they left it.

use dv_types::{Evidence, OpResult, Schema};

use super::{
    Attempt, Context, Ended, command, failed,
    schema::{self, Kinds, named},
};

pub(super) async fn downgrade(
    context: &Context,
    check: &[String],
    downgrade: &[String],
    head: Option<&str>,
) -> Ended {
    let kinds = Kinds::new();
    let before = schema::before(context, check, &kinds).await?;
    if before.head.as_deref() != head {
        return Err(failed(format!(
            "the schema's head is {}, not {}: somebody has migrated since; nothing was done",
            named(before.head.as_deref()),
            named(head)
        )));
    }
    // Even where it could not be started, or so it seems: the schema says what was done.
    let (result, output) = match command::run(context, downgrade).await {
        Ok(finished) => (command::result(&finished), finished.output),
        Err(halt) => (halt.result, halt.output),
    };
    let attempt = match schema::after(context, check, &kinds).await {
        Ok(after) => {
            Attempt::from(judge(result, &after, &before)).with_evidence(evidence(before, after))
        }
        Err(unseen) => schema::unknown("downgrade", &result, &unseen).into(),
    };
    Ok(attempt.with_output(output))
}

/// A downgrade that says it was done has moved the head.
fn judge(result: OpResult, after: &Schema, before: &Schema) -> OpResult {
    match result {
        OpResult::Done if after.head == before.head => OpResult::Failed(format!(
            "the downgrade ended well, and yet the schema's head is still {}; see what it printed",
            named(after.head.as_deref())
        )),
        result => result,
    }
}

/// Which migrations they were, and of what kind, the plan knows.
fn evidence(before: Schema, after: Schema) -> Evidence {
    Evidence::Schema { before: before.head, after: after.head, changed: Vec::new() }
}

#[cfg(test)]
mod tests;
