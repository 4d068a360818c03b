//! The ways in which a rollout that is followed can be shown.

use std::io;

use dv_types::{HostName, Record, Report, Timestamp};

use super::{
    live::Live,
    plain::{Json, Plain},
};
use crate::{display::story::Story, output::Output};

/// Takes in what comes, and shows it.
pub(crate) trait View {
    /// A record, before `story` has taken it.
    fn record(&mut self, record: &Record, story: &Story) -> io::Result<()>;
    /// The newest report.
    fn report(&mut self, report: &Report) -> io::Result<()>;
    /// What a host says while it works.
    fn progress(&mut self, _host: HostName, _text: String) {}
    /// Something beside the rollout itself.
    fn remark(&mut self, text: &str) -> io::Result<()>;
    /// Time has passed.
    fn tick(&mut self, _now: Timestamp) -> io::Result<()> {
        Ok(())
    }
    /// Nothing more comes; what is drawn and passing is taken away.
    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The view that fits where output goes.
pub(crate) fn of(output: &Output) -> Box<dyn View> {
    if output.json() {
        Box::new(Json::new(*output))
    } else if output.live() {
        Box::new(Live::new(*output))
    } else {
        Box::new(Plain::new(*output))
    }
}
