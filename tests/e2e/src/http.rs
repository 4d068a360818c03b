//! One HTTP request, on a connection of its own, within a time.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// Asks for `path`; gives the status and the body.
pub fn get(address: SocketAddr, path: &str, limit: Duration) -> io::Result<(u16, String)> {
    let began = Instant::now();
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    let left = limit.saturating_sub(began.elapsed()).max(Duration::from_millis(1));
    stream.set_read_timeout(Some(left))?;
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
