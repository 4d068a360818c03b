//! Evidence as labelled facts: unlike the few words of the live view, nothing is left out.

use dv_types::{
    Evidence,
    outcome::{ImageId, Tags},
};

use crate::display::{
    time::{date, length},
    words::bytes,
};

/// What was found, each with what it is.
pub(super) fn facts(evidence: &Evidence) -> Vec<(&'static str, String)> {
    match evidence {
        Evidence::Pulled { image: pulled } => vec![("image", image(pulled))],
        Evidence::Tags { before, after } => tags(before, after),
        Evidence::Commit { before, after } => {
            vec![("commit before", before.to_string()), ("commit after", after.to_string())]
        }
        Evidence::Unit { job, active, sub, main_pid } => {
            vec![("unit", format!("job {job}, {active} ({sub}), main process {main_pid}"))]
        }
        Evidence::Exit { code, signal } => match (code, signal) {
            (Some(code), _) => vec![("exit", format!("code {code}"))],
            (None, Some(signal)) => vec![("exit", format!("signal {signal}"))],
            (None, None) => Vec::new(),
        },
        Evidence::Health { rounds, first_good, last_bad } => {
            let mut facts = vec![("rounds asked", rounds.to_string())];
            facts.extend(first_good.map(|time| ("first good after", length(time))));
            facts.extend(last_bad.clone().map(|why| ("last bad answer", why)));
            facts
        }
        Evidence::Backup { size, created, sha256, file } => {
            let mut facts = Vec::new();
            facts.extend(file.clone().map(|file| ("file", file)));
            facts.push(("size", format!("{} ({size} bytes)", bytes(*size))));
            facts.extend(created.map(|at| ("made", format!("{} UTC", date(at)))));
            facts.extend(sha256.clone().map(|sum| ("sha256", sum)));
            facts
        }
        Evidence::Schema { before, after, changed, omitted } => {
            let head = |head: &Option<String>| head.clone().unwrap_or_else(|| "empty".to_owned());
            let mut facts =
                vec![("schema head before", head(before)), ("schema head after", head(after))];
            facts.extend(changed.iter().map(|migration| ("migration", migration.to_string())));
            facts.extend((*omitted > 0).then(|| ("migrations besides these", omitted.to_string())));
            facts
        }
        Evidence::Smoke { requests } => {
            requests.iter().map(|request| ("request", request.clone())).collect()
        }
        Evidence::Armed { until } => {
            vec![("goes back by itself", format!("at {} UTC unless confirmed", date(*until)))]
        }
        Evidence::Reverted { at, complete } => {
            let how = if *complete { "completely" } else { "NOT COMPLETELY" };
            vec![("went back by itself", format!("at {} UTC, {how}", date(*at)))]
        }
    }
}

fn image(image: &ImageId) -> String {
    match &image.digest {
        Some(digest) if *digest == image.id => digest.to_string(),
        Some(digest) => format!("{digest} (id {})", image.id),
        None => format!("id {}", image.id),
    }
}

fn tags(before: &Tags, after: &Tags) -> Vec<(&'static str, String)> {
    let named = |tag: &Option<ImageId>| tag.as_ref().map_or_else(|| "none".to_owned(), image);
    vec![
        ("latest before", named(&before.latest)),
        ("latest after", named(&after.latest)),
        ("previous before", named(&before.previous)),
        ("previous after", named(&after.previous)),
    ]
}
