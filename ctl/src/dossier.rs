//! Everything that happened in a rollout, in one document that can be attached to a change ticket.
//!
//! ```text
//! plan, report, records ──▶ gather ──▶ Dossier ──▶ text | json | html
//! ```
//!
//! Pure: the coordinator's documents go in, text comes out. The fields are the keys of the JSON form
//! (`docs/report.md`): what is there stays, and what is new is added.

mod attention;
mod curve;
mod facts;
mod gather;
pub(crate) mod html;
pub(crate) mod json;
mod markup;
pub(crate) mod text;

#[cfg(test)]
mod tests;

use dv_types::{
    CommandId, GateAnswer, HostName, Judgement, Migration, Outcome, RolloutId, Sample, Schema,
    ServiceName, Span, Timestamp, Version,
    monitor::Watching,
    plan::{Database, Kind, WaveKind},
    record::{Condemner, PauseWhy, Verb},
    report::{OnceState, Phase, State, Totals},
};
use serde::Serialize;

pub(crate) use gather::gather;

/// Everything that happened in a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Dossier {
    /// The form of this document.
    pub(crate) format: u32,
    /// The rollout.
    pub(crate) rollout: RolloutId,
    /// The service.
    pub(crate) service: ServiceName,
    /// The version that goes out; in a reversal, the one that is taken back.
    pub(crate) version: Version,
    /// Why it was made.
    pub(crate) kind: Kind,
    /// The plan's hash.
    pub(crate) plan: String,
    /// Where it stands.
    pub(crate) state: State,
    /// Whether it is over; else all this is so far.
    pub(crate) finished: bool,
    /// Who started it.
    pub(crate) by: String,
    /// Why, where a reason was given.
    pub(crate) reason: Option<String>,
    /// When it began.
    pub(crate) began: Timestamp,
    /// When it ended.
    pub(crate) ended: Option<Timestamp>,
    /// When the last record was written that is counted in.
    pub(crate) as_of: Timestamp,
    /// How many records there are.
    pub(crate) records: u64,
    /// The rollout that takes this one back, where one does.
    pub(crate) reversed_by: Option<RolloutId>,
    /// Whether a rollback of it follows, or followed, by itself.
    pub(crate) rollback: bool,
    /// What a reader must not miss, in sentences.
    pub(crate) attention: Vec<String>,
    /// What found the version bad, or could not bring it out.
    pub(crate) condemned: Vec<Condemned>,
    /// How much there was of everything.
    pub(crate) totals: Sums,
    /// The gates, in the plan's order.
    pub(crate) gates: Vec<Gate>,
    /// What people decided.
    pub(crate) decisions: Vec<Decision>,
    /// What happens once, in the plan's order.
    pub(crate) once: Vec<Once>,
    /// Where the database's schema stood when the plan was made.
    pub(crate) schema: Option<Schema>,
    /// The migrations that this rollout applied, in order.
    pub(crate) migrations: Vec<Migration>,
    /// In a reversal: what becomes of the database, and why.
    pub(crate) database: Option<Database>,
    /// Canary and batches.
    pub(crate) waves: Vec<Wave>,
    /// The times that the service was watched.
    pub(crate) monitor: Vec<Watch>,
    /// The times that it waited for a person.
    pub(crate) pauses: Vec<Pause>,
    /// The hosts, in the plan's order.
    pub(crate) hosts: Vec<Host>,
    /// What was worth a line, in order.
    pub(crate) timeline: Vec<Event>,
}

/// How much there was of everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Sums {
    /// Hosts by phase.
    pub(crate) hosts: Totals,
    /// From its beginning to its end, or to the last record.
    pub(crate) took: Span,
    /// Of that: waiting for a person.
    pub(crate) paused: Span,
    /// Commands that were given.
    pub(crate) commands: usize,
    /// Of them: those that were not done.
    pub(crate) commands_not_done: usize,
    /// Gates that somebody overrode.
    pub(crate) overridden: usize,
    /// Samples of the monitor.
    pub(crate) samples: usize,
    /// Requests that it saw at hosts with the new version, as far as is known.
    pub(crate) requests: u64,
    /// Of them: those that failed.
    pub(crate) requests_failed: u64,
}

