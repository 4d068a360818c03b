//! Ask the service on this host how it is.

mod command;
mod grpc;
pub(crate) mod http;
pub(crate) mod tcp;
pub(crate) mod verdict;

use std::time::Duration;

use dv_types::{Probe, probe::Probing};

use crate::limits::Limits;

/// Asks each probe once, in order, up to the first bad answer: `probe: why`.
pub(crate) async fn round(probing: &Probing) -> Result<(), String> {
    for (name, probe) in &probing.probes {
        ask(probe, probing.timeout.get()).await.map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(())
}

/// Asks one probe.
async fn ask(probe: &Probe, timeout: Duration) -> Result<(), String> {
    let answer = async {
        match probe {
            Probe::Http { url, status } => http::ask(url, *status).await,
            Probe::Tcp { address } => tcp::ask(address).await,
            Probe::Grpc { address, service } => grpc::ask(address, service).await,
            Probe::Command { argv } => command::ask(argv, &Limits::of(timeout)).await,
        }
    };
    if matches!(probe, Probe::Command { .. }) {
        // It has the deadline itself, and a little more time to kill what it started.
        return answer.await;
    }
    tokio::time::timeout(timeout, answer)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {}", dv_types::Span::from(timeout))))
}

#[cfg(test)]
mod tests;
