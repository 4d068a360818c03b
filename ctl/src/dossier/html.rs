//! The dossier as one HTML file that needs nothing else: no script, no address, no font from elsewhere.

mod plot;

use dv_types::{
    gate::Answer,
    monitor::MonitorVerdict,
    record::Verdict,
    report::{OnceState, Phase, State},
};

use super::{
    Decision, Dossier, Gate, Host, Once, Pause, Run, Watch, Wave,
    curve::curves,
    facts::facts,
    markup::Markup,
    text::{change, database_lines, moment, period, seen, totals},
};
use crate::display::{
    time::{between, clock, date, length},
    words,
};

const STYLE: &str = include_str!("html/style.css");

/// Says it to the browser once more: nothing is loaded, nothing runs.
const SECURITY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The page.
pub(crate) fn html(dossier: &Dossier) -> String {
    let title = format!("Report of {}", dossier.title());
    let mut page = Markup::default();
    page.ours("<!DOCTYPE html>\n");
    page.element("html", &[("lang", "en")], |page| {
        page.element("head", &[], |head| {
            head.empty("meta", &[("charset", "utf-8")]);
            let width = "width=device-width, initial-scale=1";
            head.empty("meta", &[("name", "viewport"), ("content", width)]);
            head.empty("meta", &[("name", "color-scheme"), ("content", "light dark")]);
            head.empty("meta", &[("http-equiv", "Content-Security-Policy"), ("content", SECURITY)]);
            head.leaf("title", "", &title);
            head.element("style", &[], |style| style.ours(STYLE));
        });
        page.element("body", &[], |body| body.element("main", &[], |main| content(dossier, main)));
    });
    page.ours("\n");
    page.into_string()
}

fn content(dossier: &Dossier, main: &mut Markup) {
    head(dossier, main);
    let sections = sections(dossier);
    main.element("nav", &[("aria-label", "Sections")], |nav| {
        for (id, title, _) in &sections {
            nav.element("a", &[("href", &format!("#{id}"))], |a| a.text(title));
        }
    });
    for (id, title, body) in sections {
        main.element("section", &[("id", id)], |section| {
            section.leaf("h2", "", title);
            body(dossier, section);
        });
    }
    main.leaf(
        "footer",
        "",
        format!(
            "Made by dvctl {} from the journal of {} up to record {}. All times are UTC.",
            env!("CARGO_PKG_VERSION"),
            dossier.rollout,
            dossier.records
        ),
    );
}

type Body = fn(&Dossier, &mut Markup);

/// The sections that have something to say: id, title, and what writes it.
fn sections(dossier: &Dossier) -> Vec<(&'static str, &'static str, Body)> {
    let database =
        dossier.schema.is_some() || dossier.database.is_some() || !dossier.migrations.is_empty();
    let all: [(bool, &str, &str, Body); 10] = [
        (true, "totals", "Totals", |d, to| list(totals(d), to)),
        (!dossier.gates.is_empty(), "gates", "Gates", |d, to| {
            d.gates.iter().for_each(|g| gate(g, to));
        }),
        (true, "decisions", "Decisions of people", |d, to| {
            d.decisions.iter().for_each(|one| decision(one, one.loud(d), to));
        }),
        (!dossier.once.is_empty(), "once", "Once", |d, to| d.once.iter().for_each(|o| once(o, to))),
        (database, "database", "Database", |d, to| list(database_lines(d), to)),
        (true, "waves", "Canary and batches", |d, to| d.waves.iter().for_each(|w| wave(w, to))),
        (!dossier.monitor.is_empty(), "monitor", "Monitor", |d, to| {
            d.monitor.iter().for_each(|w| watch(w, to));
        }),
        (!dossier.pauses.is_empty(), "pauses", "Pauses", |d, to| {
            d.pauses.iter().for_each(|p| pause(p, to));
        }),
        (!dossier.hosts.is_empty(), "hosts", "Hosts", |d, to| {
            d.hosts.iter().for_each(|h| host(h, to));
        }),
        (true, "timeline", "Everything in order", timeline),
    ];
    all.into_iter()
        .filter(|(shown, ..)| *shown)
        .map(|(_, id, title, body)| (id, title, body))
        .collect()
}

