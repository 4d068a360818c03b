//! Ports for programs that are told theirs, and take it again when they are started anew.

use std::net::TcpListener;

/// Below those that the system gives to connections: a port that nobody listens on stays free until its program comes.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Holds a port; dropped, it is free for the program that it is for.
pub(crate) fn hold() -> TcpListener {
    loop {
        let port = rand::random_range(PORTS);
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener;
        }
    }
}
