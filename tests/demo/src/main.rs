//! The service that `cargo demo` deploys, and what stands in for a host around it.
//!
//! ```text
//!   dv-demo host DIR          what systemd is on a real host: keeps one service running
//!      └─ dv-demo serve V     the service, in version V
//!   dv-agent                  the host's agent; carries out what the manifest lists:
//!      ├─ dv-demo release V   tells the host to run version V
//!      └─ dv-demo probe NAME  asks the host's service for its health
//! ```

mod host;
mod http;
mod place;
mod service;

use std::{env, io, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["host", directory] => host::run(directory.as_ref()),
        ["serve", version] => service::run(version),
        ["release", version] => place::here().and_then(|here| host::release(&here, version)),
        ["probe", name] => place::here().and_then(|here| probe(&here, name)),
        _ => Err(io::Error::other("usage: dv-demo host DIR | serve V | release V | probe NAME")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn probe(here: &std::path::Path, name: &str) -> io::Result<()> {
    let (status, body) = http::get(place::port(here)?, &format!("/health/{name}"))?;
    if status == 200 { Ok(()) } else { Err(io::Error::other(format!("{status} {body}"))) }
}
