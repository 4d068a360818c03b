//! Make a backup, and show that it is there. What can't be shown does not count as made.

mod file;
mod printed;

use dv_types::{Evidence, OpResult, Size, Timestamp, manifest::Proof};

use super::{Attempt, Context, Ended, Halt, command, failed};
use crate::{limits::Stop, process::Finished};

/// The clocks of file systems, and of those who print whole seconds, may lag behind so far.
const GRAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// What is known of a backup.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    size: Option<u64>,
    created: Option<Timestamp>,
    sha256: Option<String>,
    file: Option<String>,
}

pub(super) async fn backup(context: &Context, create: &[String], proof: &Proof) -> Ended {
    let began = context.ports.outside.now();
    let made = command::run(context, create).await?;
    if !made.is_success() {
        let evidence = Evidence::Exit { code: made.code, signal: made.signal };
        let result = command::result(&made);
        return Ok(Attempt::from(result).with_output(made.output).with_evidence(evidence));
    }
    let result = prove(context, &made, proof).await.and_then(|found| judge(found, proof, began));
    Ok(match result {
        Ok(evidence) => Attempt::done(evidence).with_output(made.output),
        // The proof's own words, where it has some, say more than the backup's.
        Err(halt) if !halt.output.is_empty() => *halt,
        Err(halt) => halt.with_output(made.output),
    })
}

/// Gathers what there is to know of the backup that was `made`.
async fn prove(context: &Context, made: &Finished, proof: &Proof) -> Result<Found, Halt> {
    if let Some(path) = &proof.file {
        context.progress.say(&format!("looks at {path}"));
        return match file::look(path, proof.checksum, &context.limits).await {
            Ok(found) => found.map_err(unproven),
            Err(Stop::TimedOut(limit)) => {
                let why = format!("the backup was made, but {path} was not read within {limit}");
                Err(OpResult::TimedOut(why).into())
            }
            Err(Stop::Cancelled) => Err(OpResult::Cancelled.into()),
        };
    }
    let Some(argv) = &proof.command else {
        return printed::read(&made.stdout)
            .map_err(|why| unproven(format!("the command that made it {why}")));
    };
    let shown = command::run(context, argv).await?;
    let halt = match command::result(&shown) {
        OpResult::Done => match printed::read(&shown.stdout) {
            Ok(found) => return Ok(found),
            Err(why) => unproven(format!("`{}` {why}", argv.join(" "))),
        },
        OpResult::Failed(why) => {
            unproven(format!("`{}`: {why}; see what it printed", argv.join(" ")))
        }
        OpResult::TimedOut(why) => {
            OpResult::TimedOut(format!("`{}`: {why}", argv.join(" "))).into()
        }
        other => other.into(),
    };
    Err(Halt::new(halt.with_output(shown.output)))
}

/// Whether what was found shows that there is a backup, made by this operation.
fn judge(found: Found, proof: &Proof, began: Timestamp) -> Result<Evidence, Halt> {
    let Found { size, created, sha256, file } = found;
    let Some(size) = size else {
        return Err(unproven(
            "nobody says how large it is; print a line `size: BYTES`, or give `proof.file` in the manifest",
        ));
    };
    if size < proof.min_size.0 {
        return Err(unproven(format!(
            "it is of {}, and should be of {} at least; see whether it is whole, or lower `proof.min_size`",
            Size(size),
            proof.min_size
        )));
    }
    if let Some(created) = created
        && created < began.saturating_sub(GRAIN).unwrap_or(Timestamp::MIN)
    {
        return Err(unproven(format!(
            "it was made at {created}, before this step began at {began}: it is another backup; see whether \
             the proof is of the one that `create` makes"
        )));
    }
    Ok(Evidence::Backup { size, created, sha256, file })
}

fn unproven(why: impl std::fmt::Display) -> Halt {
    failed(format!("the backup has no proof: {why}"))
}

#[cfg(test)]
mod tests;
