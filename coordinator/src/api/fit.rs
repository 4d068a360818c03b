//! An outcome that is too large for a record loses of its texts what does not fit, and nothing else.

use dv_types::{Evidence, OpResult, Outcome, outcome::Output};

use crate::text::head;

/// The largest outcome that fits into a record.
const OUTCOME: usize = 14 * 1024;

/// Bytes for which one of a list stands.
const EACH: usize = 32;

/// Cuts the texts and lists of an outcome short until it fits. Whether it had to.
pub(super) fn fit(outcome: &mut Outcome) -> bool {
    let mut limit = Output::LIMIT;
    let mut cut = false;
    // In JSON a byte may become six: how much has to go shows only when it is written.
    while size(outcome) > OUTCOME && limit > 0 {
        cut = true;
        shorten(outcome, limit);
        limit /= 2;
    }
    cut
}

fn size(outcome: &Outcome) -> usize {
    dv_proto::to_json(outcome).len()
}

fn shorten(outcome: &mut Outcome, limit: usize) {
    let tail = &mut outcome.output.tail;
    let wanted = tail.len().saturating_sub(limit);
    let begin = (wanted..=tail.len()).find(|&at| tail.is_char_boundary(at)).unwrap_or_default();
    tail.drain(..begin);
    outcome.output.dropped += begin as u64;
    match &mut outcome.result {
        OpResult::Done | OpResult::Cancelled => {}
        OpResult::Failed(why)
        | OpResult::TimedOut(why)
        | OpResult::Refused(why)
        | OpResult::Unknown(why) => head(why, limit),
    }
    match &mut outcome.evidence {
        Some(Evidence::Unit { job, active, sub, .. }) => {
            [job, active, sub].into_iter().for_each(|text| head(text, limit));
        }
        Some(Evidence::Health { last_bad: Some(text), .. }) => head(text, limit),
        Some(Evidence::Backup { file, sha256, .. }) => {
            file.iter_mut().chain(sha256).for_each(|text| head(text, limit));
        }
        Some(Evidence::Schema { before, after, changed, omitted }) => {
            before.iter_mut().chain(after).for_each(|name| head(name, limit));
            let kept = changed.len().min(limit / EACH);
            *omitted += (changed.len() - kept) as u32;
            changed.truncate(kept);
        }
        Some(Evidence::Smoke { requests }) => {
            requests.truncate(limit / EACH);
            requests.iter_mut().for_each(|text| head(text, limit));
        }
        // Their texts are of a fixed length.
        Some(
            Evidence::Pulled { .. }
            | Evidence::Tags { .. }
            | Evidence::Commit { .. }
            | Evidence::Exit { .. }
            | Evidence::Health { .. }
            | Evidence::Armed { .. }
            | Evidence::Reverted { .. },
        )
        | None => {}
    }
}

#[cfg(test)]
mod tests {
    use dv_types::{Span, Timestamp};

    use super::*;

    fn outcome(tail: String, why: String) -> Outcome {
        Outcome {
            command: "r1-1".parse().unwrap(),
            given: None,
            result: OpResult::Failed(why),
            began: Timestamp::UNIX_EPOCH,
            took: Span::ZERO,
            output: Output { tail, dropped: 7 },
            evidence: None,
        }
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let mut small = outcome("x".repeat(Output::LIMIT), "why".to_owned());
        let before = small.clone();
        assert!(!fit(&mut small));
        assert_eq!(small, before);
    }

    #[test]
    fn what_does_not_fit_keeps_the_end_of_the_output_and_the_beginning_of_the_reason() {
        // Each of these bytes becomes six.
        let (tail, why) =
            ("\u{1}".repeat(4000) + "the end", "why: é".to_owned() + &"ü".repeat(50_000));
        let mut large = outcome(tail.clone(), why);
        large.evidence = Some(Evidence::Health {
            rounds: 1,
            first_good: None,
            last_bad: Some("bad".repeat(20_000)),
        });
        assert!(fit(&mut large));
        assert!(size(&large) <= OUTCOME, "{}", size(&large));
        let kept = &large.output.tail;
        assert!(kept.ends_with("the end"), "{kept:?}");
        assert_eq!(large.output.dropped, 7 + (tail.len() - kept.len()) as u64);
        assert!(matches!(&large.result, OpResult::Failed(why) if why.starts_with("why: é")));
    }

    #[test]
    fn lists_keep_their_beginning_and_migrations_are_counted() {
        let migration = |n: usize| dv_types::Migration {
            name: format!("{n:04}_{}", "ü".repeat(40)),
            kind: dv_types::MigrationKind::Irreversible,
        };
        let head = Some("h".repeat(20_000));
        let changed: Vec<_> = (0..1000).map(migration).collect();
        let (before, after) = (head.clone(), head);
        let mut large = outcome(String::new(), String::new());
        large.evidence =
            Some(Evidence::Schema { before, after, changed: changed.clone(), omitted: 5 });
        assert!(fit(&mut large) && size(&large) <= OUTCOME, "{}", size(&large));
        let Some(Evidence::Schema { changed: kept, omitted, .. }) = &large.evidence else {
            panic!("{large:?}")
        };
        assert!(!kept.is_empty() && changed.starts_with(kept), "{large:?}");
        assert_eq!(*omitted as usize, 1005 - kept.len());

        large.evidence = Some(Evidence::Smoke { requests: vec!["GET /".repeat(3000); 500] });
        assert!(fit(&mut large) && size(&large) <= OUTCOME, "{}", size(&large));
    }
}
