//! The dossier as text: sections, each line no wider than it must be.

use anstyle::Style;
use dv_types::{
    Timestamp,
    gate::Answer,
    monitor::MonitorVerdict,
    report::{OnceState, Phase},
};

use super::{
    Decision, Dossier, Gate, Host, Once, Pause, Run, Watch, Wave,
    curve::{Curves, curves, requests},
    facts::facts,
};
use crate::display::{
    line::{Line, bad, faint, good, strong, warning},
    plan,
    time::{between, clock, date, length},
    words,
};

/// Columns before a small plot, and after it.
const BESIDE_PLOT: usize = 36 + 18;

/// The lines, wrapped at `width` columns. What hosts printed is not wrapped: it is quoted as it is.
pub(crate) fn text(dossier: &Dossier, width: usize) -> Vec<Line> {
    let mut page = Page { width, lines: Vec::new() };
    head(dossier, &mut page);
    if !dossier.gates.is_empty() {
        page.section("Gates");
        dossier.gates.iter().for_each(|one| gate(one, &mut page));
    }
    page.section("Decisions of people");
    dossier.decisions.iter().for_each(|one| decision(one, one.loud(dossier), &mut page));
    if !dossier.once.is_empty() {
        page.section("Once");
        dossier.once.iter().for_each(|one| once(one, &mut page));
    }
    database(dossier, &mut page);
    page.section("Canary and batches");
    dossier.waves.iter().for_each(|one| wave(one, &mut page));
    if !dossier.monitor.is_empty() {
        page.section("Monitor");
        dossier.monitor.iter().for_each(|one| watch(one, &mut page));
    }
    if !dossier.pauses.is_empty() {
        page.section("Pauses");
        dossier.pauses.iter().for_each(|one| pause(one, &mut page));
    }
    page.section("Hosts");
    dossier.hosts.iter().for_each(|one| host(one, &mut page));
    page.section("Everything in order");
    for event in &dossier.timeline {
        let who =
            event.host.as_ref().map_or_else(|| dossier.rollout.to_string(), ToString::to_string);
        let line =
            Line::of(faint(), moment(event.at, dossier)).plain(format!(" {who}  {}", event.text));
        page.add(line, 2);
    }
    page.section("Totals");
    totals(dossier).into_iter().for_each(|text| page.add(text.into(), 2));
    page.lines
}

/// The time, with its day where the rollout has seen more than one.
pub(super) fn moment(at: Timestamp, dossier: &Dossier) -> String {
    let day = |at: Timestamp| date(at).split(' ').next().map(str::to_owned);
    if day(dossier.began) == day(dossier.as_of) { clock(at) } else { date(at) }
}

/// How much there was of everything, in sentences.
pub(super) fn totals(dossier: &Dossier) -> Vec<String> {
    let sums = &dossier.totals;
    let mut all = vec![
        format!(
            "{}: {}; {} touched",
            words::hosts(sums.hosts.hosts),
            words::totals(&sums.hosts),
            sums.hosts.touched
        ),
        format!("{} in all, {} of it waiting for a person", length(sums.took), length(sums.paused)),
        format!(
            "{} to hosts, {} of them not done, or not known to be",
            words::count(sums.commands, "command"),
            sums.commands_not_done
        ),
    ];
    if !dossier.gates.is_empty() {
        let gates = words::count(dossier.gates.len(), "gate");
        all.push(format!("{gates}, {} overridden", sums.overridden));
    }
    if sums.samples > 0 {
        all.push(format!(
            "{} of the monitor: {} at hosts with the new version, {} failed",
            words::count(sums.samples, "sample"),
            words::count(sums.requests as usize, "request"),
            sums.requests_failed
        ));
    }
    all.push(format!("{} in the journal", words::count(dossier.records as usize, "record")));
    all
}

struct Page {
    width: usize,
    lines: Vec<Line>,
}

impl Page {
    fn section(&mut self, title: &str) {
        self.lines.push(Line::default());
        self.lines.push(Line::of(strong(), title));
    }

