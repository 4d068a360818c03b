use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

const TEXT: &str = r#"# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{code="200",path="/"} 90 1395066363000
http_requests_total{code="200",path="/login"} 5
http_requests_total{code="500",path="/"} 3
http_requests_total{code="503",path="/login"} 1e0
http_requests_total{code="404",path="/5"} 1
http_requests_created{code="500"} NaN
# TYPE http_request_seconds histogram
http_request_seconds_bucket{path="/",le="+Inf"} 93
http_request_seconds_bucket{path="/",le="0.1"} 80
http_request_seconds_bucket{path="/",le="1"} 90
http_request_seconds_bucket{path="/login",le="0.1"} 1
http_request_seconds_bucket{path="/login",le="1.0"} 5
http_request_seconds_bucket{path="/login",le="+Inf"} 7
http_request_seconds_sum{path="/"} 12.5
http_request_seconds_count{path="/"} 93
"#;

fn metrics(url: &str) -> Metrics {
    Metrics {
        url: url.to_owned(),
        requests: "http_requests_total".to_owned(),
        status_label: "code".to_owned(),
        latency: Some("http_request_seconds".to_owned()),
    }
}

fn summed(text: &str) -> Result<Reading, String> {
    let mut reading =
        Reading { requests: None, errors: None, buckets: Vec::new(), probe: None, good: None };
    sum(text, &metrics(""), &mut reading).map(|()| reading)
}

#[test]
fn all_sets_of_labels_are_added_up() {
    let reading = summed(TEXT).unwrap();
    assert_eq!((reading.requests, reading.errors), (Some(100.0), Some(4.0)));
    assert_eq!(reading.buckets, [(0.1, 81.0), (1.0, 95.0), (f64::INFINITY, 100.0)]);
}

/// A service that was just started has counted nothing; a wrong name is something else.
#[test]
fn nothing_yet_is_not_the_same_as_nothing_at_all() {
    let reading =
        summed("# TYPE http_requests_total counter\n# TYPE http_request_seconds histogram\n");
    let reading = reading.unwrap();
    assert_eq!((reading.requests, reading.errors), (Some(0.0), Some(0.0)));
    for (text, why) in [
        ("up 1\n", "there is no `http_requests_total`"),
        ("http_requests_total{code=\"200\"} 1\n", "there is no `http_request_seconds`"),
        ("http_requests_total{status=\"500\"} 1\n", "has no label `code`"),
        ("http_requests_total{code=\"200\"} NaN\n", "is NaN"),
        ("http_request_seconds_bucket{path=\"/\"} 1\n", "le=\"\""),
        ("http_request_seconds_bucket{le=\"fast\"} 1\n", "le=\"fast\""),
        ("<html>\n", "line 1"),
    ] {
        let found = summed(text).unwrap_err();
        assert!(found.contains(why), "{text}: {found}");
    }
}

/// A server that gives this answer, byte for byte; with an empty one it hangs.
async fn server(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            if answer.is_empty() {
                std::future::pending::<()>().await;
            }
        }
    });
    format!("http://{address}/metrics")
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}")
}

#[tokio::test]
async fn a_service_is_scraped() {
    let url = server(ok(TEXT)).await;
    let Ok(Finding::Metrics(reading)) = read(Some(&metrics(&url))).await else {
        panic!("no reading")
    };
    assert_eq!(reading.requests, Some(100.0));
    let Ok(Finding::Metrics(empty)) = read(None).await else { panic!("no reading") };
    assert_eq!((empty.requests, empty.errors), (None, None));
}

#[tokio::test]
async fn a_bad_answer_is_told_with_its_url() {
    let long = format!("{TEXT}# {}\n", "x".repeat(LONGEST));
    for (answer, why) in [
        (ok(&long), "longer than 1024 KiB"),
        (
            "HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\nno page\n".to_owned(),
            "HTTP 404: no page",
        ),
    ] {
        let url = server(answer).await;
        let found = read(Some(&metrics(&url))).await.unwrap_err();
        assert!(found.starts_with(&url) && found.contains(why), "{found}");
    }
}

#[tokio::test]
async fn a_service_that_hangs_is_not_waited_for() {
    let url = server(String::new()).await;
    // Time stands still until the connection waits, then jumps to the limit.
    tokio::time::pause();
    let found = read(Some(&metrics(&url))).await.unwrap_err();
    assert!(found.contains("no answer within 5s"), "{found}");
}
