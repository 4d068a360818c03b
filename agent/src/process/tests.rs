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

/// Limits that are reached when `stop` is called.
fn until_stopped() -> (Limits, tokio_util::sync::CancellationToken) {
    let stop = tokio_util::sync::CancellationToken::new();
    (Limits::new(Span::from_secs(60), stop.clone()), stop)
}

/// Waits until there is a `sleep` of each of these seconds.
async fn asleep(numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        while !sleeps(number) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn the_deadline_kills() {
    let finished = shell("sleep 4701.OWN", &Limits::of(Duration::from_millis(300))).await;
    assert_eq!(finished.stopped, Some(Stop::TimedOut(Span::from_millis(300))));
    assert!(!sleeps(4701));
}

#[tokio::test]
async fn the_whole_tree_is_killed() {
    adopt_orphans().unwrap();
    let (limits, stop) = until_stopped();
    let script = "
        trap '' TERM
        sleep 4711.OWN &
        setsid sleep 4712.OWN &
        setsid sh -c 'trap \"\" TERM; sleep 4713.OWN & sleep 4714.OWN' &
        (setsid sleep 4715.OWN &)
        (env -i setsid sleep 4716.OWN &)
        sleep 4717.OWN";
    let (finished, ()) = tokio::join!(shell(script, &limits), async {
        asleep(4711..=4717).await;
        stop.cancel();
    });
    assert_eq!(finished.stopped, Some(Stop::Cancelled));
    assert!(finished.leftovers >= 6, "{}", finished.leftovers);
    for number in 4711..=4717 {
        assert!(!sleeps(number), "sleep {number} is still alive");
    }
}

#[tokio::test]
async fn a_background_child_that_keeps_the_output_open_delays_nothing() {
    adopt_orphans().unwrap();
    let finished =
        shell("echo before; (setsid sleep 4721.OWN &) ; echo after; exit 0", &minute()).await;
    assert!(finished.is_success());
    assert_eq!(finished.stdout, "before\nafter\n");
    assert_eq!(finished.leftovers, 1);
    assert!(!sleeps(4721));
}

#[tokio::test]
async fn one_tree_is_killed_and_its_neighbour_goes_on() {
    adopt_orphans().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let go = dir.path().join("go");
    let neighbour = format!(
        "(setsid sleep 4733.OWN &); (env -i sleep 4734.OWN &)
         while [ ! -e {} ]; do sleep 0.05; done; echo done",
        go.display()
    );
    let (limits, stop) = until_stopped();
    let patient = minute();
    let stopped = async {
        let stopped = shell("(setsid sleep 4731.OWN &); sleep 4732.OWN", &limits).await;
        assert_eq!(stopped.stopped, Some(Stop::Cancelled));
        assert!(!sleeps(4731) && !sleeps(4732));
        assert!(sleeps(4733) && sleeps(4734));
        fs::write(&go, "").unwrap();
    };
    let (went_on, (), ()) = tokio::join!(shell(&neighbour, &patient), stopped, async {
        asleep(4731..=4734).await;
        stop.cancel();
    });
    assert!(went_on.is_success());
    assert_eq!(went_on.stdout, "done\n");
    assert!(!sleeps(4733) && !sleeps(4734));
}

/// As where it has become another user's: there is no mark to be read.
#[tokio::test]
async fn an_orphan_without_a_mark_is_known_beside_a_neighbour() {
    adopt_orphans().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let go = dir.path().join("go");
    let (limits, stop) = until_stopped();
    let patient = minute();
    // One by its group; the other is older than the neighbour.
    let script = "(env -i sleep 4751.OWN &); (env -i setsid sleep 4752.OWN &); sleep 4753.OWN";
    let stopped = async {
        let stopped = shell(script, &limits).await;
        assert_eq!(stopped.leftovers, 3);
        assert!(!sleeps(4751) && !sleeps(4752));
        assert!(sleeps(4754));
        fs::write(&go, "").unwrap();
    };
    tokio::join!(stopped, async {
        asleep(4751..=4753).await;
        // The kernel tells who is older only by its ticks, of which there are 100 in a second.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let neighbour = format!(
            "(env -i setsid sleep 4754.OWN &); while [ ! -e {} ]; do sleep 0.05; done",
            go.display()
        );
        let (went_on, ()) = tokio::join!(shell(&neighbour, &patient), async {
            asleep([4754]).await;
            stop.cancel();
        });
        assert!(went_on.is_success());
    });
    assert!(!sleeps(4754));
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

/// Looked at until the agent has said so, which is right after the start.
#[tokio::test]
async fn what_a_program_starts_goes_before_the_agent_when_memory_runs_out() {
    let script = "until [ $(cat /proc/self/oom_score_adj) = 100 ]; do sleep 0.01; done; (cat /proc/self/oom_score_adj)";
    let finished = shell(script, &minute()).await;
    assert_eq!(finished.stdout, "100\n");
    // The agent stays as its unit has made it.
    assert_ne!(fs::read_to_string("/proc/self/oom_score_adj").unwrap(), "100\n");
}

#[test]
fn the_kernels_part_in_an_end_is_told() {
    let killed = |starved| Finished {
        signal: Some(9),
        stopped: None,
        starved,
        ..Finished::stopped_by(Stop::Cancelled)
    };
    assert_eq!(killed(false).why(), "killed by signal 9");
    assert!(killed(true).why().contains("want of memory"));
}

/// What a network file system does that is gone: whoever asks it waits for ever.
#[tokio::test]
async fn a_program_in_a_file_system_that_hangs_is_not_begun_and_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let (let_go, held) = std::sync::mpsc::channel::<()>();
    let (begun, mut began) = tokio::sync::mpsc::unbounded_channel();
    let _hanging = tokio::spawn({
        let path = dir.path().to_owned();
        async move {
            ask(&path, move || {
                begun.send(()).unwrap();
                held.recv()
            })
            .await
        }
    });
    began.recv().await.unwrap();
    let argv = argv(&["/bin/true"]);
    let at = |directory| Program { argv: &argv, directory, environment: &[], on_output: None };
    let soon = Limits::of(Duration::from_millis(100));
    let why = run(at(Some(dir.path())), &soon).await.unwrap_err();
    assert_eq!(why.kind(), io::ErrorKind::TimedOut);
    assert!(why.to_string().contains(dir.path().to_str().unwrap()), "{why}");
    assert!(run(at(None), &minute()).await.unwrap().is_success());
    drop(let_go);
    assert!(run(at(Some(dir.path())), &minute()).await.unwrap().is_success());
}
