//! `dvctl rollout report`

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use dv_types::{Fact, Record, Report, Span, report::State};

use super::which;
use crate::{
    Exit,
    args::{ReportFormat, ReportOf},
    client::Client,
    dossier::{Dossier, gather, html, json, text},
    error::{Error, Result},
    follow::feed::{Feed, News},
    output::{Output, terminal_size},
};

/// How long the journal may stay silent or out of reach.
const PATIENCE: Span = Span::from_secs(60);

/// Columns of text that goes to a file.
const WIDTH: usize = 100;

/// Writes everything that happened in a rollout.
pub(crate) async fn run(of: ReportOf, client: &Client, output: &Output) -> Result<Exit> {
    let format = format(&of, output);
    let file = of.out.filter(|out| out.as_os_str() != "-");
    if format == ReportFormat::Html && file.is_none() && output.terminal() {
        return Err(Error::usage(
            "an HTML page is not for a terminal: write it to a file, with --out report.html, or through a pipe",
        ));
    }
    let id = match of.id {
        Some(id) => id,
        None => which::last(client).await?,
    };
    let (report, plan) = client.rollout(id).await?;
    let records = journal(client, &report, output).await?;
    let dossier = gather(&plan, &report, &records);
    match file {
        None => print(&dossier, format, output)?,
        Some(file) => save(&file, &written(&dossier, format), &dossier, output)?,
    }
    Ok(Exit::Succeeded)
}

/// What is said, or else what the file's name says.
fn format(of: &ReportOf, output: &Output) -> ReportFormat {
    let ending = of.out.as_deref().and_then(Path::extension).and_then(|ending| ending.to_str());
    match (of.format, ending) {
        (Some(format), _) => format,
        (None, _) if output.json() => ReportFormat::Json,
        (None, Some("html" | "htm")) => ReportFormat::Html,
        (None, Some("json")) => ReportFormat::Json,
        (None, _) => ReportFormat::Text,
    }
}

/// The records that `report` is made of: all of an ended rollout's, and no later ones of an unfinished one.
async fn journal(client: &Client, report: &Report, output: &Output) -> Result<Vec<Record>> {
    let ended = matches!(report.state, State::Ended(_));
    let mut records: Vec<Record> = Vec::new();
    let whole = |records: &[Record]| {
        records.last().map_or(report.record == 0, |last| {
            matches!(last.fact, Fact::Ended { .. }) || last.number >= report.record
        })
    };
    if !ended && whole(&records) {
        return Ok(records);
    }
    let mut feed = Feed::open(client.clone(), report.rollout, PATIENCE.get());
    loop {
        let news = tokio::time::timeout(PATIENCE.get(), feed.next()).await;
        match news.map_err(|_| silent(report, &records))? {
            News::Record(record) => {
                records.push(*record);
                if !ended && whole(&records) {
                    return Ok(records);
                }
            }
            News::End => return Ok(records),
            News::Remark(text) => output.remark(&text),
            News::Failed(status) => return Err(client.no_answer(&status).await),
            News::GaveUp(why) => {
                return Err(Error::new(
                    Exit::Unreachable,
                    format!(
                        "contact was lost for {PATIENCE} ({why}) before the whole journal of {} was read: nothing \
                         is written, ask again",
                        report.rollout
                    ),
                ));
            }
            News::Report(_) | News::Progress { .. } => {}
        }
    }
}

fn silent(report: &Report, records: &[Record]) -> Error {
    Error::new(
        Exit::Unexpected,
        format!(
            "the coordinator sent nothing for {PATIENCE} after record {} of {}, and the journal of {} is longer: \
             nothing is written, ask again",
            records.last().map_or(0, |record| record.number),
            report.record,
            report.rollout
        ),
    )
}

fn print(dossier: &Dossier, format: ReportFormat, output: &Output) -> Result<()> {
    let width = if output.terminal() { terminal_size().0 } else { WIDTH };
    match format {
        ReportFormat::Text => output.lines(&text::text(dossier, width))?,
        ReportFormat::Json | ReportFormat::Html => output.text(&written(dossier, format))?,
    }
    Ok(())
}

fn written(dossier: &Dossier, format: ReportFormat) -> String {
    match format {
        ReportFormat::Json => json::json(dossier),
        ReportFormat::Html => html::html(dossier),
        ReportFormat::Text => {
            text::text(dossier, WIDTH).iter().map(|line| line.render(false) + "\n").collect()
        }
    }
}

fn save(file: &Path, text: &str, dossier: &Dossier, output: &Output) -> Result<()> {
    write(file, text).map_err(|error| {
        Error::new(Exit::Unexpected, format!("{} can't be written: {error}", file.display()))
    })?;
    let unfinished =
        if dossier.finished { "" } else { ", as far as it has come: it is unfinished" };
    output.remark(&format!(
        "The report of {} is in {}{unfinished}",
        dossier.rollout,
        file.display()
    ));
    Ok(())
}

/// The whole file or none: what was there stays until the new one is complete.
fn write(file: &Path, text: &str) -> io::Result<()> {
    // What is no file, like /dev/stdout, can't be replaced by one.
    if fs::metadata(file).is_ok_and(|known| !known.is_file()) {
        return fs::write(file, text);
    }
    let beside = beside(file)?;
    let done = fill(&beside, text).and_then(|()| fs::rename(&beside, file));
    if done.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    done
}

fn fill(file: &Path, text: &str) -> io::Result<()> {
    let mut out = fs::File::create_new(file)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()
}

/// A name in the same folder that nothing else has.
fn beside(file: &Path) -> io::Result<PathBuf> {
    let name = file
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "this is no name of a file"))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.new", std::process::id()));
    Ok(file.with_file_name(hidden))
}
