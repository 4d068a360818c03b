//! The certificate authorities that are trusted.

use dv_proto::v1;
use dv_types::Timestamp;

use super::{
    line::{Line, good, strong, warning},
    operators::certificate,
    table::Table,
};

/// Of a pin, so much tells one from another.
const PIN: usize = 16;

/// One line for each authority, then who depends on former ones.
pub(crate) fn authority(reply: &v1::GetAuthorityReply, now: Timestamp) -> Vec<Line> {
    let mut table = Table::new(["AUTHORITY", "", "CERTIFICATE", "HOSTS", "OPERATORS"]);
    for (n, authority) in reply.authorities.iter().enumerate() {
        table.row([
            Line::of(strong(), authority.pin.get(..PIN).unwrap_or(&authority.pin)),
            if n == 0 { Line::of(good(), "issues") } else { Line::of(warning(), "former") },
            certificate(&authority.until, now),
            authority.hosts.to_string().into(),
            authority.operators.to_string().into(),
        ]);
    }
    let mut lines = table.lines();
    let former = reply.authorities.iter().skip(1);
    let dependants: Vec<_> = former.flat_map(|former| &former.dependants).cloned().collect();
    if !dependants.is_empty() {
        lines.push(Line::default());
        lines.push(
            format!("These depend on the former one until they renew: {}", dependants.join(", "))
                .as_str()
                .into(),
        );
    }
    lines
}
