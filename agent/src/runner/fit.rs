//! Cuts an outcome to a size that the coordinator takes: it cuts the link for a larger one, and the agent
//! would send it again for ever.

use dv_types::{Evidence, OpResult, Outcome, outcome::Output};
use serde::Serialize;

/// The most that an outcome's JSON form may have; the coordinator takes 14 KiB.
const WHOLE: usize = 12 * 1024;
/// The most that one text may have, in its JSON form.
const TEXT: usize = 1024;
/// The most that a list may have, in its JSON form.
const LIST: usize = 6 * 1024;
/// What shows that a text was cut.
const CUT: char = '…';

/// The same outcome: long texts lose their end, and the output as much of its beginning as is needed.
pub(super) fn fitted(mut outcome: Outcome) -> Outcome {
    outcome.result = short(outcome.result);
    match &mut outcome.evidence {
        Some(Evidence::Unit { job, active, sub, .. }) => {
            [job, active, sub].into_iter().for_each(shorten);
        }
        Some(Evidence::Health { last_bad: Some(why), .. }) => shorten(why),
        Some(Evidence::Backup { file, sha256, .. }) => {
            file.iter_mut().chain(sha256).for_each(shorten);
        }
        Some(Evidence::Schema { before, after, changed, omitted }) => {
            before.iter_mut().chain(after).for_each(shorten);
            let kept = kept(changed);
            *omitted += (changed.len() - kept) as u32;
            changed.truncate(kept);
        }
        Some(Evidence::Smoke { requests }) => {
            requests.iter_mut().for_each(shorten);
            let (kept, all) = (kept(requests), requests.len());
            requests.truncate(kept);
            requests.extend((kept < all).then(|| format!("and {} more", all - kept)));
        }
        _ => {}
    }
    // The most that it can say, so that the count's own digits find room.
    let empty = Output { tail: String::new(), dropped: u64::MAX };
    let rest = dv_proto::to_json(&Outcome { output: empty, ..outcome.clone() }).len();
    keep_end(&mut outcome.output, WHOLE.saturating_sub(rest));
    outcome
}

/// How many of these have room.
fn kept<T: Serialize>(all: &[T]) -> usize {
    let mut size = 0;
    let fits = |one: &&T| {
        size += dv_proto::to_json(one).len() + 1;
        size <= LIST
    };
    all.iter().take_while(fits).count()
}

/// The same result, in not much more than a KiB.
pub(crate) fn short(mut result: OpResult) -> OpResult {
    match &mut result {
        OpResult::Failed(why)
        | OpResult::TimedOut(why)
        | OpResult::Refused(why)
        | OpResult::Unknown(why) => shorten(why),
        OpResult::Done | OpResult::Cancelled => {}
    }
    result
}

fn shorten(text: &mut String) {
    if text.chars().map(cost).sum::<usize>() <= TEXT {
        return;
    }
    let mut room = TEXT - CUT.len_utf8();
    let end = text.char_indices().find_map(|(at, c)| match room.checked_sub(cost(c)) {
        Some(left) => {
            room = left;
            None
        }
        None => Some(at),
    });
    text.truncate(end.unwrap_or(text.len()));
    text.push(CUT);
}

fn keep_end(output: &mut Output, mut room: usize) {
    let cut =
        output.tail.char_indices().rev().find_map(|(at, c)| match room.checked_sub(cost(c)) {
            Some(left) => {
                room = left;
                None
            }
            None => Some(at + c.len_utf8()),
        });
    if let Some(cut) = cut {
        output.tail.drain(..cut);
        output.dropped += cut as u64;
    }
}

