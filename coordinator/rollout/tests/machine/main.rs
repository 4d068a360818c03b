//! The rollout machine from outside: scenarios, and properties under any order of events.

mod dead_man;
mod diagram;
mod monitor;
mod planning;
mod properties;
mod relapse;
mod scenarios;
mod way_back;
mod world;
