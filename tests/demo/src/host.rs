//! What stands in for systemd: it outlives every command of the agent, and keeps the service running.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    net::TcpListener,
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::place;

/// Takes orders in `directory` until it is killed. The service's port is written there, and stays the same.
pub fn run(directory: &Path) -> io::Result<()> {
    let port = TcpListener::bind("127.0.0.1:0")?;
    let orders = UnixListener::bind(place::control(directory))?;
    fs::write(directory.join("port"), port.local_addr()?.port().to_string())?;
    let mut running: Option<(String, Child)> = None;
    loop {
        let (order, _) = orders.accept()?;
        // An order that breaks off concerns nobody but its sender.
        if let Err(error) = obey(&order, &port, &mut running) {
            eprintln!("order not carried out: {error}");
        }
    }
}

/// Tells the host in `here` to run `version`, and waits until it does.
pub fn release(here: &Path, version: &str) -> io::Result<()> {
    let mut host = UnixStream::connect(place::control(here))?;
    writeln!(host, "{version}")?;
    let mut answer = String::new();
    BufReader::new(host).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::Error::other("the host did not answer"));
    }
    print!("{answer}");
    Ok(())
}

fn obey(
    order: &UnixStream,
    port: &TcpListener,
    running: &mut Option<(String, Child)>,
) -> io::Result<()> {
    order.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut version = String::new();
    BufReader::new(order).read_line(&mut version)?;
    let version = version.trim();

    let before = match running.take() {
        None => "nothing".to_owned(),
        Some((version, mut child)) => {
            child.kill()?;
            child.wait()?;
            version
        }
    };
    let child = start(version, port)?;
    let done = format!("stopped {before}, started {version}");
    *running = Some((version.to_owned(), child));
    println!("{done}");
    let mut order = order;
    writeln!(order, "{done}")
}

/// The service takes over the open port as its standard input, the way inetd and systemd hand one over.
fn start(version: &str, port: &TcpListener) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(["serve", version])
        .stdin(Stdio::from(OwnedFd::from(port.try_clone()?)))
        .spawn()
}