/// What a character takes in JSON.
fn cost(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..' ' => 6,
        c => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use dv_types::{Span, Timestamp};
    use proptest::prelude::*;

    use super::*;

    fn outcome(result: OpResult, output: Output, evidence: Option<Evidence>) -> Outcome {
        Outcome {
            command: "r1-1".parse().unwrap(),
            given: None,
            result,
            began: Timestamp::UNIX_EPOCH,
            took: Span::from_millis(17),
            output,
            evidence,
        }
    }

    /// A few characters over and over, those that cost most in JSON among them: up to so many bytes.
    fn text(most: usize) -> impl Strategy<Value = String> {
        let any = prop_oneof![Just('\u{1}'), Just('\n'), Just('ü'), Just('x'), any::<char>()];
        (prop::collection::vec(any, 1..5), 0..most).prop_map(move |(pattern, count)| {
            let mut size = 0;
            let within = |c: &char| {
                size += c.len_utf8();
                size <= most
            };
            pattern.into_iter().cycle().take(count).take_while(within).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_outcome_fits_and_says_what_was_cut(
            why in text(3000),
            tail in text(Output::LIMIT + 1),
            last_bad in text(3000),
            dropped in 0..u64::from(u32::MAX),
        ) {
            let evidence = Evidence::Health {
                rounds: u32::MAX,
                first_good: None,
                last_bad: Some(last_bad.clone()),
            };
            let output = Output { tail: tail.clone(), dropped };
            let fitted = fitted(outcome(OpResult::Failed(why.clone()), output, Some(evidence)));
            prop_assert!(dv_proto::to_json(&fitted).len() <= WHOLE);
            prop_assert!(tail.ends_with(&fitted.output.tail));
            let cut = tail.len() - fitted.output.tail.len();
            prop_assert_eq!(fitted.output.dropped, dropped + cut as u64);
            let OpResult::Failed(said) = &fitted.result else { panic!("{:?}", fitted.result) };
            let Some(Evidence::Health { last_bad: Some(bad), .. }) = &fitted.evidence else {
                panic!("{:?}", fitted.evidence)
            };
            for (said, whole) in [(said, &why), (bad, &last_bad)] {
                prop_assert!(said == whole || whole.starts_with(said.strip_suffix(CUT).unwrap()));
            }
        }

        #[test]
        fn the_cost_is_what_json_takes(c in any::<char>()) {
            prop_assert_eq!(cost(c), dv_proto::to_json(&c).len() - 2);
        }
    }

    #[test]
    fn of_a_thousand_migrations_and_requests_the_first_are_kept_and_the_others_counted() {
        let name = |n| format!("{n:04}_{}", "x".repeat(60));
        let kind = dv_types::MigrationKind::Irreversible;
        let changed: Vec<_> =
            (0..1000).map(|n| dv_types::Migration { name: name(n), kind }).collect();
        let loud = Output { tail: "\0".repeat(Output::LIMIT), dropped: 0 };
        let why = || OpResult::Failed("\0".repeat(3000));
        let head = || Some("\0".repeat(3000));
        let schema = Evidence::Schema {
            before: head(),
            after: head(),
            changed: changed.clone(),
            omitted: 0,
        };
        let schema = fitted(outcome(why(), loud.clone(), Some(schema)));
        assert!(dv_proto::to_json(&schema).len() <= WHOLE);
        let Some(Evidence::Schema { changed: kept, omitted, .. }) = schema.evidence else {
            panic!("other evidence")
        };
        assert!(kept.len() > 30 && changed.starts_with(&kept), "{}", kept.len());
        assert_eq!(omitted as usize, 1000 - kept.len());

        let smoke = Evidence::Smoke { requests: (0..1000).map(name).collect() };
        let smoke = fitted(outcome(why(), loud, Some(smoke)));
        assert!(dv_proto::to_json(&smoke).len() <= WHOLE);
        let Some(Evidence::Smoke { requests }) = smoke.evidence else { panic!("other evidence") };
        assert_eq!(*requests.last().unwrap(), format!("and {} more", 1001 - requests.len()));
    }

    #[test]
    fn what_fits_is_left_as_it_is_and_nothing_is_cut_without_need() {
        let short = outcome(
            OpResult::Failed("exit code 3".into()),
            Output { tail: "x".repeat(Output::LIMIT), dropped: 9 },
            None,
        );
        assert_eq!(fitted(short.clone()), short);
        let loud = Output { tail: "\0".repeat(Output::LIMIT), dropped: 0 };
        let kept = fitted(outcome(OpResult::Done, loud, None)).output.tail.len();
        assert!(kept > 1900, "{kept}");
        let OpResult::Refused(why) =
            fitted(outcome(OpResult::Refused("ü".repeat(600)), Output::default(), None)).result
        else {
            panic!("another result")
        };
        assert_eq!(why, format!("{}…", "ü".repeat(510)));
    }
}
