//! One HTTP request, on a connection of its own, within its times.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long one request may take. Two times, because they say different things: a connection is made by the host's
/// kernel at once or not at all, an answer takes as long as a busy machine lets it.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until there is a connection.
    pub connect: Duration,
    /// From then on, until the next part of the answer.
    pub read: Duration,
}

/// Asks for `path`; gives the status and the body.
pub fn get(address: SocketAddr, path: &str, limits: Limits) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, limits.connect)?;
    stream.set_read_timeout(Some(limits.read))?;
    stream.set_nodelay(true)?;
    stream.write_all(
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| cut(&answer))?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| cut(head))?;
    Ok((status, body.to_owned()))
}

fn cut(answer: &str) -> io::Error {
    io::Error::other(format!("no HTTP answer: {answer:?}"))
}
