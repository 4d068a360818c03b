//! `power`: writers that may die, and what is left of what they wrote.

use std::{
    env,
    io::{self, BufRead as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use dv_power::{
    cuts::{Shown, cuts},
    kills::kills,
    machine,
    speed::{Speed, speed},
    workload::Kind,
};

const USAGE: &str = "\
power check                           whether this machine can have a disk whose power is cut
power cuts [COUNT [SEED]]             cut the power while the store writes; 100 times
power shipped-cuts [COUNT [SEED]]     the same with sled as it is shipped, which loses something
power kills [COUNT [SEED]]            kill -9 while the store writes; 200 times
power restore-cuts [COUNT [SEED]]     cut the power while a backup is restored; 60 times
power restore-kills [COUNT [SEED]]    kill -9 while a backup is restored; 50 times
power speed [SECONDS]                 commits per second, with and without what makes them durable
power writer KIND DIRECTORY FIRST     write for ever (store, restore, shipped), and tell what was acknowledged
power verify KIND DIRECTORY           look for what standard input says was acknowledged
";

/// As `bed check` ends where there can be no bed.
const UNAVAILABLE: u8 = 69;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["check"] => match machine::prepare() {
            Ok(()) => return ExitCode::SUCCESS,
            Err(why) => {
                println!("LEFT OUT: {why}");
                return ExitCode::from(UNAVAILABLE);
            }
        },
        ["cuts", ref rest @ ..] => many(rest, 100, |count, seed| {
            machine::prepare()?;
            cuts(&own()?, Kind::Store, count, seed, false)
        }),
        ["shipped-cuts", ref rest @ ..] => many(rest, 100, |count, seed| {
            machine::prepare()?;
            cuts(&own()?, Kind::Shipped, count, seed, false)
        }),
        ["kills", ref rest @ ..] => {
            many(rest, 200, |count, seed| kills(&own()?, Kind::Store, count, seed))
        }
        ["restore-cuts", ref rest @ ..] => many(rest, 60, |count, seed| {
            machine::prepare()?;
            cuts(&own()?, Kind::Restore, count, seed, false)
        }),
        ["restore-kills", ref rest @ ..] => {
            many(rest, 50, |count, seed| kills(&own()?, Kind::Restore, count, seed))
        }
        ["speed"] => speeds(5),
        ["speed", seconds] => {
            seconds.parse().map_err(|why| format!("{seconds}: {why}")).and_then(speeds)
        }
        ["writer", kind, directory, first] => known(kind).and_then(|kind| {
            kind.write(Path::new(directory), first.parse().map_err(|why| format!("{why}"))?)
        }),
        ["verify", kind, directory] => known(kind).and_then(|kind| {
            let lines: Result<Vec<_>, _> = io::stdin().lock().lines().collect();
            kind.verify(Path::new(directory), &lines.map_err(|why| why.to_string())?)
        }),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn speeds(seconds: u64) -> Result<(), String> {
    let Speed { shipped, alone, many } = speed(Duration::from_secs(seconds))?;
    println!("sled as it is shipped, one thread   {shipped:>9.0} commits/s");
    println!("the store, one caller              {alone:>9.0} commits/s  {:.2}", alone / shipped);
    println!("the store, 64 callers              {many:>9.0} commits/s  {:.2}", many / shipped);
    Ok(())
}

fn own() -> Result<PathBuf, String> {
    env::current_exe().map_err(|why| why.to_string())
}

fn known(kind: &str) -> Result<Kind, String> {
    Kind::from_name(kind).ok_or_else(|| format!("nobody writes {kind}"))
}

fn many(
    rest: &[&str],
    usual: u64,
    run: impl FnOnce(u64, u64) -> Result<Shown, String>,
) -> Result<(), String> {
    let number = |at: usize, otherwise: u64| {
        let given = rest.get(at).map(|text| text.parse().map_err(|why| format!("{text}: {why}")));
        given.unwrap_or(Ok(otherwise))
    };
    let Shown { cuts, acknowledged, lost } = run(number(0, usual)?, number(1, 1)?)?;
    println!("{cuts} times, {acknowledged} acknowledgements, lost something {} times", lost.len());
    match &lost[..] {
        [] => Ok(()),
        lost => Err(lost.join("\n")),
    }
}
