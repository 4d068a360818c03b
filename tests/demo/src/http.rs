//! As much of HTTP/1.0 as a demonstration needs.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(2));

/// The status and the body that the service on `port` of this machine answers to a GET of `path`.
pub fn get(port: u16, path: &str) -> io::Result<(u16, String)> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    server.set_read_timeout(PATIENCE)?;
    write!(server, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    server.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    status.zip(body).ok_or_else(|| io::Error::other("no HTTP answer"))
}

/// Reads a request, and says which path it asks for.
pub fn requested_path(client: &TcpStream) -> io::Result<String> {
    client.set_read_timeout(PATIENCE)?;
    let mut lines = BufReader::new(client.take(8192)).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    // The headers say nothing of interest, but closing before they are read would cut the answer off.
    for header in lines {
        if header?.is_empty() {
            break;
        }
    }
    Ok(request.split(' ').nth(1).unwrap_or("/").to_owned())
}

/// Answers, and says goodbye.
pub fn respond(mut client: TcpStream, status: u16, body: &str) -> io::Result<()> {
    let length = body.len();
    write!(
        client,
        "HTTP/1.0 {status} -\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}
