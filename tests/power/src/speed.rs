//! What durability costs: commits per second, with and without what makes them outlive a power cut.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use dv_coordinator::{
    ports::Store,
    store::{Batch, DEFAULT_FLOOR, Key, SledStore},
};
use tokio::{runtime::Runtime, task::JoinSet};

/// Callers that commit at the same time, where it is many.
const MANY: u64 = 64;
/// What is written by each commit, in bytes.
const VALUE: usize = 200;

/// Commits per second.
#[derive(Debug, Clone, Copy)]
pub struct Speed {
    /// sled as it is shipped, one thread.
    pub shipped: f64,
    /// The store, one caller.
    pub alone: f64,
    /// The store, many callers, all together.
    pub many: f64,
}

/// Measures each for so long. The store comes last: from then on, this process is cured.
pub fn speed(each: Duration) -> Result<Speed, String> {
    let directory = tempfile::tempdir().map_err(|why| why.to_string())?;
    let shipped = shipped(&directory.path().join("shipped"), each)?;
    let runtime = Runtime::new().map_err(|why| why.to_string())?;
    let state = directory.path().join("state");
    let store = SledStore::open(&state, DEFAULT_FLOOR).map_err(|why| why.to_string())?;
    let store: Arc<dyn Store> = Arc::new(store);
    let alone = runtime.block_on(callers(&store, 1, each))?;
    let many = runtime.block_on(callers(&store, MANY, each))?;
    Ok(Speed { shipped, alone, many })
}

fn shipped(directory: &Path, each: Duration) -> Result<f64, String> {
    let db = sled::open(directory).map_err(|why| why.to_string())?;
    let (began, mut count) = (Instant::now(), 0_u32);
    while began.elapsed() < each {
        let mut batch = sled::Batch::default();
        batch.insert(&count.to_be_bytes(), vec![b'x'; VALUE]);
        db.apply_batch(batch).map_err(|why| why.to_string())?;
        db.flush().map_err(|why| why.to_string())?;
        count += 1;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

async fn callers(store: &Arc<dyn Store>, callers: u64, each: Duration) -> Result<f64, String> {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for caller in 0..callers {
        let store = Arc::clone(store);
        running.spawn(async move {
            let mut count = 0_u32;
            while began.elapsed() < each {
                let key = Key::from_bytes(format!("{callers}/{caller}/{count}").as_bytes());
                let batch = Batch::default().put(key, vec![b'x'; VALUE]);
                store.commit(batch).await.map_err(|why| why.to_string())?;
                count += 1;
            }
            Ok::<u32, String>(count)
        });
    }
    let mut count = 0;
    while let Some(ended) = running.join_next().await {
        count += ended.map_err(|why| why.to_string())??;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}
