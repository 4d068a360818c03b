//! A coordinator whose reign is over changes nothing: neither in the store nor on a host.

use std::collections::{BTreeMap, BTreeSet};

use dv_proto::v1::{ToAgent, to_agent};
use dv_types::{Command, CommandId, Epoch};

use super::{Verdict, violated};
use crate::host::Host;

#[derive(Default)]
pub(super) struct Reigns {
    /// The last coordinator that wrote.
    last: u32,
    highest: Epoch,
    epochs: BTreeMap<u32, Epoch>,
    /// Commands as machines got them: of a reign that the host may obey, or only of one that it knew to be over.
    good: BTreeSet<(String, CommandId)>,
    stale: BTreeSet<(String, CommandId)>,
}

impl Reigns {
    pub(super) fn begun(&mut self, number: u32, epoch: Epoch) -> Verdict {
        self.epochs.insert(number, epoch);
        if number >= self.last && epoch <= self.highest {
            let what =
                format!("coordinator {number} has epoch {epoch}, and {} was before", self.highest);
            return violated("reigns", what);
        }
        self.highest = self.highest.max(epoch);
        Ok(())
    }

    pub(super) fn leads(&self, number: u32) -> bool {
        number >= self.last
    }

    pub(super) fn wrote(&mut self, number: u32) -> Verdict {
        if number < self.last {
            let what = format!("coordinator {number} writes, and {} has begun since", self.last);
            return violated("reigns", what);
        }
        self.last = number;
        Ok(())
    }

    pub(super) fn delivered(&mut self, host: &Host, order: &ToAgent) {
        let Some(to_agent::Message::Command(command)) = &order.message else { return };
        let command: Command =
            serde_json::from_str(&command.command_json).expect("a command can be read");
        let kept = host.disk.durable("/state/epoch".as_ref()).unwrap_or_default();
        let kept: u64 = String::from_utf8_lossy(&kept).trim().parse().unwrap_or_default();
        let got = (host.machine.clone(), command.id);
        if order.epoch < kept {
            self.stale.insert(got)
        } else {
            self.good.insert(got)
        };
    }

    /// What one machine got, the other has on its disk.
    pub(super) fn copied(&mut self, from: &str, to: &str) {
        for commands in [&mut self.good, &mut self.stale] {
            let own = commands.iter().filter(|(machine, _)| machine == from);
            let own: Vec<_> = own.map(|(_, command)| (to.to_owned(), *command)).collect();
            commands.extend(own);
        }
    }

    /// A host does what this command says.
    pub(super) fn obeyed(&self, host: &Host, command: CommandId) -> Verdict {
        let got = (host.machine.clone(), command);
        if self.stale.contains(&got) && !self.good.contains(&got) {
            let what = format!("{} obeys {command} of a reign that it knew to be over", host.name);
            return violated("reigns", what);
        }
        Ok(())
    }
}
