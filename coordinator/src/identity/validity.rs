//! From when until when a certificate is good.

use std::time::Duration;

use dv_types::{Span, Timestamp};
use x509_parser::prelude::X509Certificate;

/// What a certificate says of its own life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

impl Validity {
    pub(crate) fn of(certificate: &X509Certificate<'_>) -> Self {
        let at = |second| Timestamp::from_second(second).unwrap_or(Timestamp::MIN);
        let validity = certificate.validity();
        Self {
            from: at(validity.not_before.timestamp()),
            until: at(validity.not_after.timestamp()),
        }
    }

    /// When it was made: its life begins a while before, for clocks that are behind.
    pub(crate) fn issued(&self) -> Timestamp {
        Span::from(skew_of(Span::between(self.from, self.until).get())).after(self.from)
    }

    /// Whether less than a third of it is left: it should be renewed by now.
    pub(crate) fn is_late(&self, now: Timestamp) -> bool {
        Span::between(now, self.until).get() * 3 < Span::between(self.from, self.until).get()
    }
}

/// Clocks of a fleet don't agree: one that is hours behind keeps its host in contact.
const CLOCK_SKEW: Duration = Duration::from_secs(24 * 60 * 60);

/// How long before it was made a certificate begins that lives so long from then on. A short life begins half of it
/// before: whoever holds it tells by its dates when to renew it.
pub(super) fn skew(life: Duration) -> Duration {
    CLOCK_SKEW.min(life / 2)
}

/// The same, of a certificate that lives so long from its beginning on.
fn skew_of(whole: Duration) -> Duration {
    CLOCK_SKEW.min(whole / 3)
}
