//! A record has a limit, and what is said in it has none: manifests, hosts, gates and databases are as wordy as they
//! like. A fact is cut before it is taken in, so that the state is the fold over what is stored.

use dv_types::{Fact, record::PauseWhy};

/// Bytes of a text. In JSON a byte may become six.
const TEXT: usize = 1024;
/// Migrations that are named.
const NAMED: usize = 20;
/// Bytes of the name of one of several.
const NAME: usize = 100;
/// Bytes of a gate's evidence.
const EVIDENCE: usize = 6 * 1024;

/// The same fact with texts that a record can hold. Outcomes are cut where they come in.
pub(crate) fn fitted(mut fact: Fact) -> Fact {
    match &mut fact {
        Fact::GateAnswered { answer } => {
            cut(&mut answer.why);
            let mut size = 0;
            let holds = |line: &&String| {
                size += line.escape_debug().count();
                size <= EVIDENCE
            };
            let kept = answer.evidence.iter().take_while(holds).count();
            let more = answer.evidence.len() - kept;
            answer.evidence.truncate(kept);
            answer.evidence.extend((more > 0).then(|| format!("and {more} more")));
        }
        Fact::Sampled { sample } => sample.trouble.iter_mut().for_each(cut),
        Fact::Health { why, .. } => why.iter_mut().for_each(cut),
        Fact::OnceLost { known: text, .. }
        | Fact::HostUnreachable { known: text, .. }
        | Fact::HostFailed { why: text, .. }
        | Fact::Condemned { why: text, .. } => cut(text),
        Fact::Judged { judgement, .. } => cut(&mut judgement.why),
        Fact::Paused { why } => pause(why),
        _ => {}
    }
    fact
}

fn pause(why: &mut PauseWhy) {
    match why {
        PauseWhy::Gate { why: text, .. }
        | PauseWhy::OnceUnknown { known: text, .. }
        | PauseWhy::Condemned { why: text, .. }
        | PauseWhy::Inconclusive { why: text } => cut(text),
        PauseWhy::Migrated { migrations, because } => {
            cut(because);
            let more = migrations.len().saturating_sub(NAMED);
            migrations.truncate(NAMED);
            migrations.iter_mut().for_each(|name| cut_to(name, NAME));
            migrations.extend((more > 0).then(|| format!("{more} more")));
        }
        PauseWhy::Operator
        | PauseWhy::Failures { .. }
        | PauseWhy::Unreachable { .. }
        | PauseWhy::EmptyCanary
        | PauseWhy::NoProgress => {}
    }
}

fn cut(text: &mut String) {
    cut_to(text, TEXT);
}

/// Keeps the beginning of a text, and shows where the rest was.
fn cut_to(text: &mut String, limit: usize) {
    let end = (0..=limit.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    if let Some(end) = end.filter(|&end| end < text.len()) {
        text.truncate(end);
        text.push('…');
    }
}

/// The beginning of a reason that is written once more elsewhere.
pub(crate) fn shortened(mut text: String) -> String {
    cut(&mut text);
    text
}
