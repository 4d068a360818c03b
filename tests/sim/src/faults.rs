//! What goes wrong outside the programs, at times that the seed says.

use std::{sync::Arc, time::Duration};

use crate::{coordinator::Machine, host::Host, world::World};

/// Makes faults until it is dropped.
pub(crate) async fn happen(world: Arc<World>, machine: Arc<Machine>) {
    let pace = world.scenario.troubles.pace;
    if pace == 0 {
        return std::future::pending().await;
    }
    let mut chance = world.chance("faults");
    let hosts: Vec<Arc<Host>> = world.hosts.values().cloned().collect();
    loop {
        tokio::time::sleep(chance.millis(0, 2 * pace)).await;
        let host = Arc::clone(chance.pick(&hosts));
        let (short, long) = (chance.millis(100, 20_000), chance.millis(1_000, 120_000));
        let tell = |what: &str| world.tell(|| format!("fault       {what}"));
        let on = |what: &str| {
            host.touch(&world);
            world.tell(|| format!("fault       {}: {what}", host.name));
        };
        match chance.between(0, 99) {
            0..15 => {
                tell("the coordinator is killed");
                machine.kill();
            }
            15..19 => {
                // A host that still waits for it may be held for lost.
                hosts.iter().for_each(|host| host.touch(&world));
                machine.stop();
            }
            19..39 => {
                on("its agent is killed");
                host.kill_agent();
            }
            39..49 => {
                let world = Arc::clone(&world);
                tokio::spawn(async move { host.power_cut(&world, short).await });
            }
            49..57 => {
                on("its connections are reset");
                host.path.reset();
            }
            57..75 => {
                let (up, down) =
                    *chance.pick(&[(true, true), (true, true), (true, false), (false, true)]);
                on(&format!("cut off, up {up} down {down}, for {long:?}"));
                tokio::spawn(async move {
                    if up {
                        host.path.up.close();
                    }
                    if down {
                        host.path.down.close();
                    }
                    tokio::time::sleep(long).await;
                    host.path.up.open();
                    host.path.down.open();
                });
            }
            75..81 => {
                on(&format!("slow for {long:?}"));
                let (path, disk) = (chance.between(100, 8_000), chance.between(5, 3_000));
                host.path.slow(path);
                host.disk.slow(disk);
                tokio::spawn(async move {
                    tokio::time::sleep(long).await;
                    host.path.slow(0);
                    host.disk.slow(5);
                });
            }
            81..86 => {
                on(&format!("its disk is full for {long:?}"));
                host.disk.fill(true);
                tokio::spawn(async move {
                    tokio::time::sleep(long).await;
                    host.disk.fill(false);
                });
            }
            86..93 => {
                let (flaky, hangs) = (chance.between(0, 600), chance.between(0, 200));
                on(&format!("of 1000 programs {flaky} fail and {hangs} hang"));
                let mut state = host.state();
                (state.flaky, state.hangs) = (flaky, hangs);
            }
            93..97 => {
                let skew = chance.between(0, 14_400) as i64 - 7_200;
                on(&format!("its clock is set to {skew} s"));
                host.state().skew = skew;
            }
            _ => {
                let skew = chance.between(0, 600) as i64 - 300;
                tell(&format!("the coordinator's clock is set to {skew} s"));
                *machine.skew.lock().unwrap() = skew;
                // By such a clock any host is late.
                hosts.iter().for_each(|host| host.touch(&world));
            }
        }
    }
}

/// Everything is put right, for good.
pub(crate) fn heal(world: &World, machine: &Machine) {
    world.tell(|| "fault       no more: all is put right".to_owned());
    world.heal();
    *machine.skew.lock().unwrap() = 0;
    for host in world.machines() {
        host.path.up.open();
        host.path.down.open();
        host.path.slow(0);
        host.disk.slow(5);
        host.disk.fill(false);
        let mut state = host.state();
        (state.flaky, state.hangs) = (0, 0);
    }
}

/// The longest that a fault of before can still be there.
pub(crate) const AFTERMATH: Duration = Duration::from_secs(130);
