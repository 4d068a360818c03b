//! What is gathered, and that each form tells it.

use std::collections::BTreeSet;

use dv_types::{
    Evidence, Fact, OpResult,
    record::{PauseWhy, Verb, Verdict},
    report::{OnceState, Phase, State},
};

use super::{Dossier, gather, html::html, json::json, text::text};
use crate::display::{
    playbook::{
        Told, condemned, failed_smoke, migrating, operator, playbook_plan, told, way_back, whole,
    },
    sample::{ID, Journal, host},
};

fn dossier(told: &Told) -> Dossier {
    gather(&told.plan, &told.report, &told.records)
}

fn lines(dossier: &Dossier, width: usize) -> String {
    text(dossier, width).iter().map(|line| line.render(false) + "\n").collect()
}

#[test]
fn everything_of_a_playbook_is_told() {
    insta::assert_snapshot!(lines(&dossier(&whole()), 100));
}

#[test]
fn a_rollout_that_was_taken_back_names_the_other_and_the_other_names_it() {
    let failed = dossier(&condemned());
    assert_eq!(failed.links(), ["is taken back by r43"]);
    let back = dossier(&way_back());
    assert_eq!(back.links(), ["takes r42 back"]);
    insta::assert_snapshot!(lines(&failed, 100) + "\n\n" + &lines(&back, 100));
}

#[test]
fn an_unfinished_rollout_says_so_first_and_what_is_under_way() {
    let unfinished = dossier(&migrating());
    assert!(!unfinished.finished);
    assert!(unfinished.attention[0].starts_with("It is unfinished"), "{:?}", unfinished.attention);
    assert_eq!(unfinished.once[1].state, OnceState::Working);
    assert!(unfinished.once[1].runs[0].outcome.is_none());
}

#[test]
fn a_pause_lasts_until_what_it_waits_for_is_said() {
    let pauses = dossier(&whole()).pauses;
    let ends: Vec<&str> = pauses.iter().map(|p| p.ended.as_ref().unwrap().text.as_str()).collect();
    assert_eq!(
        ends,
        [
            "ann said: override the gate tests (e2e hangs since the runner was moved; green by hand)",
            "ann said: resolve migrate as done (alembic_version says 0007)",
            "ann said: promote (looks good)",
        ]
    );
    assert_eq!(dossier(&whole()).totals.paused, dv_types::Span::from_secs(30 + 62 + 5));

    // A pause that nobody wrote down: what was found bad waits for a person, where the manifest says so.
    let open = dossier(&failed_smoke()).pauses.pop().unwrap();
    assert!(
        matches!(open.why, Some(PauseWhy::Condemned { .. })) && open.ended.is_none(),
        "{open:?}"
    );
    assert!(dossier(&condemned()).pauses.is_empty(), "what goes back by itself waits for nobody");

    // What is said of something else does not end it.
    let gate = PauseWhy::Gate { gate: "tests".to_owned(), why: "pending".to_owned() };
    let journal = Journal::new(ID)
        .then(1, Fact::Paused { why: gate })
        .then(2, operator(Verb::Override { gate: "disk".to_owned() }, "small"))
        .then(3, operator(Verb::Resume, "asked again"));
    let told = told(ID, playbook_plan(), journal.records, State::Running, &[Phase::Pending; 3]);
    let pause = dossier(&told).pauses.pop().unwrap();
    assert_eq!(pause.ended.unwrap().text, "ann said: resume (asked again)");
}

#[test]
fn an_override_from_the_start_is_as_loud_as_a_later_one() {
    let mut told = condemned();
    told.records[0].fact = Fact::Started {
        by: "eve".to_owned(),
        reason: Some("hotfix".to_owned()),
        overrides: vec!["reviewed".to_owned()],
    };
    let dossier = dossier(&told);
    assert!(dossier.gates[0].overrides[0].from_the_start);
    assert_eq!(dossier.totals.overridden, 1);
    let loud = "OVERRIDDEN: eve went on in spite of the gate reviewed \
                (it says pass: pull request 17 is merged): hotfix";
    assert!(dossier.attention.iter().any(|said| said == loud), "{:?}", dossier.attention);
    assert!(lines(&dossier, 100).contains("OVERRIDDEN from the start by eve: hotfix"));
    assert!(html(&dossier).contains("Overridden from the start by eve"));
}

#[test]
fn a_command_that_is_sent_again_under_its_number_is_one_command() {
    let mut told = condemned();
    let place = told.records.iter().position(|r| matches!(r.fact, Fact::Commanded { .. })).unwrap();
    let again = told.records[place].clone();
    told.records.insert(place + 1, again);
    for (number, record) in told.records.iter_mut().enumerate() {
        record.number = number as u64 + 1;
    }
    assert_eq!(dossier(&told).hosts[0].runs.len(), 3);
}

