//! The fleet.

use dv_proto::v1;
use dv_types::Timestamp;

use super::{
    line::{Line, good, strong, warning},
    table::Table,
    time::between,
};

/// One line for each host.
pub(crate) fn hosts(hosts: &[v1::Host], now: Timestamp) -> Vec<Line> {
    if hosts.is_empty() {
        return vec!["There are no hosts yet: `dvctl agent token HOST` lets one in.".into()];
    }
    let mut hosts: Vec<&v1::Host> = hosts.iter().collect();
    hosts.sort_by(|a, b| a.name.cmp(&b.name));
    let mut table = Table::new(["HOST", "CONTACT", "SINCE", "AGENT", "LABELS", "SERVICES"]);
    for host in hosts {
        let mut labels: Vec<_> = host.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        labels.sort();
        let services: Vec<_> = host
            .services
            .iter()
            .map(|s| format!("{} {} ({})", s.service, s.version, s.rollout))
            .collect();
        let since = host.since.parse::<Timestamp>().ok().map(|since| between(since, now));
        table.row([
            Line::of(strong(), &host.name),
            match (host.connected, since.is_some()) {
                _ if host.revoked.is_some() => Line::of(warning(), "revoked"),
                (false, _) if has_expired(host, now) => Line::of(warning(), "certificate expired"),
                (true, _) => Line::of(good(), "yes"),
                (false, true) => Line::of(warning(), "no"),
                (false, false) => Line::of(warning(), "never"),
            },
            since.unwrap_or_default().into(),
            host.agent_version.as_str().into(),
            labels.join(" ").into(),
            services.join(", ").into(),
        ]);
    }
    table.lines()
}

/// It has no certificate that is good any more: it needs a new token.
fn has_expired(host: &v1::Host, now: Timestamp) -> bool {
    host.certificate_until.parse::<Timestamp>().is_ok_and(|until| until < now)
}
