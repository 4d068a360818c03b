//! One fault, and how it is healed.

use std::{fmt, time::Duration};

use crate::{
    docker::docker, held, machine::Machine, manifest::Shape, scenario::Scenario, wait::until,
};

/// Where the agent writes what it must not forget.
const LEDGER: &str = "/var/lib/dv-agent/ledger";
/// A third of all packets is lost, and the others are late. A kernel without `netem` has a narrow line to make them late.
const LOSE: &str = "\
dev=$(ip -oneline route show default | sed 's/.* dev \\([^ ]*\\).*/\\1/')
tc qdisc replace dev \"$dev\" root netem loss 30% delay 100ms 50ms 2>/dev/null && exit
tc qdisc replace dev \"$dev\" root tbf rate 200kbit burst 4kb latency 300ms
iptables -I INPUT -m statistic --mode random --probability 0.3 -j DROP";
const LOSE_NO_MORE: &str = "\
for dev in /sys/class/net/eth*; do
    tc qdisc delete dev \"${dev##*/}\" root 2>/dev/null || true
done
while iptables -D INPUT -m statistic --mode random --probability 0.3 -j DROP 2>/dev/null; do :; done";
const SOON: Duration = Duration::from_secs(60);

/// What goes wrong. Hosts by their number, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// kill -9 of a host's agent.
    AgentKilled(usize),
    /// kill -9 of the coordinator.
    CoordinatorKilled,
    /// kill -9 of the service on a host.
    ServiceKilled(usize),
    /// Every process of a host stands still.
    HostPaused(usize),
    /// Every process of the coordinator's machine stands still.
    CoordinatorPaused,
    /// A host's network is cut.
    HostCutOff(usize),
    /// The coordinator's network is cut.
    CoordinatorCutOff,
    /// A host's network loses a third of all packets and delays the others.
    Lossy(usize),
    /// A host's power is cut; it boots again.
    Rebooted(usize),
    /// A host's agent can write nothing more.
    DiskFull(usize),
    /// The service does not come up on a host.
    SlowHealth(usize),
    /// The registry answers nobody.
    RegistryDown,
    /// A host's Docker accepts and never answers.
    DockerHung(usize),
}

impl Fault {
    /// How many kinds there are.
    pub const KINDS: usize = 13;

    pub(super) fn of(kind: usize, host: usize) -> Self {
        match kind {
            0 => Self::AgentKilled(host),
            1 => Self::CoordinatorKilled,
            2 => Self::ServiceKilled(host),
            3 => Self::HostPaused(host),
            4 => Self::CoordinatorPaused,
            5 => Self::HostCutOff(host),
            6 => Self::CoordinatorCutOff,
            7 => Self::Lossy(host),
            8 => Self::Rebooted(host),
            9 => Self::DiskFull(host),
            10 => Self::SlowHealth(host),
            11 => Self::RegistryDown,
            _ => Self::DockerHung(host),
        }
    }

    /// Which machine it strikes: a host's number, or one beyond.
    pub(super) fn machine(self) -> usize {
        match self {
            Self::AgentKilled(n)
            | Self::ServiceKilled(n)
            | Self::HostPaused(n)
            | Self::HostCutOff(n)
            | Self::Lossy(n)
            | Self::Rebooted(n)
            | Self::DiskFull(n)
            | Self::SlowHealth(n)
            | Self::DockerHung(n) => n,
            Self::CoordinatorKilled | Self::CoordinatorPaused | Self::CoordinatorCutOff => 5,
            Self::RegistryDown => 6,
        }
    }

    #[cfg(test)]
    pub(super) fn kind(self) -> usize {
        (0..Self::KINDS).find(|kind| (0..5).any(|host| Self::of(*kind, host) == self)).unwrap_or(0)
    }

    /// The host whose service may be away because of it, whatever dv does.
    pub(super) fn takes_out(self) -> Option<usize> {
        match self {
            Self::ServiceKilled(n)
            | Self::HostPaused(n)
            | Self::HostCutOff(n)
            | Self::Lossy(n)
            | Self::Rebooted(n)
            | Self::DockerHung(n) => Some(n),
            _ => None,
        }
    }

    /// The host on which others than dv start the service.
    pub(super) fn starts_on(self) -> Option<usize> {
        match self {
            Self::ServiceKilled(n) | Self::Rebooted(n) => Some(n),
            _ => None,
        }
    }

    /// Before the rollout begins: the disk that is going to be full is a small one.
    pub(super) fn prepare(self, scenario: &Scenario) {
        if let Self::DiskFull(n) = self {
            let script = format!(
                "mountpoint --quiet {LEDGER} && exit 0\n\
                 systemctl stop dv-agent\n\
                 cp -a {LEDGER} /var/lib/dv-agent/ledger.kept\n\
                 mount -t tmpfs -o size=8m,mode=700 small {LEDGER}\n\
                 cp -a /var/lib/dv-agent/ledger.kept/. {LEDGER}\n\
                 systemctl start dv-agent"
            );
            scenario.bed.hosts[n].script(&script).ok();
            until(SOON, "the agent to be back", || scenario.dvctl.all_connected());
        }
    }