fn list(lines: Vec<String>, to: &mut Markup) {
    to.element("ul", &[("class", "plain")], |ul| {
        lines.iter().for_each(|line| ul.leaf("li", "", line));
    });
}

/// What goes with a state: never the colour alone, always its word beside it.
fn badge(tone: &str, text: impl AsRef<str>, to: &mut Markup) {
    to.leaf("span", &format!("badge {tone}"), text);
}

fn head(dossier: &Dossier, main: &mut Markup) {
    main.element("header", &[], |header| {
        header.leaf("p", "over", format!("Report of {}", dossier.rollout));
        let name = dossier.title();
        let name = name.split_once(' ').map_or(name.as_str(), |(_, name)| name);
        header.leaf("h1", "", name);
        let (_, state) = words::state(&dossier.state);
        // A reason is a sentence of its own, not a part of the word.
        let (state, why) = match state.split_once(": ") {
            Some((word, why)) if matches!(dossier.state, State::Paused(_)) => (word, Some(why)),
            _ => (state.as_str(), None),
        };
        let tone = match dossier.state {
            State::Ended(Verdict::Succeeded) => "good",
            State::Ended(Verdict::Failed) => "bad",
            State::Running => "busy",
            _ => "warn",
        };
        header.element("p", &[("class", "state")], |p| {
            badge(tone, state, p);
            p.text(format!(
                " {} {}; {}",
                if dossier.finished { "after" } else { "for" },
                length(dossier.totals.took),
                words::totals(&dossier.totals.hosts)
            ));
        });
        if let Some(why) = why {
            header.leaf("p", "because", format!("It waits for a person: {why}"));
        }
        header.element("dl", &[("class", "facts head")], |dl| {
            let reason = dossier.reason.as_deref().unwrap_or("no reason was given");
            fact("Who", &dossier.by, dl);
            fact("Why", reason, dl);
            fact("Began", &format!("{} UTC", date(dossier.began)), dl);
            match dossier.ended {
                Some(at) => fact("Ended", &format!("{} UTC", date(at)), dl),
                None => fact("As of", &format!("{} UTC", date(dossier.as_of)), dl),
            }
            fact("Plan", &dossier.plan, dl);
        });
    });
    if !dossier.attention.is_empty() {
        let box_ = [("class", "attention"), ("aria-label", "Attention")];
        main.element("aside", &box_, |aside| {
            aside.leaf("h2", "", "Attention");
            aside.element("ul", &[], |ul| {
                dossier.attention.iter().for_each(|text| ul.leaf("li", "", text));
            });
        });
    }
}

fn fact(what: &str, value: &str, dl: &mut Markup) {
    dl.element("div", &[], |row| {
        row.leaf("dt", "", what);
        row.leaf("dd", "", value);
    });
}

/// A block with a name, how it stands, and more.
fn card(
    id: Option<&str>,
    head: impl FnOnce(&mut Markup),
    body: impl FnOnce(&mut Markup),
    to: &mut Markup,
) {
    let mut attributes = vec![("class", "card")];
    attributes.extend(id.map(|id| ("id", id)));
    to.element("article", &attributes, |article| {
        article.element("div", &[("class", "line")], head);
        body(article);
    });
}

