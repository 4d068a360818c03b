//! Brings a bed up, step by step, saying what it does.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use super::{
    Bed, HOSTS, LeftOut, Note, PORT, directory, down, images, name, packages::Packages, preflight,
    provision,
};
use crate::{docker::docker, machine::Machine, shell, wait::eventually};

/// The releases of the service that the registry and the git server have.
const RELEASES: [&str; 3] = ["v1", "v2", "v3"];

/// Why there is no bed.
#[derive(Debug)]
pub enum NoBed {
    /// This machine can't have one.
    LeftOut(LeftOut),
    /// Something went wrong.
    Failed(String),
}

impl From<LeftOut> for NoBed {
    fn from(why: LeftOut) -> Self {
        Self::LeftOut(why)
    }
}

impl From<String> for NoBed {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// Says whether this machine can have a bed; installs what it needs.
pub fn check() -> Result<(), NoBed> {
    Ok(preflight::prepare(&|text| println!("{text}"))?)
}

/// Brings a bed up, with programs built with cargo's `profile`, or with the packages in a directory.
pub fn up(profile: &str, packages: Option<&Path>) -> Result<Bed, NoBed> {
    let began = Instant::now();
    let say = |text: &str| println!("bed {:6.1} s  {text}", began.elapsed().as_secs_f32());
    preflight::prepare(&say)?;
    down()?;

    say("images of the machines and the service, and the packages");
    let (machine, base, packages) = thread::scope(|scope| {
        let machine = scope.spawn(|| images::machine(&say));
        let base = scope.spawn(|| images::service_base(&say));
        let packages = packages.map_or_else(|| Packages::build(profile), Packages::find);
        Ok::<_, String>((joined(machine)?, joined(base)?, packages?))
    })?;

    say("seven machines");
    let bed = network()?;
    create(&bed, &machine)?;
    each(bed.machines(), Machine::booted)?;

    say("PostgreSQL, Redis, the registry and the git server");
    provision::infra(&bed)?;
    let port = docker(&["port", &bed.infra.container, "5000/tcp"]).result()?;
    images::push_service(&base, port.lines().next().unwrap_or_default().trim(), &RELEASES)?;

    say("the service on five hosts, and the coordinator");
    thread::scope(|scope| {
        let coordinator = scope.spawn(|| coordinator(&bed, &packages));
        let hosts = each(&bed.hosts, |host| provision::service(&bed, host));
        joined(coordinator)?;
        hosts
    })?;

    say("five agents");
    each(bed.hosts.iter().zip(HOSTS), |(host, (_, zone))| {
        provision::agent(&bed, host, zone, &packages.agent)
    })?;
    eventually(Duration::from_secs(30), "five hosts to be in contact", || {
        bed.dvctl().all_connected()
    })?;

    say("the bed is up");
    Ok(bed)
}

/// Makes the network, on the first range of addresses that is free.
fn network() -> Result<Bed, String> {
    let name = name();
    let mut last = String::new();
    for number in 0..32 {
        let prefix = format!("10.213.{number}");
        let subnet = format!("{prefix}.0/24");
        let label = format!("dv-bed={name}");
        match docker(&["network", "create", "--label", &label, "--subnet", &subnet, &name]).result()
        {
            Ok(_) => {
                let directory = directory();
                fs::create_dir_all(&directory).map_err(|e| e.to_string())?;
                let note = serde_json::to_string(&Note { prefix: prefix.clone() });
                fs::write(directory.join("bed.json"), note.expect("plain data"))
                    .map_err(|e| e.to_string())?;
                return Ok(Bed::at(&prefix));
            }
            Err(why) => last = why,
        }
    }
    Err(format!("no range of addresses is free for the network {name}:\n{last}"))
}

fn create(bed: &Bed, image: &str) -> Result<(), String> {
    let label = format!("dv-bed={}", bed.name);
    let mut names = Vec::new();
    for (alias, machine) in [
        ("registry.bed", &bed.infra),
        ("git.bed", &bed.infra),
        ("database.bed", &bed.infra),
        ("cache.bed", &bed.infra),
        ("coordinator.bed", &bed.coordinator),
    ] {
        names.extend(["--add-host".to_owned(), format!("{alias}:{}", machine.address)]);
    }
    // What watches the service, or asks it, finds the hosts by name.
    for host in &bed.hosts {
        names.extend(["--add-host".to_owned(), format!("{}.bed:{}", host.name, host.address)]);
    }
    each(bed.machines(), |machine| {
        let mut more = names.clone();
        if machine == &bed.infra {
            // The outer engine pushes to the registry; it trusts any that is on its own machine.
            more.extend(["--publish".to_owned(), "127.0.0.1::5000".to_owned()]);
        }
        machine.create(&label, image, &more)
    })
}

/// The coordinator from its package, and the packaged dvctl with the first operator's context on this machine.
fn coordinator(bed: &Bed, packages: &Packages) -> Result<(), String> {
    let context = provision::coordinator(bed, &packages.coordinator, &packages.dvctl)?;
    let address = format!("{}:{PORT}", bed.coordinator.address);
    let context: String = context
        .lines()
        .map(|line| match line.strip_prefix("coordinator:") {
            Some(_) => format!("coordinator: {address}\n"),
            None => format!("{line}\n"),
        })
        .collect();
    let file = bed.directory.join("context.yaml");
    fs::write(&file, context).map_err(|e| e.to_string())?;
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).map_err(|e| e.to_string())?;
    let tree = bed.directory.join("dvctl");
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("--extract").args([&packages.dvctl, &tree]);
    shell::run(&mut unpack, Duration::from_secs(60)).result().map(drop)
}

/// Does the same for each, all at once; all that went wrong is the error.
fn each<T: Send>(
    items: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> Result<(), String> + Sync,
) -> Result<(), String> {
    let work = &work;
    let failed: Vec<String> = thread::scope(|scope| {
        let running: Vec<_> =
            items.into_iter().map(|item| scope.spawn(move || work(item))).collect();
        running.into_iter().filter_map(|thread| joined(thread).err()).collect()
    });
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, Result<T, String>>) -> Result<T, String> {
    thread.join().unwrap_or_else(|_| Err("a thread panicked; see above".to_owned()))
}
