//! Take migrations back, if the schema still stands where they left it.

use dv_types::{Evidence, OpResult, Schema, operation::Head};

use super::{
    Attempt, Context, Ended, command, failed,
    schema::{self, Kinds, named},
};

pub(super) async fn downgrade(
    context: &Context,
    check: &[String],
    downgrade: &[String],
    head: Option<&str>,
    to: Option<&Head>,
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
            let result = judge(result, &after, &before, to);
            Attempt::from(result).with_evidence(evidence(before, after))
        }
        Err(unseen) => schema::unknown("downgrade", &result, &unseen).into(),
    };
    Ok(attempt.with_output(output))
}

/// A downgrade that says it was done has moved the head, and to where it was before the migrations.
fn judge(result: OpResult, after: &Schema, before: &Schema, to: Option<&Head>) -> OpResult {
    if !result.is_done() {
        return result;
    }
    let there = named(after.head.as_deref());
    if after.head == before.head {
        return OpResult::Failed(format!(
            "the downgrade ended well, and yet the schema's head is still {there}; see what it printed"
        ));
    }
    match to {
        Some(to) if to.name() != after.head.as_deref() => OpResult::Failed(format!(
            "the downgrade ended well, and yet the schema's head is {there}, not {to}: it took back too many \
             migrations or too few; look at the database, and see what it printed"
        )),
        _ => result,
    }
}

/// Which migrations they were, and of what kind, the plan knows.
fn evidence(before: Schema, after: Schema) -> Evidence {
    Evidence::Schema { before: before.head, after: after.head, changed: Vec::new(), omitted: 0 }
}

#[cfg(test)]
mod tests;
