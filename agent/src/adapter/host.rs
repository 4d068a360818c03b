//! The host's clocks, its programs and its service's probes.

use std::{io, time::Duration};

use dv_types::{Finding, Timestamp, probe::Probing};
use futures_util::{FutureExt, future::BoxFuture};

use crate::{
    inspect, outside,
    ports::{Finished, Limits, Outside, Probes, Program, Programs},
    probe, process,
};

/// The host that the agent runs on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Host;

impl Outside for Host {
    fn now(&self) -> Timestamp {
        outside::now()
    }

    fn boot_id(&self) -> String {
        outside::boot_id()
    }

    fn since_boot(&self) -> Duration {
        outside::since_boot()
    }

    fn chance(&self) -> f64 {
        outside::chance()
    }

    fn unique(&self) -> u128 {
        outside::unique()
    }
}

impl Programs for Host {
    fn run<'a>(
        &'a self,
        program: Program<'a>,
        limits: &'a Limits,
    ) -> BoxFuture<'a, io::Result<Finished>> {
        process::run(program, limits).boxed()
    }

    fn find<'a>(&'a self, argv: &'a [String]) -> BoxFuture<'a, Result<Finding, String>> {
        inspect::program(argv).boxed()
    }
}

impl Probes for Host {
    fn round<'a>(&'a self, probing: &'a Probing) -> BoxFuture<'a, Result<(), String>> {
        probe::round(probing).boxed()
    }
}
