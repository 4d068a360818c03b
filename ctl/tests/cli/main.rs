//! `dvctl` as it is called: what it prints, where, and the code that it ends with.

mod offline;
mod support;
