//! A picture that is redrawn in place.

use std::io;

use dv_types::{Fact, HostName, Record, Report, Timestamp};

use super::{screen::Screen, view::View};
use crate::{
    display::{
        frame::{Sayings, frame},
        line::{Line, warning},
        story::Story,
    },
    output::{Output, terminal_size},
};

/// The rollout as a picture on the terminal.
pub(crate) struct Live {
    screen: Screen<io::Stdout>,
    report: Option<Report>,
    sayings: Sayings,
}

impl Live {
    pub(crate) fn new(output: Output) -> Self {
        let screen = Screen::new(io::stdout(), output.colour());
        Self { screen, report: None, sayings: Sayings::new() }
    }

    fn draw(&mut self, now: Timestamp) -> io::Result<()> {
        let Some(report) = &self.report else { return Ok(()) };
        let size = terminal_size();
        self.screen.draw(&frame(report, &self.sayings, now, size), size.0)
    }
}

impl View for Live {
    fn record(&mut self, record: &Record, _: &Story) -> io::Result<()> {
        // What a host said of an operation is over with the operation.
        if let Fact::Commanded { host, .. }
        | Fact::Reported { host, .. }
        | Fact::OnceCommanded { host, .. }
        | Fact::OnceReported { host, .. } = &record.fact
        {
            self.sayings.remove(host);
        }
        Ok(())
    }

    fn report(&mut self, report: &Report) -> io::Result<()> {
        self.report = Some(report.clone());
        Ok(())
    }

    fn progress(&mut self, host: HostName, text: String) {
        self.sayings.insert(host, text);
    }

    fn remark(&mut self, text: &str) -> io::Result<()> {
        self.screen.above(&Line::of(warning(), text), terminal_size().0)?;
        self.draw(Timestamp::now())
    }

    fn tick(&mut self, now: Timestamp) -> io::Result<()> {
        self.draw(now)
    }

    fn close(&mut self) -> io::Result<()> {
        self.screen.erase(terminal_size().0)
    }
}
