//! The service itself: `/version`, `/health/live`, `/health/ready`.

use std::{
    io,
    net::{TcpListener, TcpStream},
    os::fd::AsFd,
    thread,
    time::{Duration, Instant},
};

use crate::http;

/// How long a release takes until it can do its work.
const WARM_UP: Duration = Duration::from_millis(400);

/// The release that somebody should have tested better.
const BROKEN: &str = "v3";

/// Serves on the port that was handed over as standard input.
pub fn run(version: &str) -> io::Result<()> {
    let port = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    let began = Instant::now();
    thread::scope(|threads| {
        for client in port.incoming() {
            let client = client?;
            threads.spawn(move || {
                // A client that goes away harms nobody but itself.
                let _ = serve(client, version, began.elapsed());
            });
        }
        Ok(())
    })
}

fn serve(client: TcpStream, version: &str, age: Duration) -> io::Result<()> {
    let path = http::requested_path(&client)?;
    let (status, body) = answer(&path, version, age);
    http::respond(client, status, &body)
}

fn answer(path: &str, version: &str, age: Duration) -> (u16, String) {
    match path {
        "/version" => (200, version.to_owned()),
        "/health/live" => (200, "alive".to_owned()),
        "/health/ready" if version == BROKEN => (503, "no connection to the database".to_owned()),
        "/health/ready" if age < WARM_UP => (503, "warming up".to_owned()),
        "/health/ready" => (200, "ready".to_owned()),
        _ => (404, "no such page".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_warms_up_and_the_broken_one_never_gets_ready() {
        let ready = |version, age| answer("/health/ready", version, age).0;
        assert_eq!(ready("v2", Duration::ZERO), 503);
        assert_eq!(ready("v2", WARM_UP), 200);
        assert_eq!(ready(BROKEN, Duration::MAX), 503);
        assert_eq!(answer("/health/live", BROKEN, Duration::ZERO).0, 200);
        assert_eq!(answer("/version", "v2", Duration::ZERO), (200, "v2".to_owned()));
    }
}