    /// It strikes.
    pub(super) fn strike(self, scenario: &Scenario, shape: Shape) {
        let host = |n: usize| &scenario.bed.hosts[n];
        let coordinator = &scenario.bed.coordinator;
        match self {
            Self::AgentKilled(n) => kill(host(n), "dv-agent.service"),
            Self::CoordinatorKilled => kill(coordinator, "dv-coordinator.service"),
            Self::ServiceKilled(n) if shape == Shape::Image => {
                let kill = "kill -9 $(docker inspect --format '{{.State.Pid}}' debvisor)";
                host(n).exec(&["sh", "-c", kill]);
            }
            Self::ServiceKilled(n) => kill(host(n), shape.unit()),
            Self::HostPaused(n) => pause(host(n)),
            Self::CoordinatorPaused => pause(coordinator),
            Self::HostCutOff(n) => host(n).cut_off(),
            Self::CoordinatorCutOff => coordinator.cut_off(),
            Self::Lossy(n) => drop(host(n).script(LOSE).ok()),
            Self::Rebooted(n) => host(n).power_off(),
            Self::DiskFull(n) => {
                // It ends with "no space left", which is what is wanted.
                host(n).exec(&["dd", "if=/dev/zero", &format!("of={LEDGER}/fill"), "bs=4k"]);
            }
            Self::SlowHealth(n) => held::hold(host(n)),
            Self::RegistryDown => {
                scenario.bed.infra.exec(&["systemctl", "stop", "bed-registry.service"]).ok();
            }
            Self::DockerHung(n) => {
                host(n).exec(&["pkill", "--signal", "STOP", "--exact", "dockerd"]);
            }
        }
    }

    /// It is over. What a host needs to be whole again beyond that, [`Scenario::heal`] does.
    pub(super) fn heal(self, scenario: &Scenario, shape: Shape) {
        let host = |n: usize| &scenario.bed.hosts[n];
        let coordinator = &scenario.bed.coordinator;
        match self {
            Self::AgentKilled(_) | Self::CoordinatorKilled => {}
            // Its unit is not restarted by systemd. Where dv has done that already, it is no start.
            Self::ServiceKilled(n) => drop(host(n).exec(&["systemctl", "start", shape.unit()])),
            Self::HostPaused(n) => unpause(host(n)),
            Self::CoordinatorPaused => unpause(coordinator),
            Self::HostCutOff(n) => host(n).plug_in(),
            Self::CoordinatorCutOff => coordinator.plug_in(),
            Self::Lossy(n) => drop(host(n).script(LOSE_NO_MORE).ok()),
            Self::Rebooted(n) => {
                host(n).power_on();
                host(n).booted().expect("the host boots");
            }
            Self::DiskFull(n) => {
                host(n).exec(&["rm", "--force", &format!("{LEDGER}/fill")]).ok();
            }
            Self::SlowHealth(n) => held::release(host(n)),
            Self::RegistryDown => {
                scenario.bed.infra.exec(&["systemctl", "start", "bed-registry.service"]).ok();
            }
            Self::DockerHung(n) => {
                host(n).exec(&["pkill", "--signal", "CONT", "--exact", "dockerd"]);
            }
        }
    }

    /// After the round: the agent writes to its own disk again.
    pub(super) fn tidy(self, scenario: &Scenario) {
        if let Self::DiskFull(n) = self {
            let script = format!(
                "mountpoint --quiet {LEDGER} || exit 0\n\
                 systemctl stop dv-agent\n\
                 rm -rf /var/lib/dv-agent/ledger.kept\n\
                 cp -a {LEDGER} /var/lib/dv-agent/ledger.kept\n\
                 umount {LEDGER}\n\
                 rm -rf {LEDGER}\n\
                 mv /var/lib/dv-agent/ledger.kept {LEDGER}\n\
                 systemctl start dv-agent"
            );
            scenario.bed.hosts[n].script(&script).ok();
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AgentKilled(n) => write!(f, "agent of h{} killed", n + 1),
            Self::CoordinatorKilled => write!(f, "coordinator killed"),
            Self::ServiceKilled(n) => write!(f, "service of h{} killed", n + 1),
            Self::HostPaused(n) => write!(f, "h{} paused", n + 1),
            Self::CoordinatorPaused => write!(f, "coordinator paused"),
            Self::HostCutOff(n) => write!(f, "h{} cut off", n + 1),
            Self::CoordinatorCutOff => write!(f, "coordinator cut off"),
            Self::Lossy(n) => write!(f, "h{} loses packets", n + 1),
            Self::Rebooted(n) => write!(f, "h{} without power", n + 1),
            Self::DiskFull(n) => write!(f, "disk of h{} full", n + 1),
            Self::SlowHealth(n) => write!(f, "service of h{} does not come up", n + 1),
            Self::RegistryDown => write!(f, "registry down"),
            Self::DockerHung(n) => write!(f, "Docker of h{} hangs", n + 1),
        }
    }
}

/// It may be away already, by another fault.
fn kill(machine: &Machine, unit: &str) {
    machine.exec(&["systemctl", "kill", "--kill-who=main", "--signal=KILL", unit]);
}

fn pause(machine: &Machine) {
    docker(&["pause", &machine.container]);
}

fn unpause(machine: &Machine) {
    docker(&["unpause", &machine.container]);
}