/// That the version was found bad, or could not be brought out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Condemned {
    /// When.
    pub(crate) at: Timestamp,
    /// By what.
    pub(crate) by: Condemner,
    /// Why.
    pub(crate) why: String,
}

/// A gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Gate {
    /// Its name.
    pub(crate) gate: String,
    /// Every answer, in order.
    pub(crate) answers: Vec<Answered>,
    /// Who went on in spite of it, and why.
    pub(crate) overrides: Vec<Override>,
}

/// An answer of a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Answered {
    /// When.
    pub(crate) at: Timestamp,
    /// What, why, and by which evidence.
    #[serde(flatten)]
    pub(crate) answer: GateAnswer,
}

/// Going on in spite of a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Override {
    /// When.
    pub(crate) at: Timestamp,
    /// Who.
    pub(crate) by: String,
    /// Why.
    pub(crate) reason: Option<String>,
    /// Whether it was said when the rollout was started.
    pub(crate) from_the_start: bool,
}

/// Something that a person decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Decision {
    /// When.
    pub(crate) at: Timestamp,
    /// Who.
    pub(crate) by: String,
    /// What; nothing for the start.
    pub(crate) verb: Option<Verb>,
    /// The same in words.
    pub(crate) text: String,
    /// Why, where a reason was given.
    pub(crate) reason: Option<String>,
}

impl Decision {
    /// Whether it put a person's word above what was found.
    pub(crate) fn loud(&self, dossier: &Dossier) -> bool {
        match self.verb {
            Some(Verb::Override { .. } | Verb::Resolve { .. }) => true,
            Some(_) => false,
            None => dossier.gates.iter().any(|g| g.overrides.iter().any(|o| o.from_the_start)),
        }
    }
}

/// Something that happens once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Once {
    /// Its name.
    pub(crate) name: String,
    /// What is done.
    pub(crate) operation: String,
    /// Whether it changes the database's schema.
    pub(crate) migrates: bool,
    /// How it stands.
    pub(crate) state: OnceState,
    /// Each time that a host was told to do it; more than one only where it was known not to be done.
    pub(crate) runs: Vec<Run>,
    /// What people said of it, where nobody knew.
    pub(crate) resolved: Vec<Decision>,
}

/// A command and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Run {
    /// The command.
    pub(crate) command: CommandId,
    /// The host.
    pub(crate) host: HostName,
    /// How often the host was tried by then.
    pub(crate) attempt: u32,
    /// Its place in the host's program, from 1; 0 for what happens once.
    pub(crate) number: u32,
    /// What it does.
    pub(crate) operation: String,
    /// When it was commanded.
    pub(crate) at: Timestamp,
    /// When it was called off.
    pub(crate) cancelled: Option<Timestamp>,
    /// What is known, where the host was not heard again.
    pub(crate) lost: Option<String>,
    /// When its outcome was heard.
    pub(crate) reported: Option<Timestamp>,
    /// What became of it: result, time, the end of what it printed, evidence.
    pub(crate) outcome: Option<Outcome>,
}

/// The canary, or a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Wave {
    /// From 1.
    pub(crate) number: u32,
    /// What it is.
    pub(crate) kind: WaveKind,
    /// Its hosts.
    pub(crate) hosts: Vec<HostName>,
    /// When its hosts could begin.
    pub(crate) began: Option<Timestamp>,
    /// When the last of its hosts was done, failed or was given up, where all were.
    pub(crate) ended: Option<Timestamp>,
}

