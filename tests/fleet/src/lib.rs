//! Ten thousand agents in one process, for tests of scale and for measuring.
//!
//! What is real: the connections (mutual TLS, HTTP/2, gRPC, one for each agent), the certificates (each host enrols with
//! a token of its own), every message of the protocol, and of the agent its dialling, its backoff and its outbox. What is
//! simulated is what lies behind: a [`host::Host`] has no systemd and no Docker, only a memory of what it was told, in
//! the place of the agent's ledger on disk; an operation is a short sleep.
//!
//! | file | what |
//! |---|---|
//! | [`host`] | one simulated host: what it remembers, how it obeys |
//! | [`agent`] | its link to the coordinator |
//! | [`fleet`] | all of them |
//! | [`enrol`] | certificates for a whole fleet |
//! | [`coordinator`] | the real program, as a process of its own, that can be killed |
//! | [`operator`] | what an operator does |
//! | [`bare`] | what there is to compare with: a tonic server that only echoes |
//! | [`limits`], [`process`] | file descriptors; memory and processor time |
//! | [`bench`] | the measurements |

pub mod agent;
pub mod bare;
pub mod bench;
pub mod coordinator;
pub mod enrol;
pub mod fleet;
pub mod host;
pub mod limits;
pub mod operator;
pub mod process;

/// What goes wrong in a tool for tests is told in words.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
