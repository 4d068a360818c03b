//! `dv-fleet bench`: ratios, each of two things that were measured in this one run on this one machine.

mod batches;
mod broadcast;
mod memory;
mod restart;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    Result,
    agent::Target,
    bare::{self, Bare},
    coordinator::Coordinator,
    enrol::{Enrolled, enrol},
    fleet::Fleet,
    host::Host,
    limits,
    operator::Operator,
    process,
};

/// What is asked for.
pub struct Wish {
    /// This program.
    pub own: PathBuf,
    /// The coordinator.
    pub coordinator: PathBuf,
    /// Hosts.
    pub hosts: usize,
    /// Times that each echo and each command is measured.
    pub rounds: usize,
    /// Of the measurements, only these; all, where none is named.
    pub only: Vec<String>,
}

/// How long a simulated operation takes.
const PACE: Duration = Duration::from_millis(1);
/// Handshakes that the bare server is offered at once: more only wait in its queue.
const AT_ONCE: usize = 256;
/// What settles after a storm has settled by then.
const SETTLED: Duration = Duration::from_secs(3);

/// What the bare server does.
struct Floor {
    /// All handshakes, one after the other as fast as they go.
    handshakes: Duration,
    /// One echo over all streams: the median.
    echo: Duration,
    /// Its processor time for one echo: the mean.
    busy: Duration,
    /// Resident bytes for each connection.
    memory: f64,
}

/// Measures, and prints.
pub async fn run(wish: Wish) -> Result<()> {
    limits::make_room(wish.hosts)?;
    let directory = tempfile::tempdir()?;
    let mut coordinator = Coordinator::new(&wish.coordinator, directory.path())?;
    let context = coordinator.start().await?;
    let cores = std::thread::available_parallelism()?;
    println!(
        "{} hosts on {cores} cores; the coordinator logs to {}",
        wish.hosts,
        coordinator.log().display()
    );
    let began = Instant::now();
    let enrolled = enrol(&context, wish.hosts).await?;
    println!("enrolled in {:.1} s", began.elapsed().as_secs_f64());
    coordinator.kill()?;

    let floor = floor(&wish, &coordinator, &enrolled).await?;
    println!(
        "\nbare server: {:.2} s for all handshakes, {:.3} s for one echo, {:.1} kB a connection\n",
        floor.handshakes.as_secs_f64(),
        floor.echo.as_secs_f64(),
        floor.memory / 1000.0
    );

    let context = coordinator.start().await?;
    let before = process::resident(coordinator.pid())?;
    let mut fleet = Fleet::new(context.target(), enrolled, PACE);
    let took = fleet.connect().await;
    tokio::time::sleep(SETTLED).await;
    println!("coordinator: all in contact after {:.2} s", took.as_secs_f64());
    let wants = |what: &str| wish.only.is_empty() || wish.only.iter().any(|only| only == what);
    let mut bench =
        Bench { wish: &wish, operator: Operator::new(&context)?, coordinator, fleet, floor };
    if wants("memory") {
        bench.memory(before)?;
    }
    if wants("broadcast") {
        bench.broadcast().await?;
    }
    if wants("batches") {
        bench.batches().await?;
    }
    if wants("restart") {
        bench.restart().await?;
    }
    Ok(())
}

/// What all measurements share.
struct Bench<'a> {
    wish: &'a Wish,
    operator: Operator,
    coordinator: Coordinator,
    fleet: Fleet,
    floor: Floor,
}

async fn floor(wish: &Wish, coordinator: &Coordinator, enrolled: &[Enrolled]) -> Result<Floor> {
    let mut bare = Bare::start(&wish.own, &coordinator.identity())?;
    let target = Target { address: bare.address.clone(), ca: coordinator.context()?.target().ca };
    let hosts = Fleet::new(target.clone(), enrolled.to_vec(), PACE).hosts;
    let before = process::resident(Some(bare.pid()))?;
    let target = Arc::new(target);
    let mut links = JoinSet::new();
    let began = Instant::now();
    let mut connecting = stream::iter(hosts)
        .map(|host| link(host, Arc::clone(&target), &mut links))
        .buffer_unordered(AT_ONCE);
    while let Some(connected) = connecting.next().await {
        connected?;
    }
    drop(connecting);
    let handshakes = began.elapsed();
    tokio::time::sleep(SETTLED).await;
    let memory = process::resident(Some(bare.pid()))?.saturating_sub(before) as f64;
    let mut echoes = Vec::new();
    let idle = process::processor_time(Some(bare.pid()))?;
    for round in 0..wish.rounds {
        let (count, took) = bare.echo(&command(round))?;
        if count != wish.hosts {
            return Err(format!("{count} of {} streams are there", wish.hosts).into());
        }
        echoes.push(took);
    }
    let busy = (process::processor_time(Some(bare.pid()))? - idle) / wish.rounds as u32;
    Ok(Floor { handshakes, echo: median(&mut echoes), busy, memory: memory / wish.hosts as f64 })
}

/// As long as the command that the coordinator sends.
fn command(round: usize) -> String {
    format!(
        r#"{{"id":"r1-{round:05}","attempt":1,"operation":{{"run":{{"argv":["release","v1"],"timeout":"1m","repeatable":true}}}}}}"#
    )
}

fn link(
    host: Arc<Host>,
    target: Arc<Target>,
    links: &mut JoinSet<()>,
) -> impl Future<Output = Result<()>> + use<> {
    let (connected, mut is_connected) = mpsc::channel(1);
    let name = host.name.clone();
    links.spawn(async move {
        if let Err(why) = bare::answer(&host, &target, connected).await {
            eprintln!("{}: {why}", host.name);
        }
    });
    async move { is_connected.recv().await.ok_or(format!("{name} is not connected").into()) }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// One line: what, its value, what it is compared with, and how many times that it is, of how many it may be.
fn line(what: &str, value: String, than: String, ratio: f64, most: f64) {
    let mark = if ratio <= most { "" } else { "  MISSED" };
    println!("{what:<44} {value:>10}   {than:>10}   {ratio:>5.2} of {most}{mark}");
}