fn gate(gate: &Gate, to: &mut Markup) {
    let head = |line: &mut Markup| {
        line.leaf("strong", "", &gate.gate);
        match gate.answers.last().map(|last| last.answer.answer) {
            Some(answer) => badge(answer_tone(answer), answer.to_string(), line),
            None => badge("faint", "no answer", line),
        }
        if !gate.overrides.is_empty() {
            badge("loud", "OVERRIDDEN", line);
        }
    };
    let body = |body: &mut Markup| {
        for answered in &gate.answers {
            body.element("p", &[], |p| {
                p.leaf("span", "when", clock(answered.at));
                p.text(format!(" {}: {}", answered.answer.answer, answered.answer.why));
            });
            list(answered.answer.evidence.clone(), body);
        }
        for said in &gate.overrides {
            let start = if said.from_the_start { " from the start" } else { "" };
            let reason = said.reason.as_deref().unwrap_or("no reason is given");
            body.element("p", &[("class", "override")], |p| {
                p.leaf("span", "when", clock(said.at));
                p.text(" ");
                p.leaf("strong", "", format!("Overridden{start} by {}", said.by));
                p.text(format!(": {reason}"));
            });
        }
    };
    card(None, head, body, to);
}

const fn answer_tone(answer: Answer) -> &'static str {
    match answer {
        Answer::Pass => "good",
        Answer::Fail => "bad",
        Answer::CannotTell => "warn",
    }
}

fn decision(decision: &Decision, loud: bool, to: &mut Markup) {
    let class = if loud { "said override" } else { "said" };
    to.element("p", &[("class", class)], |p| {
        p.leaf("span", "when", date(decision.at));
        p.text(" ");
        p.leaf("strong", "", &decision.by);
        p.text(format!(": {}", decision.text));
        match &decision.reason {
            Some(reason) => p.leaf("span", "why", format!(" “{reason}”")),
            None => p.leaf("span", "faint", " no reason was given"),
        }
    });
}

fn once(once: &Once, to: &mut Markup) {
    let tone = match once.state {
        OnceState::Done => "good",
        OnceState::Failed => "bad",
        OnceState::Unknown => "loud",
        OnceState::Working => "busy",
        OnceState::Pending => "faint",
    };
    let head = |line: &mut Markup| {
        line.leaf("strong", "", &once.name);
        match once.said_by() {
            Some(by) => badge("warn", format!("{}, says {by}", once.state), line),
            None => badge(tone, once.state.to_string(), line),
        }
        line.leaf("code", "", &once.operation);
    };
    let body = |body: &mut Markup| {
        runs(&once.runs, true, body);
        once.resolved.iter().for_each(|said| decision(said, true, body));
    };
    card(None, head, body, to);
}

fn wave(wave: &Wave, to: &mut Markup) {
    let head = |line: &mut Markup| {
        line.leaf("strong", "", words::wave(wave.number as usize, wave.kind));
        line.leaf("span", "faint", period(wave.began, wave.began.and(wave.ended)));
    };
    let body = |body: &mut Markup| {
        body.element("p", &[("class", "names")], |p| {
            for name in &wave.hosts {
                p.element("a", &[("href", &format!("#host-{name}"))], |a| a.text(name.as_str()));
            }
        });
    };
    card(None, head, body, to);
}

fn watch(watch: &Watch, to: &mut Markup) {
    let until = watch.judgement.as_ref().map(|judged| judged.at);
    let until = until.or(watch.samples.last().map(|seen| seen.at));
    let head = |line: &mut Markup| {
        line.leaf("strong", "", watch.watching.to_string());
        match watch.judgement.as_ref().map(|judged| judged.judgement.verdict) {
            Some(MonitorVerdict::Pass) => badge("good", "pass", line),
            Some(MonitorVerdict::Fail) => badge("bad", "fail", line),
            Some(MonitorVerdict::Inconclusive) => badge("warn", "inconclusive", line),
            None => badge("faint", "no verdict", line),
        }
        line.leaf("span", "faint", period(Some(watch.since), until));
    };
    let body = |body: &mut Markup| {
        if let Some(judged) = &watch.judgement {
            body.leaf("p", "", &judged.judgement.why);
        }
        body.leaf("p", "faint", seen(watch));
        body.element("div", &[("class", "plots")], |plots| {
            curves(watch).iter().for_each(|curves| plot::plot(curves, plots));
        });
    };
    card(None, head, body, to);
}

