//! A clock that is wrong on one host. Containers share their kernel's, which nobody may set, so the agent there reads
//! another: libfaketime answers it in the kernel's place. How long something takes is measured as before.

use crate::machine::Machine;

/// Where systemd finds what is different; the next test's reset takes it away too.
const DROP_IN: &str = "/run/systemd/system/dv-agent.service.d/clock.conf";
const ANEW: &str = "systemctl daemon-reload; systemctl restart dv-agent";

/// An agent reads a wrong clock until this is dropped.
#[derive(Debug)]
pub struct WrongClock<'h> {
    host: &'h Machine,
}

impl<'h> WrongClock<'h> {
    /// From now on, so far from the right time: `+90s`.
    #[must_use]
    #[track_caller]
    pub fn on(host: &'h Machine, offset: &str) -> Self {
        let machine = std::env::consts::ARCH;
        let unit = format!(
            "[Service]
Environment=LD_PRELOAD=/usr/lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1
Environment=FAKETIME={offset} FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 FAKETIME_DISABLE_SHM=1
"
        );
        host.write(DROP_IN, &unit).expect("the unit is written");
        host.script(ANEW).ok();
        Self { host }
    }
}

impl Drop for WrongClock<'_> {
    fn drop(&mut self) {
        // A test that has failed already shall say so itself.
        self.host.script(&format!("rm --force {DROP_IN}; {ANEW}"));
    }
}