#[test]
fn the_document_has_the_keys_that_are_promised() {
    let document = serde_json::to_value(dossier(&whole())).unwrap();
    let keys: BTreeSet<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    let page = include_str!("../../../docs/report.md");
    for key in &keys {
        assert!(
            page.contains(&format!("| `{key}` |")),
            "docs/report.md does not say what {key} is"
        );
    }
    let once = &document["once"][0];
    assert_eq!(once["runs"][0]["outcome"]["evidence"]["backup"]["size"], 1_258_291);
    assert_eq!(document["gates"][1]["overrides"][0]["by"], "ann");
    assert_eq!(document["gates"][1]["answers"][0]["answer"], "cannot_tell");
    assert_eq!(document["monitor"][0]["samples"][0]["old"]["hosts"], 1);
    assert_eq!(document["monitor"][0]["judgement"]["verdict"], "pass");
    assert_eq!(
        document["hosts"][0]["runs"][0]["outcome"]["evidence"]["tags"]["after"]["latest"]["digest"]
            .as_str()
            .unwrap()
            .len(),
        71
    );
    insta::assert_json_snapshot!(keys);
}

/// What a page is made of: the names of its elements, ids, and what its links name.
#[derive(Default)]
struct Parsed {
    elements: BTreeSet<String>,
    ids: Vec<String>,
    links: Vec<String>,
    text: String,
}

/// Reads a page as strictly as XML: everything that is opened is closed, in order, and every text is escaped.
fn parse(page: &str) -> Parsed {
    let mut rest = page.strip_prefix("<!DOCTYPE html>\n").expect("the doctype comes first");
    let (mut parsed, mut open) = (Parsed::default(), Vec::new());
    while let Some(at) = rest.find('<') {
        let (text, tag) = rest.split_at(at);
        unescape(text, &mut parsed.text);
        let (tag, after) = tag[1..].split_once('>').expect("a tag ends");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "before {:.60}", rest);
            continue;
        }
        let (inside, empty) = tag.strip_suffix('/').map_or((tag, false), |inside| (inside, true));
        let (name, mut attributes) = inside.split_once(' ').unwrap_or((inside, ""));
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{name:?}");
        parsed.elements.insert(name.to_owned());
        while let Some((key, value)) = attributes.split_once("=\"") {
            let (value, after) = value.split_once('"').expect("an attribute ends");
            let mut plain = String::new();
            unescape(value, &mut plain);
            match key.trim() {
                "id" => parsed.ids.push(plain),
                "href" => parsed.links.push(plain),
                key => assert!(!key.starts_with("on"), "{key}"),
            }
            attributes = after;
        }
        assert_eq!(attributes.trim(), "", "{tag}");
        if !empty {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    parsed
}

fn unescape(text: &str, out: &mut String) {
    let mut parts = text.split('&');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, rest) = part.split_once(';').expect("an escape ends");
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            other => panic!("&{other};"),
        });
        out.push_str(rest);
    }
}

#[test]
fn the_page_is_well_formed_and_needs_nothing_else() {
    for told in [whole(), condemned(), way_back(), migrating(), failed_smoke()] {
        let page = html(&dossier(&told));
        let parsed = parse(&page);
        let ids: BTreeSet<&String> = parsed.ids.iter().collect();
        assert_eq!(ids.len(), parsed.ids.len(), "an id is there twice: {:?}", parsed.ids);
        for link in &parsed.links {
            let id = link.strip_prefix('#').expect("a link leads into the page itself");
            assert!(parsed.ids.iter().any(|known| known == id), "nothing is {link}");
        }
        for foreign in ["script", "img", "link", "iframe", "object", "base", "form"] {
            assert!(!parsed.elements.contains(foreign), "{foreign}");
        }
        assert!(!page.contains("url(") && !page.contains("@import"), "something is loaded");
    }
}

#[test]
fn what_hosts_and_people_say_is_shown_and_does_nothing() {
    const HOSTILE: &str = "</pre><script>alert(1)</script>\" onload='x' &lt; \u{1b}[2J\u{202e}";
    let result = OpResult::Failed(HOSTILE.to_owned());
    let journal = Journal::new(ID)
        .then(1, Fact::WaveStarted { wave: 0 })
        .ran(2, "web1", 0, result, HOSTILE)
        .then(3, Fact::HostFailed { host: host("web1"), why: HOSTILE.to_owned() })
        .then(4, operator(Verb::Override { gate: HOSTILE.to_owned() }, HOSTILE))
        .once(5, 0, OpResult::Done, Some(Evidence::Smoke { requests: vec![HOSTILE.to_owned()] }))
        .ended(Verdict::Failed, false);
    let phases = [Phase::Failed, Phase::Pending, Phase::Pending];
    let state = State::Ended(Verdict::Failed);
    let mut told = told(ID, playbook_plan(), journal.records, state, &phases);
    told.report.by = HOSTILE.to_owned();
    told.report.hosts[0].why = Some(HOSTILE.to_owned());
    let dossier = dossier(&told);
    let page = html(&dossier);
    let parsed = parse(&page);
    assert!(!page.contains("<script") && !parsed.elements.contains("script"));
    // It is all there to be read.
    assert!(parsed.text.contains("</pre><script>alert(1)</script>\" onload='x' &lt; ␛[2J⟨U+202E⟩"));
    for text in [page, lines(&dossier, 100), json(&dossier)] {
        assert!(!text.contains('\u{1b}'), "a control character gets through");
    }
    assert!(!lines(&dossier, 100).contains('\u{202e}'));
}

#[test]
fn text_fits_its_width_but_for_what_is_quoted() {
    for width in [60, 100, 140] {
        for line in lines(&dossier(&whole()), width).lines() {
            // A checksum has no blank at which to break it.
            let long = line.split_whitespace().any(|word| word.chars().count() > 40);
            assert!(line.chars().count() <= width || long, "{width}: {line}");
        }
    }
}