    /// A line that begins at this column, and goes on two columns further in.
    fn add(&mut self, line: Line, column: usize) {
        let line = Line::from(" ".repeat(column)).append(line);
        self.lines.extend(line.wrap(self.width, column + 2));
    }

    fn quote(&mut self, text: &str) {
        let quoted = text.trim_end().lines();
        self.lines.extend(quoted.map(|text| Line::of(faint(), "      | ").plain(text)));
    }
}

fn head(dossier: &Dossier, page: &mut Page) {
    let (style, state) = words::state(&dossier.state);
    page.add(Line::of(strong(), format!("{}: ", dossier.title())).add(style, state), 0);
    let reason = dossier.reason.as_deref().unwrap_or("no reason was given");
    page.add(format!("Started by {}, {} UTC: {reason}", dossier.by, date(dossier.began)).into(), 0);
    let took = length(dossier.totals.took);
    page.add(
        match dossier.ended {
            Some(at) => format!("Ended {} UTC, after {took}", date(at)),
            None => format!("Not ended: {took} so far, as of {} UTC", date(dossier.as_of)),
        }
        .into(),
        0,
    );
    page.add(Line::of(faint(), "Plan ").plain(&dossier.plan), 0);
    if !dossier.attention.is_empty() {
        page.section("Attention");
        for text in &dossier.attention {
            page.add(Line::of(warning(), "! ").add(warning(), text), 2);
        }
    }
}

/// An answer's colour.
const fn answer_style(answer: Answer) -> Style {
    match answer {
        Answer::Pass => good(),
        Answer::Fail => bad(),
        Answer::CannotTell => warning(),
    }
}

fn gate(gate: &Gate, page: &mut Page) {
    let name = || Line::of(strong(), &gate.gate).plain(": ");
    if gate.answers.is_empty() {
        page.add(name().add(faint(), "no answer"), 2);
    }
    for answered in &gate.answers {
        let answer = &answered.answer;
        let line = name()
            .add(answer_style(answer.answer), answer.answer.to_string())
            .plain(format!(": {}", answer.why))
            .add(faint(), format!(" ({})", clock(answered.at)));
        page.add(line, 2);
        for evidence in &answer.evidence {
            page.add(Line::of(faint(), "- ").plain(evidence), 4);
        }
    }
    for said in &gate.overrides {
        let reason = said.reason.as_deref().unwrap_or("no reason is given");
        let start = if said.from_the_start { " from the start" } else { "" };
        let line = Line::of(bad(), format!("OVERRIDDEN{start} by {}", said.by))
            .plain(format!(": {reason}"))
            .add(faint(), format!(" ({})", clock(said.at)));
        page.add(line, 4);
    }
}

fn decision(decision: &Decision, loud: bool, page: &mut Page) {
    let style = if loud { bad() } else { Style::new() };
    let reason = decision.reason.as_deref().unwrap_or("no reason was given");
    let line = Line::of(faint(), date(decision.at))
        .plain(" ")
        .add(strong(), &decision.by)
        .plain(": ")
        .add(style, &decision.text)
        .plain(format!(": {reason}"));
    page.add(line, 2);
}

/// The colour of how something stands that happens once.
const fn once_style(state: OnceState) -> Style {
    match state {
        OnceState::Done => good(),
        OnceState::Failed => bad(),
        OnceState::Unknown | OnceState::Working => warning(),
        OnceState::Pending => faint(),
    }
}

fn once(once: &Once, page: &mut Page) {
    let line = Line::of(strong(), &once.name)
        .plain(": ")
        .append(match once.said_by() {
            Some(by) => Line::of(warning(), format!("{}, says {by}", once.state)),
            None => Line::of(once_style(once.state), once.state.to_string()),
        })
        .add(faint(), format!("; {}", once.operation));
    page.add(line, 2);
    for one in &once.runs {
        let place = format!("{} {} on {}: ", clock(one.at), one.command, one.host);
        page.add(Line::of(faint(), place).append(became(one)), 4);
        evidence(one, page);
    }
    for said in &once.resolved {
        decision(said, true, page);
    }
}

