//! `dvctl` as it is called: what it prints, where, and the code that it ends with.

mod asking;
mod fake;
mod following;
mod identity;
mod offline;
#[allow(dead_code, reason = "display's own tests use the rest")]
mod playbook;
mod release;
mod reporting;
mod sample;
mod several;
mod support;
mod terminal;
mod trouble;
mod trust;
