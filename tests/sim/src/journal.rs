//! What becomes durable, seen from outside: entry by entry, as it is written.

use std::sync::Arc;

use dv_coordinator::{
    ports::Store as _,
    store::{Entry, MemoryStore, Write},
};
use dv_types::{CommandId, HostName, Plan, RolloutId};

use crate::world::World;

/// Looks at what coordinator `number` has just written.
pub(crate) async fn written(world: &Arc<World>, kept: &MemoryStore, number: u32, writes: &[Write]) {
    world.check(|watch| watch.wrote(number));
    for write in writes {
        let Some(value) = &write.value else { continue };
        let entry = Entry::read(&write.key, value).expect("what is written can be read");
        match entry {
            Entry::Header(header) => {
                let text = kept.document(header.plan.clone()).await;
                let text = text.ok().flatten().expect("a plan is kept before its rollout");
                let plan: Plan = serde_json::from_str(&text).expect("a plan can be read");
                world.tell(|| {
                    let end = header.end.as_ref().map(|end| &end.summary.state);
                    let (id, kind, version) = (header.rollout, &header.kind, &header.version);
                    format!("journal     {id}: {kind} {version}, end {end:?}")
                });
                world.check(|watch| watch.header(&header, plan));
            }
            Entry::Records(rollout, records) => {
                for record in records {
                    world.tell(|| {
                        let (epoch, n) = (record.epoch, record.number);
                        let fact = serde_json::to_string(&record.fact).unwrap_or_default();
                        format!("journal     {rollout} #{n} (epoch {epoch}) {fact}")
                    });
                    world.check(|watch| watch.record(world, rollout, &record));
                }
            }
            Entry::Other => {
                if let Some((command, host)) = late(write.key.as_bytes()) {
                    world.watch().kept_late(command, host);
                }
            }
        }
    }
}

/// The command and the host of an outcome that was kept although nobody waited for it.
fn late(key: &[u8]) -> Option<(CommandId, HostName)> {
    let rest = key.strip_prefix(b"late/")?;
    let (rollout, rest) = rest.split_first_chunk::<8>()?;
    let (number, host) = rest.split_first_chunk::<8>()?;
    let number = u32::try_from(u64::from_be_bytes(*number)).ok()?;
    let command = CommandId { rollout: RolloutId(u64::from_be_bytes(*rollout)), number };
    Some((command, HostName::new(String::from_utf8(host.to_vec()).ok()?).ok()?))
}
