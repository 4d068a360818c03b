//! The operators.

use dv_proto::v1;
use dv_types::Timestamp;

use super::{
    line::{Line, strong, warning},
    table::Table,
    time::between,
};

/// One line for each operator.
pub(crate) fn operators(operators: &[v1::Operator], now: Timestamp) -> Vec<Line> {
    let mut table = Table::new(["OPERATOR", "KNOWN SINCE", "ADDED BY", "CERTIFICATE"]);
    for operator in operators {
        let since = operator.since.parse::<Timestamp>();
        table.row([
            Line::of(strong(), &operator.name),
            since.map(|since| between(since, now)).unwrap_or_default().into(),
            operator.by.as_str().into(),
            match &operator.revoked {
                Some(revoked) => Line::of(warning(), format!("revoked: {}", revoked.reason)),
                None => certificate(&operator.certificate_until, now),
            },
        ]);
    }
    table.lines()
}

/// For how long a certificate is good that ends then.
pub(super) fn certificate(until: &str, now: Timestamp) -> Line {
    match until.parse::<Timestamp>() {
        Ok(until) if until < now => Line::of(warning(), "expired"),
        Ok(until) => format!("good for {}", between(now, until)).into(),
        Err(_) => Line::default(),
    }
}
