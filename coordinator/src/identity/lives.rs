//! How long certificates are good.

use dv_types::Span;
use serde::Deserialize;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// The shortest life of any certificate: renewing takes time, and clocks differ.
const SHORTEST: Span = Span::from_secs(MINUTE);
/// Below this, a host that is away for a while has to be enrolled anew.
const HASTY: Span = Span::from_secs(HOUR);

/// The lives of the certificates that the authority issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lives {
    /// Of a host's certificate: between a minute and 30 days.
    pub hosts: Span,
    /// Of an operator's certificate: between a minute and a year.
    pub operators: Span,
    /// Of the server's own certificate: between a minute and a year.
    pub server: Span,
}

impl Default for Lives {
    fn default() -> Self {
        let days = |n| Span::from_secs(n * DAY);
        Self { hosts: days(7), operators: days(90), server: days(30) }
    }
}

impl Lives {
    pub(crate) fn check(&self) -> Result<(), String> {
        let longest = |days| Span::from_secs(days * DAY);
        for (name, life, longest) in [
            ("hosts", self.hosts, longest(30)),
            ("operators", self.operators, longest(366)),
            ("server", self.server, longest(366)),
        ] {
            if life < SHORTEST || life > longest {
                return Err(format!(
                    "{name} is {life}: it must be at least {SHORTEST} and at most {longest}"
                ));
            }
        }
        if self.hosts < HASTY {
            tracing::warn!(
                hosts = %self.hosts,
                "certificates.hosts is very short: a host that is out of contact for longer must be enrolled anew"
            );
        }
        Ok(())
    }

    /// The shortest of them.
    pub(crate) fn shortest(&self) -> Span {
        self.hosts.min(self.operators).min(self.server)
    }
}