fn became(run: &Run) -> Line {
    let line = match &run.outcome {
        None => Line::of(warning(), "no outcome"),
        Some(outcome) => {
            let style = if outcome.result.is_done() { good() } else { bad() };
            Line::of(style, outcome.result.to_string())
                .plain(format!(" after {}", length(outcome.took)))
        }
    };
    let line = match &run.lost {
        Some(known) => line.add(bad(), format!("; nobody knows whether it was done: {known}")),
        None => line,
    };
    match run.cancelled {
        Some(at) => line.add(warning(), format!("; called off at {}", clock(at))),
        None => line,
    }
}

/// What was found, and of a failure the end of what it printed.
fn evidence(run: &Run, page: &mut Page) {
    let Some(outcome) = &run.outcome else { return };
    for (what, value) in outcome.evidence.iter().flat_map(facts) {
        page.add(Line::of(faint(), format!("{what}: ")).plain(value), 6);
    }
    if outcome.result.is_done() || outcome.output.is_empty() {
        return;
    }
    if outcome.output.dropped > 0 {
        let dropped = words::bytes(outcome.output.dropped);
        page.lines.push(Line::of(faint(), format!("      | … {dropped} before this are not kept")));
    }
    page.quote(&outcome.output.tail);
}

fn database(dossier: &Dossier, page: &mut Page) {
    if dossier.schema.is_none() && dossier.database.is_none() && dossier.migrations.is_empty() {
        return;
    }
    page.section("Database");
    for text in database_lines(dossier) {
        page.add(text.into(), 2);
    }
}

/// What became of the database, in sentences.
pub(super) fn database_lines(dossier: &Dossier) -> Vec<String> {
    let mut all = Vec::new();
    all.extend(dossier.database.as_ref().map(plan::database));
    if let Some(schema) = &dossier.schema {
        let head = schema.head.as_deref().unwrap_or("empty");
        let pending: Vec<_> = schema.pending.iter().map(ToString::to_string).collect();
        let pending = if pending.is_empty() { "none".to_owned() } else { pending.join(", ") };
        all.push(format!(
            "When the plan was made, the schema's head was {head}; pending: {pending}"
        ));
    }
    let applied: Vec<_> = dossier.migrations.iter().map(ToString::to_string).collect();
    let unheard = |once: &Once| {
        let heard = once.runs.iter().any(|run| run.outcome.is_some());
        once.migrates && !once.runs.is_empty() && !heard
    };
    all.push(match applied.as_slice() {
        [] if dossier.once.iter().any(unheard) => {
            "No host said which migrations were applied: look at the database".to_owned()
        }
        [] => "This rollout applied no migration".to_owned(),
        all => format!("This rollout applied: {}", all.join(", ")),
    });
    all
}

/// From when to when, and how long.
pub(super) fn period(began: Option<Timestamp>, ended: Option<Timestamp>) -> String {
    match (began, ended) {
        (None, _) => "not begun".to_owned(),
        (Some(began), None) => format!("from {}, not ended", clock(began)),
        (Some(began), Some(ended)) => {
            format!("{} to {}, {}", clock(began), clock(ended), between(began, ended))
        }
    }
}

fn wave(wave: &Wave, page: &mut Page) {
    let name = words::wave(wave.number as usize, wave.kind);
    let line = Line::of(strong(), name).plain(format!(
        ": {}; {}",
        period(wave.began, wave.began.and(wave.ended)),
        words::names(&wave.hosts, usize::MAX)
    ));
    page.add(line, 2);
}

/// What a time of watching saw in all, in words, new hosts and then old ones.
pub(super) fn seen(watch: &Watch) -> String {
    let say = |(errors, all): (f64, f64)| match all {
        all if all > 0.0 => format!(
            "{} of {} failed",
            words::percent(errors / all),
            words::count(all.round() as usize, "request")
        ),
        _ => "no requests".to_owned(),
    };
    let new = say(requests(watch, |sample| Some(&sample.new)));
    let samples = words::count(watch.samples.len(), "sample");
    if watch.samples.iter().any(|seen| seen.sample.old.is_some()) {
        let old = say(requests(watch, |sample| sample.old.as_ref()));
        format!("{samples}; new: {new}; old: {old}")
    } else {
        format!("{samples}; {new}")
    }
}

