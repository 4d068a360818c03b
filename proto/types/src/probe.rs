//! Local health probes, as an agent carries them out.

use serde::{Deserialize, Serialize};

use crate::{Span, manifest::ProbeSpec};

/// One question to a service on its own host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// GET of a URL.
    Http {
        /// Where.
        url: String,
        /// The status that counts as good; any of 200 to 299 if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
    /// A TCP connection that is accepted.
    Tcp {
        /// `host:port`.
        address: String,
    },
    /// `grpc.health.v1.Health/Check` that answers SERVING.
    Grpc {
        /// `host:port`.
        address: String,
        /// The service asked for; empty for the server as a whole.
        #[serde(default)]
        service: String,
    },
    /// A command that exits with 0.
    Command {
        /// Program and arguments.
        argv: Vec<String>,
    },
}

/// A set of probes and how they are asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Probing {
    /// The probes by name (`live`, `ready`), in the order in which they are asked.
    pub probes: Vec<(String, Probe)>,
    /// Time from one round to the next.
    pub interval: Span,
    /// A probe without an answer after this time has failed.
    pub timeout: Span,
    /// So many good rounds in a row make the host healthy.
    pub successes: u32,
}

/// Why a [`ProbeSpec`] is no probe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProbe {
    /// Not exactly one kind.
    #[error("a probe is exactly one of http, tcp, grpc and command; this one gives {0}")]
    Kinds(&'static str),
    /// A key that goes with another kind of probe.
    #[error("`{key}` goes with `{kind}` only")]
    Misplaced {
        /// The key that stands here.
        key: &'static str,
        /// The kind that it belongs to.
        kind: &'static str,
    },
    /// A URL of another scheme.
    #[error("{0:?} is not a http:// URL")]
    Url(String),
    /// An address without a port.
    #[error("{0:?} is not an address: write host:port")]
    Address(String),
    /// A command without a program.
    #[error("the command is empty: give the program and its arguments")]
    Empty,
}

impl TryFrom<&ProbeSpec> for Probe {
    type Error = InvalidProbe;

    fn try_from(spec: &ProbeSpec) -> Result<Self, InvalidProbe> {
        let misplaced = |key, kind| Err(InvalidProbe::Misplaced { key, kind });
        if spec.status.is_some() && spec.http.is_none() {
            return misplaced("status", "http");
        }
        if spec.service.is_some() && spec.grpc.is_none() {
            return misplaced("service", "grpc");
        }
        let address = |text: &str| match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(text.to_owned())
            }
            _ => Err(InvalidProbe::Address(text.to_owned())),
        };
        match (&spec.http, &spec.tcp, &spec.grpc, &spec.command) {
            (Some(url), None, None, None) => {
                let rest = url.strip_prefix("http://");
                if rest.is_none_or(|r| r.is_empty() || r.starts_with('/')) {
                    return Err(InvalidProbe::Url(url.clone()));
                }
                Ok(Self::Http { url: url.clone(), status: spec.status })
            }
            (None, Some(tcp), None, None) => Ok(Self::Tcp { address: address(tcp)? }),
            (None, None, Some(grpc), None) => Ok(Self::Grpc {
                address: address(grpc)?,
                service: spec.service.clone().unwrap_or_default(),
            }),
            (None, None, None, Some(argv)) if argv.is_empty() || argv[0].is_empty() => {
                Err(InvalidProbe::Empty)
            }
            (None, None, None, Some(argv)) => Ok(Self::Command { argv: argv.clone() }),
            (None, None, None, None) => Err(InvalidProbe::Kinds("none")),
            _ => Err(InvalidProbe::Kinds("several")),
        }
    }
}
