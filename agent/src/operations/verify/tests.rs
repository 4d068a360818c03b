use std::time::Duration;

use dv_types::{Operation, Probe};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::operations::{perform, testing};

/// Answers each request with the next of these statuses, the last for ever.
async fn service(statuses: &'static [u16]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut statuses = statuses.iter().copied().peekable();
        while let Ok((mut stream, _)) = listener.accept().await {
            let status = match statuses.len() {
                1 => *statuses.peek().unwrap(),
                _ => statuses.next().unwrap(),
            };
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 3\r\n\r\nno\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://{address}/health/ready")
}

async fn verified(
    url: String,
    successes: u32,
    min: u64,
    deadline: u64,
) -> (OpResult, u32, Option<Span>, Option<String>) {
    let probing = Probing {
        probes: vec![("ready".into(), Probe::Http { url, status: None })],
        interval: Span::from_millis(20),
        timeout: Span::from_secs(20),
        successes,
    };
    let operation = Operation::Verify {
        probing,
        min_healthy_time: Span::from_millis(min),
        healthy_deadline: Span::from_millis(deadline),
    };
    let context = testing::context(testing::no_ports(), operation.time_limit());
    let Attempt { result, evidence, .. } = perform(&operation, &context).await;
    match evidence {
        Some(Evidence::Health { rounds, first_good, last_bad }) => {
            (result, rounds, first_good, last_bad)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn ends_at_the_first_good_round_where_no_more_is_asked() {
    let (result, rounds, first_good, last_bad) =
        verified(service(&[503, 503, 200]).await, 1, 0, 60_000).await;
    assert_eq!((result, rounds), (OpResult::Done, 3));
    assert!(first_good.is_some());
    assert_eq!(last_bad.as_deref(), Some("ready: HTTP 503: no"));
}

#[tokio::test]
async fn a_bad_round_begins_it_all_again() {
    let url = service(&[200, 200, 500, 200]).await;
    let (result, rounds, ..) = verified(url, 3, 0, 60_000).await;
    assert_eq!((result, rounds), (OpResult::Done, 6));
}

#[tokio::test]
async fn must_stay_healthy_for_the_time_asked() {
    let began = Instant::now();
    let (result, rounds, first_good, _) = verified(service(&[200]).await, 1, 150, 60_000).await;
    assert_eq!(result, OpResult::Done);
    assert!(rounds >= 2, "{rounds}");
    let healthy = began.elapsed().saturating_sub(first_good.unwrap().get());
    assert!(healthy >= Duration::from_millis(150), "{healthy:?}");
}

#[tokio::test]
async fn has_failed_by_the_deadline_and_says_what_was_wrong() {
    let (result, _, first_good, _) = verified(service(&[503]).await, 1, 0, 2000).await;
    let OpResult::TimedOut(why) = result else { panic!("{result:?}") };
    assert!(why.contains("2s") && why.contains("ready: HTTP 503"), "{why}");
    assert_eq!(first_good, None);
}

#[tokio::test]
async fn is_called_off() {
    let cancel = tokio_util::sync::CancellationToken::new();
    let mut context = testing::context(testing::no_ports(), Span::from_secs(60));
    context.limits = crate::limits::Limits::new(Span::from_secs(60), cancel.clone());
    let probing = Probing {
        probes: vec![("live".into(), Probe::Tcp { address: "127.0.0.1:1".into() })],
        interval: Span::from_secs(60),
        timeout: Span::from_secs(1),
        successes: 1,
    };
    let (attempt, ()) =
        tokio::join!(verify(&context, &probing, Span::ZERO, Span::from_secs(60)), async {
            cancel.cancel();
        },);
    assert_eq!(attempt.unwrap().result, OpResult::Cancelled);
}
