//! The program itself: its start, what systemd hears, and its end.

use std::{
    fs,
    io::Read as _,
    os::unix::net::UnixDatagram,
    path::Path,
    process::{Child, Command, Stdio},
};

use dv_proto::{
    dial,
    v1::{CreateTokenRequest, control_client::ControlClient},
};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::support::PATIENCE;

fn program(directory: &Path, config: &str) -> Command {
    let file = directory.join("coordinator.yaml");
    fs::write(&file, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dv-coordinator"));
    command.args(["run", "--config"]).arg(file).env_remove("JOURNAL_STREAM");
    command.env_remove("NOTIFY_SOCKET").stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

pub(super) fn config(directory: &Path) -> String {
    format!("listen: 127.0.0.1:0\nstate_dir: {}\n", directory.join("state").display())
}

/// Starts it, and waits for what it tells systemd.
pub(super) fn ready(directory: &Path) -> (Child, String) {
    let (child, socket) = started(directory, program(directory, &config(directory)));
    let told = told(&socket);
    fs::remove_file(directory.join("notify")).unwrap();
    (child, told)
}

fn started(directory: &Path, mut command: Command) -> (Child, UnixDatagram) {
    let socket = UnixDatagram::bind(directory.join("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let child = command.env("NOTIFY_SOCKET", directory.join("notify")).spawn().unwrap();
    (child, socket)
}

/// What systemd is told next.
fn told(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

pub(super) fn end(mut child: Child) -> (Option<i32>, String) {
    let pid = Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

#[test]
fn it_starts_says_so_and_ends_when_told() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let (child, told) = ready(directory.path());
        assert!(told.contains("READY=1"), "{told}");
        assert!(told.contains("STATUS=0 of 0 hosts in contact"), "{told}");
        let (code, said) = end(child);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("operator/admin.yaml"), "{said}");
    }
}

#[test]
fn what_it_can_not_do_it_says_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let fails = |config: &str| {
        let output = program(directory.path(), config).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = fails("listen: 127.0.0.1:0\nheartbaet: 1s\n");
    assert!(said.contains("coordinator.yaml") && said.contains("heartbaet"), "{said}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let said = fails(&format!(
        "listen: {}\nstate_dir: {}\n",
        taken.local_addr().unwrap(),
        directory.path().join("other").display()
    ));
    assert!(said.contains("can't listen on"), "{said}");
}

#[test]
fn two_do_not_share_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let (first, _) = ready(directory.path());
    let second = program(directory.path(), &config(directory.path())).output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(said.contains("can't be opened"), "{said}");
    assert_eq!(end(first).0, Some(0));
}

#[test]
fn killed_it_starts_again_at_once() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let (mut child, told) = ready(directory.path());
        assert!(told.contains("READY=1"), "{told}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// The program where files may be limited in size, which is as good as a full disk: who writes beyond is told so.
fn limited(directory: &Path, limit: &str) -> Command {
    let command = program(directory, &config(directory));
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {limit}; exec \"$@\"")).arg("sh");
    shell.arg(command.get_program()).args(command.get_args());
    shell.env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET");
    shell.stdout(Stdio::null()).stderr(Stdio::piped());
    shell
}

#[test]
fn on_a_full_disk_the_start_fails_in_words() {
    let directory = tempfile::tempdir().unwrap();
    // A first start in which nothing is full.
    let (child, _) = ready(directory.path());
    assert_eq!(end(child).0, Some(0));
    let output = limited(directory.path(), "0").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last = said.trim_end().lines().last().unwrap();
    assert!(last.contains("ERROR") && last.contains("can't be opened"), "{said}");
}

#[tokio::test]
async fn when_the_disk_runs_full_it_ends_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let (mut child, socket) = started(directory.path(), limited(directory.path(), "unlimited"));
    assert!(told(&socket).contains("READY=1"));
    let context = directory.path().join("state/operator/admin.yaml");
    let context: Context = serde_saphyr::from_str(&fs::read_to_string(context).unwrap()).unwrap();
    let identity = dial::Identity { certificate: &context.certificate, key: &context.key };
    let tls = dial::client_tls(&context.ca, Some(identity)).unwrap();
    let mut operator = ControlClient::new(dial::channel(&context.coordinator, tls).unwrap());
    let request = || CreateTokenRequest { host: "web1".to_owned(), ..Default::default() };
    operator.create_token(request()).await.unwrap();

    let none = Rlimit { current: Some(0), maximum: Some(0) };
    prlimit(Some(Pid::from_child(&child)), Resource::Fsize, none).unwrap();
    operator.create_token(request()).await.unwrap_err();
    // Status lines that came at their pace may wait before it.
    let status = (0..9).map(|_| told(&socket)).find(|told| told.contains("STOPPING=1")).unwrap();
    assert!(status.contains("STATUS=ends: the store failed"), "{status}");
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    let last = said.trim_end().lines().last().unwrap();
    assert!(last.contains("the store failed") && last.contains("next start"), "{said}");
    // And with room on the disk it is as it was.
    fs::remove_file(directory.path().join("notify")).unwrap();
    let (child, told) = ready(directory.path());
    assert!(told.contains("READY=1"), "{told}");
    assert_eq!(end(child).0, Some(0));
}

#[derive(serde::Deserialize)]
struct Context {
    coordinator: String,
    ca: String,
    certificate: String,
    key: String,
}
