use std::{fs, time::Duration};

use super::*;

fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|&w| w.to_owned()).collect()
}

async fn shell(script: &str, limits: &Limits) -> Finished {
    // The script as a file: what it starts must not carry it in its command line.
    let file = tempfile::NamedTempFile::new().unwrap();
    let own = format!(".{}", std::process::id());
    fs::write(file.path(), script.replace(".OWN", &own)).unwrap();
    let argv = argv(&["/bin/sh", file.path().to_str().unwrap()]);
    let program = Program {
        argv: &argv,
        directory: None,
        environment: &[("GREETING", "hello")],
        on_output: None,
    };
    tokio::time::timeout(Duration::from_secs(20), run(program, limits))
        .await
        .expect("a program never holds the agent up")
        .unwrap()
}

fn minute() -> Limits {
    Limits::of(Duration::from_secs(60))
}

/// So many seconds as nobody else sleeps, in any run of these tests.
fn seconds(number: u32) -> String {
    format!("{number}.{}", std::process::id())
}

/// Whether a `sleep` of these seconds is alive.
fn sleeps(number: u32) -> bool {
    let seconds = seconds(number);
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| line == format!("sleep\0{seconds}\0").as_bytes())
    })
}

#[tokio::test]
async fn tells_the_exit_and_keeps_the_streams_apart() {
    let finished = shell("echo out; echo $GREETING >&2; exit 3", &minute()).await;
    assert_eq!((finished.code, finished.signal), (Some(3), None));
    assert_eq!(finished.stdout, "out\n");
    assert!(finished.output.tail.contains("out\n") && finished.output.tail.contains("hello\n"));
    assert_eq!(finished.why(), "exit code 3");
    let finished = shell("kill -9 $$", &minute()).await;
    assert_eq!((finished.code, finished.signal), (None, Some(9)));
}

#[tokio::test]
async fn inherits_nothing_and_reads_nothing() {
    let finished = shell("env | sort | cut -d= -f1; cat", &minute()).await;
    let names: Vec<_> =
        finished.stdout.lines().filter(|n| !["PWD", "_", "SHLVL", "OLDPWD"].contains(n)).collect();
    assert_eq!(names, ["DV_TREE", "GREETING", "HOME", "LANG", "PATH"]);
}

#[tokio::test]
async fn a_flood_is_capped() {
    let finished = shell("yes 0123456789 | head -c 3000000; echo end", &minute()).await;
    assert_eq!(finished.output.tail.len(), Output::LIMIT);
    assert!(finished.output.tail.ends_with("end\n"));
    assert_eq!(finished.output.dropped, 3_000_004 - Output::LIMIT as u64);
}

#[tokio::test]
async fn the_deadline_kills_the_whole_tree() {
    adopt_orphans().unwrap();
    let limits = Limits::of(Duration::from_millis(300));
    let script = "
        trap '' TERM
        sleep 4711.OWN &
        setsid sleep 4712.OWN &
        setsid sh -c 'trap \"\" TERM; sleep 4713.OWN & sleep 4714.OWN' &
        (setsid sleep 4715.OWN &)
        (env -i setsid sleep 4716.OWN &)
        sleep 4717.OWN";
    let begin = Instant::now();
    let finished = shell(script, &limits).await;
    assert_eq!(finished.stopped, Some(Stop::TimedOut(Span::from_millis(300))));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(finished.leftovers >= 6, "{}", finished.leftovers);
    for number in 4711..=4717 {
        assert!(!sleeps(number), "sleep {number} is still alive");
    }
}

#[tokio::test]
async fn a_background_child_that_keeps_the_output_open_delays_nothing() {
    adopt_orphans().unwrap();
    let begin = Instant::now();
    let finished =
        shell("echo before; (setsid sleep 4721.OWN &) ; echo after; exit 0", &minute()).await;
    assert!(finished.is_success());
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert_eq!(finished.stdout, "before\nafter\n");
    assert_eq!(finished.leftovers, 1);
    assert!(!sleeps(4721));
}

#[tokio::test]
async fn one_tree_is_killed_and_its_neighbour_goes_on() {
    adopt_orphans().unwrap();
    let limits = Limits::of(Duration::from_millis(200));
    let patient = minute();
    let (stopped, went_on) = tokio::join!(
        shell("(setsid sleep 4731.OWN &); sleep 4732.OWN", &limits),
        shell("(setsid sleep 1.5 &); sleep 1; echo done", &patient),
    );
    assert!(stopped.stopped.is_some());
    assert!(!sleeps(4731) && !sleeps(4732));
    assert!(went_on.is_success());
    assert_eq!(went_on.stdout, "done\n");
}

#[tokio::test]
async fn what_is_called_off_is_killed() {
    let cancel = tokio_util::sync::CancellationToken::new();
    let limits = Limits::new(Span::from_secs(60), cancel.clone());
    let on_output = move |_: &str| cancel.cancel();
    let script = format!("echo running; sleep {}", seconds(4741));
    let argv = argv(&["/bin/sh", "-c", &script]);
    let program =
        Program { argv: &argv, directory: None, environment: &[], on_output: Some(&on_output) };
    let finished = run(program, &limits).await.unwrap();
    assert_eq!(finished.stopped, Some(Stop::Cancelled));
    assert!(!sleeps(4741));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error() {
    let argv = argv(&["/nowhere/program"]);
    let program = Program { argv: &argv, directory: None, environment: &[], on_output: None };
    assert_eq!(run(program, &minute()).await.unwrap_err().kind(), io::ErrorKind::NotFound);
}
