//! The programs of a host: `/bin/db`, `/bin/backup`, `/bin/hook`, `/bin/smoke`.

use std::{io, time::Duration};

use dv_agent::ports::{Finished, Limits, Program, Programs};
use dv_types::Finding;
use futures_util::{FutureExt as _, future::BoxFuture};

use super::{Luck, Place};
use crate::scenario::Quality;

impl Place {
    /// An effect that somebody outside can see: it must be on record, on this host and with the coordinator.
    pub(super) fn did(&self, what: &str) {
        self.say(|| what.to_owned());
        let host = &self.host;
        self.world.check(|watch| watch.did(&self.world, host, what));
    }

    async fn work(&self, argv: &[String]) -> Finished {
        let words: Vec<&str> = argv.iter().map(String::as_str).collect();
        let looks = matches!(words[..], ["/bin/db", "check", ..] | ["journalctl", ..]);
        let (luck, before, after) = {
            let luck = if looks { Luck::Good } else { self.luck() };
            let mut chance = self.host.chance();
            let slow = if looks { 20 } else { 4000 };
            (luck, chance.millis(1, slow), chance.millis(1, slow))
        };
        if !looks {
            self.did(&argv.join(" "));
        }
        if luck == Luck::Hangs {
            return std::future::pending().await;
        }
        tokio::time::sleep(before).await;
        if luck == Luck::Fails {
            self.say(|| format!("{} fails", argv.join(" ")));
            return Finished::exited(1, "it broke\n");
        }
        let printed = self.effect(&words).await;
        tokio::time::sleep(after).await;
        Finished::exited(i32::from(printed.is_none()), &printed.unwrap_or_default())
    }

    /// What it prints; nothing where it does not do its work.
    async fn effect(&self, words: &[&str]) -> Option<String> {
        let database = || self.world.database.lock().unwrap();
        match words {
            ["/bin/db", "check", version] => Some(database().check(version)),
            ["/bin/db", "upgrade", version] => {
                while database().upgrade_one(version) {
                    let pause = self.host.chance().millis(1, 300);
                    tokio::time::sleep(pause).await;
                }
                Some(String::new())
            }
            ["/bin/db", "downgrade", count] => {
                database().downgrade(count.parse().unwrap_or_default());
                Some(String::new())
            }
            ["/bin/backup", ..] => Some("size: 4711\n".to_owned()),
            ["/bin/smoke", version] => {
                let version = version.parse().ok()?;
                let quality = self.world.scenario.quality(&version, &self.host.name);
                matches!(quality, Quality::Good | Quality::Sours(_)).then(String::new)
            }
            _ => Some(String::new()),
        }
    }
}

impl Programs for Place {
    fn run<'a>(
        &'a self,
        program: Program<'a>,
        limits: &'a Limits,
    ) -> BoxFuture<'a, io::Result<Finished>> {
        async move {
            Ok(match limits.within(self.work(program.argv)).await {
                Ok(finished) => finished,
                Err(stop) => {
                    // It is killed, and what it has started with it.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    Finished::stopped_by(stop)
                }
            })
        }
        .boxed()
    }

    fn find<'a>(&'a self, _: &'a [String]) -> BoxFuture<'a, Result<Finding, String>> {
        async move { Ok(Finding::Allowed) }.boxed()
    }
}
