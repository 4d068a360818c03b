//! `dvctl rollout history`

use dv_types::{ServiceName, Timestamp};

use crate::{Exit, client::Client, display, error::Result, output::Output};

/// Lists rollouts, the newest first.
pub(crate) async fn run(
    client: &Client,
    service: Option<&ServiceName>,
    limit: u32,
    output: &Output,
) -> Result<Exit> {
    let (rollouts, dropped) = client.history(service.map(ServiceName::as_str), limit).await?;
    if output.json() {
        output.document(&rollouts)?;
    } else {
        let now = Timestamp::now();
        let releases = client.releases(service.map(ServiceName::as_str), limit).await?;
        let mut lines = display::release::history(&releases, now);
        lines.extend(display::history::history(&rollouts, now));
        if dropped > 0 {
            lines
                .push(format!("{dropped} older ones are not kept any more (keep_rollouts)").into());
        }
        output.lines(&lines)?;
    }
    Ok(Exit::Succeeded)
}
