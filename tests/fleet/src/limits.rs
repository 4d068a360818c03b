//! How many connections one process may hold.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::Result;

/// Files besides the connections.
const OTHERS: u64 = 256;

/// Makes room for so many connections in this process, and in those that it starts.
pub fn make_room(connections: usize) -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    let needed = connections as u64 + OTHERS;
    match limit.maximum {
        Some(most) if most < needed => Err(format!(
            "{connections} connections need {needed} open files, and {most} are allowed: raise `ulimit -Hn`"
        )
        .into()),
        _ => Ok(()),
    }
}