fn pause(pause: &Pause, to: &mut Markup) {
    let head = |line: &mut Markup| {
        line.leaf("span", "when", clock(pause.at));
        line.leaf("span", "", &pause.text);
    };
    let body = |body: &mut Markup| match &pause.ended {
        Some(end) => body.element("p", &[], |p| {
            p.leaf("span", "when", clock(end.at));
            p.text(format!(" ended after {}: {}", between(pause.at, end.at), end.text));
        }),
        None => body.leaf("p", "override", "It has not gone on."),
    };
    card(None, head, body, to);
}

fn host(host: &Host, to: &mut Markup) {
    let tone = match host.phase {
        Phase::Healthy => "good",
        Phase::Failed => "bad",
        Phase::Unreachable | Phase::Stopped => "warn",
        Phase::Working => "busy",
        Phase::Pending | Phase::Skipped => "faint",
    };
    let head = |line: &mut Markup| {
        line.leaf("strong", "", host.name.as_str());
        badge(tone, host.phase.to_string(), line);
        line.leaf("span", "", change(host));
        line.leaf("span", "faint", period(host.began, host.ended));
    };
    let body = |body: &mut Markup| {
        if let Some(why) = &host.why {
            let class = if host.phase == Phase::Failed { "override" } else { "" };
            body.leaf("p", class, why);
        }
        runs(&host.runs, false, body);
    };
    card(Some(&format!("host-{}", host.name)), head, body, to);
}

fn runs(runs: &[Run], once: bool, to: &mut Markup) {
    if runs.is_empty() {
        return;
    }
    to.element("ol", &[("class", "runs")], |ol| {
        for one in runs {
            ol.element("li", &[], |li| run(one, once, li));
        }
    });
}

fn run(run: &Run, once: bool, li: &mut Markup) {
    li.element("div", &[("class", "line")], |line| {
        line.leaf("span", "when", clock(run.at));
        // Of what happens once, the card says what it is.
        if once {
            line.leaf("span", "", format!("on {}", run.host));
        } else {
            line.leaf("code", "", &run.operation);
        }
        if run.attempt > 1 {
            line.leaf("span", "faint", format!("attempt {}", run.attempt));
        }
        became(run, line);
        line.leaf("span", "faint", run.command.to_string());
    });
    if let Some(known) = &run.lost {
        li.leaf("p", "override", format!("Nobody knows whether it was done: {known}"));
    }
    let Some(outcome) = &run.outcome else { return };
    let facts: Vec<_> = outcome.evidence.iter().flat_map(facts).collect();
    if !facts.is_empty() {
        li.element("dl", &[("class", "facts")], |dl| {
            facts.iter().for_each(|(what, value)| fact(what, value, dl));
        });
    }
    if outcome.result.is_done() || outcome.output.is_empty() {
        return;
    }
    if outcome.output.dropped > 0 {
        let dropped = words::bytes(outcome.output.dropped);
        li.leaf(
            "p",
            "faint",
            format!("The end of what it printed; {dropped} before it are not kept:"),
        );
    }
    li.leaf("pre", "", outcome.output.tail.trim_end());
}

fn became(run: &Run, line: &mut Markup) {
    match &run.outcome {
        None => badge("warn", "no outcome", line),
        Some(outcome) => {
            let tone = if outcome.result.is_done() { "good" } else { "bad" };
            badge(tone, outcome.result.to_string(), line);
            line.leaf("span", "faint", length(outcome.took));
        }
    }
    if let Some(at) = run.cancelled {
        badge("warn", format!("called off at {}", clock(at)), line);
    }
}

fn timeline(dossier: &Dossier, to: &mut Markup) {
    to.element("ol", &[("class", "timeline")], |ol| {
        for event in &dossier.timeline {
            ol.element("li", &[], |li| {
                li.leaf("span", "when", moment(event.at, dossier));
                let who = event.host.as_ref();
                li.leaf(
                    "span",
                    "who",
                    who.map_or_else(|| dossier.rollout.to_string(), ToString::to_string),
                );
                li.leaf("span", "what", &event.text);
            });
        }
    });
}
