//! The program itself: its start, what systemd hears, and its end.

use std::{
    fs,
    io::Read as _,
    os::unix::net::UnixDatagram,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::support::PATIENCE;

fn program(directory: &Path, config: &str) -> Command {
    let file = directory.join("coordinator.yaml");
    fs::write(&file, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dv-coordinator"));
    command.args(["run", "--config"]).arg(file).env_remove("JOURNAL_STREAM");
    command.env_remove("NOTIFY_SOCKET").stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn config(directory: &Path) -> String {
    format!("listen: 127.0.0.1:0\nstate_dir: {}\n", directory.join("state").display())
}

/// Starts it, and waits for what it tells systemd.
fn ready(directory: &Path) -> (Child, String) {
    let socket = UnixDatagram::bind(directory.join("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let child = program(directory, &config(directory))
        .env("NOTIFY_SOCKET", directory.join("notify"))
        .spawn()
        .unwrap();
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    fs::remove_file(directory.join("notify")).unwrap();
    (child, String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn end(mut child: Child) -> (Option<i32>, String) {
    let pid = rustix::process::Pid::from_child(&child);
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

/// A disk that takes no further byte: files may not grow, and who tries is told so.
fn full(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    shell.env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET");
    shell
}

#[test]
fn on_a_full_disk_the_start_fails_in_words() {
    let directory = tempfile::tempdir().unwrap();
    // A first start in which nothing is full.
    let (child, _) = ready(directory.path());
    assert_eq!(end(child).0, Some(0));
    let command = program(directory.path(), &config(directory.path()));
    let output = full(&command).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last = said.trim_end().lines().last().unwrap();
    assert!(last.contains("ERROR") && last.contains("store"), "{said}");
}
