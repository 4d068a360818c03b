//! The service that `cargo demo` deploys, and what stands in for a host around it.
//!
//! ```text
//!   dv-demo host DIR          what systemd is on a real host: keeps one service running
//!      └─ dv-demo serve V     the service, in version V
//!   dv-agent                  the host's agent; carries out what the manifest lists:
//!      ├─ dv-demo release V   tells the host to run version V
//!      └─ dv-demo probe NAME  asks the host's service for its health
//! ```

pub mod host;
pub mod http;
pub mod place;
pub mod service;

/// How the service is rolled out; it is installed as `/opt/hello`.
pub const MANIFEST: &str = include_str!("../service.yaml");

/// What an agent may do on a host of it.
pub const POLICY: &str = include_str!("../policy.yaml");
