//! Line after line: for logs, and for programs.

use std::io;

use dv_types::{Record, Report, RolloutId};
use serde_json::json;

use super::view::View;
use crate::{
    display::{story::Story, tell::tell},
    output::Output,
};

/// A line of text for each record that is worth one.
pub(crate) struct Plain(Output);

impl Plain {
    pub(crate) fn new(output: Output) -> Self {
        Self(output)
    }
}

impl View for Plain {
    fn record(&mut self, record: &Record, story: &Story) -> io::Result<()> {
        match tell(record, story) {
            Some(line) if !self.0.quiet() => self.0.lines(&[line]),
            _ => Ok(()),
        }
    }

    fn report(&mut self, _: &Report) -> io::Result<()> {
        Ok(())
    }

    fn remark(&mut self, text: &str) -> io::Result<()> {
        self.0.remark(text);
        Ok(())
    }
}

/// A JSON line for each record and report.
pub(crate) struct Json {
    output: Output,
    /// The last report that was printed: rollout and record.
    last: Option<(RolloutId, u64)>,
}

impl Json {
    pub(crate) fn new(output: Output) -> Self {
        Self { output, last: None }
    }
}

impl View for Json {
    fn record(&mut self, record: &Record, story: &Story) -> io::Result<()> {
        self.output.json_line(&json!({ "rollout": story.rollout, "record": record }))
    }

    fn report(&mut self, report: &Report) -> io::Result<()> {
        let this = Some((report.rollout, report.record));
        if this == self.last {
            return Ok(());
        }
        self.last = this;
        self.output.json_line(&json!({ "report": report }))
    }

    fn remark(&mut self, text: &str) -> io::Result<()> {
        self.output.remark(text);
        Ok(())
    }
}