/// One time that the service was watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Watch {
    /// When it watched.
    pub(crate) watching: Watching,
    /// Since when.
    pub(crate) since: Timestamp,
    /// What was seen.
    pub(crate) samples: Vec<Seen>,
    /// What was found.
    pub(crate) judgement: Option<Judged>,
}

/// What was seen in one interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Seen {
    /// The interval's end.
    pub(crate) at: Timestamp,
    /// At the new hosts and the old ones.
    #[serde(flatten)]
    pub(crate) sample: Sample,
}

/// What the monitor found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Judged {
    /// When.
    pub(crate) at: Timestamp,
    /// What, and why.
    #[serde(flatten)]
    pub(crate) judgement: Judgement,
}

/// A time of waiting for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Pause {
    /// Since when.
    pub(crate) at: Timestamp,
    /// Why; nothing where the canary waited to be promoted.
    pub(crate) why: Option<PauseWhy>,
    /// The same in words.
    pub(crate) text: String,
    /// What ended it.
    pub(crate) ended: Option<PauseEnd>,
}

/// What ended a pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PauseEnd {
    /// When.
    pub(crate) at: Timestamp,
    /// What, in words.
    pub(crate) text: String,
}

/// One host's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Host {
    /// The host.
    pub(crate) name: HostName,
    /// Its wave, from 1.
    pub(crate) wave: u32,
    /// What it is.
    pub(crate) phase: Phase,
    /// Why it failed, is out of reach, or was skipped.
    pub(crate) why: Option<String>,
    /// Whether it was given at least one command that changes what it runs.
    pub(crate) touched: bool,
    /// What it ran when the plan was made.
    pub(crate) from: Option<Version>,
    /// What it shall run.
    pub(crate) to: Option<Version>,
    /// When its first command was given.
    pub(crate) began: Option<Timestamp>,
    /// When it became healthy, failed or was skipped.
    pub(crate) ended: Option<Timestamp>,
    /// Its commands, of every attempt.
    pub(crate) runs: Vec<Run>,
}

/// Something that was worth a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Event {
    /// The record that says it.
    pub(crate) record: u64,
    /// When.
    pub(crate) at: Timestamp,
    /// The host that it is about, if it is about one.
    pub(crate) host: Option<HostName>,
    /// What.
    pub(crate) text: String,
}

impl Dossier {
    /// The form that this version writes.
    pub(crate) const FORMAT: u32 = 1;

    /// `r42 app v2`, `r43 app: rollback of r42 (v2)`
    pub(crate) fn title(&self) -> String {
        match self.kind {
            Kind::Forward => format!("{} {} {}", self.rollout, self.service, self.version),
            Kind::Reversal { .. } | Kind::CatchUp { .. } => {
                format!("{} {}: {} ({})", self.rollout, self.service, self.kind, self.version)
            }
        }
    }

    /// The rollouts that this one belongs with, in words.
    pub(crate) fn links(&self) -> Vec<String> {
        let of = match self.kind {
            Kind::Forward => None,
            Kind::Reversal { of } => Some(format!("takes {of} back")),
            Kind::CatchUp { of } => Some(format!("brings hosts to where {of} ended")),
        };
        let by = self.reversed_by.map(|by| format!("is taken back by {by}"));
        let announced = (self.rollback && self.reversed_by.is_none())
            .then(|| "a rollback of it follows by itself".to_owned());
        of.into_iter().chain(by).chain(announced).collect()
    }
}

impl Once {
    /// The person by whose word, and not a host's, it stands as it does.
    pub(crate) fn said_by(&self) -> Option<&str> {
        let said = self.resolved.last()?;
        let heard = self.runs.last().is_some_and(|run| run.at > said.at);
        (!heard).then_some(said.by.as_str())
    }
}

impl Run {
    /// Whether it was not simply done.
    pub(crate) fn went_wrong(&self) -> bool {
        self.lost.is_some() || self.outcome.as_ref().is_some_and(|o| !o.result.is_done())
    }
}
