//! Somebody outside who uses the five services all the time, and counts.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use dv_demo::http;

const PAUSE: Duration = Duration::from_millis(20);

/// What the client saw.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    /// How often it asked all services.
    pub(crate) rounds: u32,
    /// The fewest that were ready in one round.
    pub(crate) fewest_ready: usize,
    of: usize,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, fewest_ready, of } = self;
        write!(
            f,
            "a client outside asked all the while ({rounds} times): at least {fewest_ready} of {of} were ready"
        )
    }
}

/// Asks until it is told to stop.
pub(crate) struct Client {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

impl Client {
    pub(crate) fn start(ports: Vec<u16>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut seen = Seen { rounds: 0, fewest_ready: ports.len(), of: ports.len() };
            while !stopped.load(Ordering::Relaxed) {
                let is_ready = |port: &&u16| {
                    http::get(**port, "/health/ready").is_ok_and(|(status, _)| status == 200)
                };
                let ready = ports.iter().filter(is_ready).count();
                seen.fewest_ready = seen.fewest_ready.min(ready);
                seen.rounds += 1;
                thread::sleep(PAUSE);
            }
            seen
        });
        Self { stop, thread }
    }

    pub(crate) fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the client only asks and counts")
    }
}
