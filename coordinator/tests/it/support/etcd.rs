//! A real etcd on this machine.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use dv_coordinator::leader::{Cluster, EtcdConfig};
use dv_etcd::Etcd;
use dv_types::Span;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::port;

/// How long members have to find one another.
const START: Duration = Duration::from_secs(30);

/// A cluster; dropped, it is gone.
pub(crate) struct Servers {
    directory: TempDir,
    members: Vec<Member>,
}

struct Member {
    child: Option<Child>,
    client: u16,
    peer: u16,
}

impl Servers {
    /// So many members, ready.
    pub(crate) async fn start(count: usize) -> Self {
        let held: Vec<_> = (0..2 * count).map(|_| port::hold()).collect();
        let ports = held.iter().map(|port| port.local_addr().unwrap().port()).collect::<Vec<_>>();
        let member = |ports: &[u16]| Member { child: None, client: ports[0], peer: ports[1] };
        let members = ports.chunks(2).map(member).collect();
        drop(held);
        let mut servers = Self { directory: tempfile::tempdir().unwrap(), members };
        for number in 0..count {
            servers.restart(number);
        }
        servers.etcd().get(START, "ready").await.expect("etcd serves");
        servers
    }

    /// Starts a member; again, if it has run before.
    pub(crate) fn restart(&mut self, number: usize) {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let everybody = self.members.iter().enumerate();
        let everybody: Vec<_> =
            everybody.map(|(n, member)| format!("m{n}={}", url(member.peer))).collect();
        let directory = self.directory.path().join(format!("m{number}"));
        let member = &mut self.members[number];
        let child = Command::new("etcd")
            .arg("--name")
            .arg(format!("m{number}"))
            .arg("--data-dir")
            .arg(&directory)
            .args(["--listen-client-urls", &url(member.client)])
            .args(["--advertise-client-urls", &url(member.client)])
            .args(["--listen-peer-urls", &url(member.peer)])
            .args(["--initial-advertise-peer-urls", &url(member.peer)])
            .args(["--initial-cluster", &everybody.join(",")])
            .args(["--initial-cluster-state", "new", "--logger", "zap"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        member.child = Some(child.expect(
            "these tests need a real etcd: `cargo ci` installs it, or apt-get install etcd-server",
        ));
    }

    /// Ends a member as `kill -9` does.
    pub(crate) fn kill(&mut self, number: usize) {
        if let Some(mut child) = self.members[number].child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The number of the member that leads the others.
    pub(crate) async fn leading(&self) -> usize {
        for (number, member) in self.members.iter().enumerate() {
            let address = format!("127.0.0.1:{}", member.client);
            let one = Etcd::new(&[address], None, None).unwrap();
            if one.leads(START).await.unwrap() {
                return number;
            }
        }
        panic!("no member leads");
    }

    /// Stops a member where it stands, or lets it go on.
    pub(crate) fn pause(&self, number: usize, paused: bool) {
        let child = self.members[number].child.as_ref().unwrap();
        let signal = if paused { Signal::STOP } else { Signal::CONT };
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// The addresses for clients.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.members.iter().map(|member| format!("127.0.0.1:{}", member.client)).collect()
    }

    pub(crate) fn etcd(&self) -> Etcd {
        Etcd::new(&self.addresses(), None, None).unwrap()
    }

    /// The cluster below a prefix, as a coordinator would reach it by `addresses`.
    pub(crate) fn cluster_by(&self, addresses: &[String], prefix: &str, lease: u64) -> Cluster {
        let config = EtcdConfig { lease: Span::from_secs(lease), ..EtcdConfig::default() };
        config.cluster(addresses, prefix, None).unwrap()
    }

    pub(crate) fn cluster(&self, prefix: &str) -> Cluster {
        self.cluster_by(&self.addresses(), prefix, 2)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for number in 0..self.members.len() {
            self.kill(number);
        }
    }
}