fn watch(watch: &Watch, page: &mut Page) {
    let until = watch.judgement.as_ref().map(|judged| judged.at);
    let until = until.or(watch.samples.last().map(|seen| seen.at));
    let line = Line::of(strong(), format!("{}", watch.watching)).plain(format!(
        ": {}; {}",
        period(Some(watch.since), until),
        seen(watch)
    ));
    page.add(line, 2);
    for curves in curves(watch) {
        for (name, values) in [("new", &curves.new), ("old", &curves.old)] {
            page.lines.extend(plot(&curves, name, values, page.width));
        }
    }
    let line = match &watch.judgement {
        None => Line::of(warning(), "no verdict"),
        Some(judged) => {
            let style = match judged.judgement.verdict {
                MonitorVerdict::Pass => good(),
                MonitorVerdict::Fail => bad(),
                MonitorVerdict::Inconclusive => warning(),
            };
            Line::of(style, judged.judgement.verdict.to_string())
                .plain(format!(": {}", judged.judgement.why))
        }
    };
    page.add(line, 4);
}

/// `failed requests, new  ▁▁▂▁▃  up to 0.8 %`: on the scale of new and old together.
fn plot(curves: &Curves, name: &str, values: &[Option<f64>], width: usize) -> Option<Line> {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let known = values.iter().flatten();
    let most = known.clone().copied().fold(0.0, f64::max);
    known.clone().next()?;
    // Several samples share a column where there are too many; the worst of them shows.
    let columns = width.saturating_sub(BESIDE_PLOT).clamp(6, 60);
    let share = values.len().div_ceil(columns).max(1);
    let bars: String = values
        .chunks(share)
        .map(|chunk| {
            let worst = chunk.iter().flatten().copied().reduce(f64::max);
            worst.map_or(' ', |value| match curves.highest() {
                highest if highest > 0.0 => BARS[((value / highest * 7.0).round() as usize).min(7)],
                _ => BARS[0],
            })
        })
        .collect();
    let label = format!("    {}, {name}", curves.title);
    Some(
        Line::of(faint(), label)
            .pad(36)
            .plain(bars)
            .add(faint(), format!("  up to {}", (curves.say)(most))),
    )
}

fn pause(pause: &Pause, page: &mut Page) {
    let line = Line::of(faint(), clock(pause.at)).plain(" ").add(warning(), &pause.text);
    page.add(line, 2);
    let end = match &pause.ended {
        None => Line::of(warning(), "it has not gone on"),
        Some(end) => {
            Line::of(faint(), format!("{}, after {}: ", clock(end.at), between(pause.at, end.at)))
                .plain(&end.text)
        }
    };
    page.add(end, 4);
}

/// `v1 to v2`, as far as it is known.
pub(super) fn change(host: &Host) -> String {
    let from = host.from.as_ref().map_or("?", |version| version.as_str());
    match (&host.to, host.touched) {
        (_, false) => format!("stays at {from}"),
        (Some(to), true) => format!("{from} to {to}"),
        (None, true) => format!("{from} to what it ran before"),
    }
}

fn host(host: &Host, page: &mut Page) {
    let why = host.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let style = words::phase(host.phase);
    let line = Line::of(strong(), host.name.as_str())
        .plain(" ")
        .add(
            if host.phase == Phase::Pending { faint() } else { style },
            format!("{}{why}", host.phase),
        )
        .plain(format!("; {}; {}", change(host), period(host.began, host.ended)));
    page.add(line, 2);
    for run in &host.runs {
        let again =
            if run.attempt > 1 { format!(" attempt {}", run.attempt) } else { String::new() };
        let place = format!("{} {}{again} ", clock(run.at), run.command);
        let line =
            Line::of(faint(), place).plain(format!("{}: ", run.operation)).append(became(run));
        page.add(line, 4);
        evidence(run, page);
    }
}
