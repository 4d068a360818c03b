//! `dvctl` as it is called: what it prints, where, and the code that it ends with.

mod asking;
mod fake;
mod following;
mod offline;
mod release;
mod sample;
mod support;
mod terminal;
mod trouble;
mod trust;
