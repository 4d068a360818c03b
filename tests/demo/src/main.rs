//! The service of `cargo demo`, its host, and the commands that its manifest lists.

use std::{env, io, path::Path, process::ExitCode};

use dv_demo::{host, http, place, service};

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

fn probe(here: &Path, name: &str) -> io::Result<()> {
    let (status, body) = http::get(place::port(here)?, &format!("/health/{name}"))?;
    if status == 200 { Ok(()) } else { Err(io::Error::other(format!("{status} {body}"))) }
}
