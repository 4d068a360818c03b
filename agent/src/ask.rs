//! Questions to a file system that may never answer, as a network file system does that is gone. Each is asked on a
//! helper thread, so that whoever waits can give up. There is one at a time about a path, and so many in all: what hangs
//! holds few threads, however often it is asked.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tokio::sync::Semaphore;

/// Far fewer than the runtime has, so that the ledger always finds one.
const LENT: usize = 32;

static THREADS: Semaphore = Semaphore::const_new(LENT);
static ASKED: Mutex<BTreeMap<PathBuf, Arc<Semaphore>>> = Mutex::new(BTreeMap::new());

/// What `question`, which is about `path`, finds. Whoever calls this has a deadline.
pub(crate) async fn ask<T: Send + 'static>(
    path: &Path,
    question: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let ends = |_| "the agent ends".to_owned();
    let turn = turn(path).acquire_owned().await.map_err(ends)?;
    let thread = THREADS.acquire().await.map_err(ends)?;
    let answer = tokio::task::spawn_blocking(move || {
        let answer = question();
        drop((turn, thread));
        answer
    });
    answer.await.map_err(|panic| format!("the agent has a fault: {panic}"))
}

fn turn(path: &Path) -> Arc<Semaphore> {
    let mut asked = ASKED.lock().expect("no panic under this lock");
    // Who asks or waits holds it as well.
    asked.retain(|_, turn| Arc::strong_count(turn) > 1);
    Arc::clone(asked.entry(path.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(1))))
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    #[tokio::test]
    async fn what_hangs_holds_one_thread_and_nobody_who_asks_about_something_else() {
        let (hanging, other) = (Path::new("/hanging"), Path::new("/other"));
        let (let_go, held) = mpsc::channel::<()>();
        let (begun, mut began) = tokio::sync::mpsc::unbounded_channel();
        let hang = tokio::spawn(ask(hanging, move || {
            begun.send(()).unwrap();
            held.recv()
        }));
        began.recv().await.unwrap();
        // Asked ever again, it is not begun again.
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..2 * LENT {
            let tell = tell.clone();
            let again = ask(hanging, move || tell.send(()));
            assert!(tokio::time::timeout(Duration::from_millis(1), again).await.is_err());
        }
        assert!(told.try_recv().is_err());
        assert_eq!(ask(other, || 7).await, Ok(7));
        // It answers at last: so does everything after it.
        drop(let_go);
        assert!(hang.await.unwrap().unwrap().is_err());
        assert_eq!(ask(hanging, || 8).await, Ok(8));
    }
}
