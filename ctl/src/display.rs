//! Documents as text. Pure: what is shown depends on what is given, the time included.

pub(crate) mod around;
pub(crate) mod authority;
pub(crate) mod explain;
pub(crate) mod frame;
pub(crate) mod history;
pub(crate) mod hosts;
pub(crate) mod line;
pub(crate) mod next;
pub(crate) mod operators;
pub(crate) mod plan;
pub(crate) mod release;
pub(crate) mod status;
pub(crate) mod story;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod tell;
pub(crate) mod time;
pub(crate) mod words;

#[cfg(test)]
#[path = "../tests/cli/playbook.rs"]
#[allow(dead_code, reason = "the command line's tests use the rest")]
pub(crate) mod playbook;
#[cfg(test)]
#[path = "../tests/cli/sample.rs"]
#[allow(dead_code, reason = "the command line's tests use the rest")]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
