//! The rollout machine from outside: scenarios, and properties under any order of events.

mod database;
mod dead_man;
mod diagram;
mod gates;
mod gone_back;
mod monitor;
mod once;
mod planning;
mod playbook;
mod properties;
mod relapse;
mod scenarios;
mod signing;
mod size;
mod way_back;
mod world;
