use std::time::Duration;

use dv_types::{Span, probe::Probing};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A server that reads one request and gives this answer, byte for byte.
async fn server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 1024];
                let _ = stream.read(&mut asked).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                if answer.is_empty() {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    address
}

async fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

async fn http(address: &str, status: Option<u16>) -> Result<(), String> {
    ask(&Probe::Http { url: format!("http://{address}/health?x=1"), status }, SECOND).await
}

#[tokio::test]
async fn http_goes_by_the_status() {
    let good = server("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(http(&good, None).await, Ok(()));
    assert_eq!(http(&good, Some(200)).await, Err("HTTP 204".to_owned()));
    let moved = server("HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n").await;
    assert!(http(&moved, None).await.is_err());
    assert_eq!(http(&moved, Some(302)).await, Ok(()));
    let bad = server("HTTP/1.1 503 X\r\nconnection: close\r\n\r\n\n no database\nmore").await;
    assert_eq!(http(&bad, None).await, Err("HTTP 503: no database".to_owned()));
    let port = good.rsplit_once(':').unwrap().1;
    assert_eq!(http(&format!("localhost:{port}"), None).await, Ok(()));
}

#[tokio::test]
async fn what_is_no_answer_is_bad_and_never_waited_for() {
    let refused = http(&closed().await, None).await.unwrap_err();
    assert!(refused.contains("Connection refused"), "{refused}");
    assert!(http(&server("hello, this is not HTTP\r\n\r\n").await, None).await.is_err());
    assert_eq!(http(&server("").await, None).await, Err("no answer within 1s".to_owned()));
}

#[tokio::test]
async fn tcp_goes_by_the_connection() {
    let tcp = async |address: String| ask(&Probe::Tcp { address }, SECOND).await;
    assert_eq!(tcp(server("").await).await, Ok(()));
    assert!(tcp(closed().await).await.is_err());
}

#[tokio::test]
async fn a_command_goes_by_its_exit() {
    let command = async |script: &str, limit| {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned).into();
        ask(&Probe::Command { argv }, limit).await
    };
    let minute = Duration::from_secs(60);
    assert_eq!(command("exit 0", minute).await, Ok(()));
    assert_eq!(command("echo no; exit 2", minute).await, Err("exit code 2: no".to_owned()));
    let slow = command("sleep 600", Duration::from_millis(300)).await.unwrap_err();
    assert!(slow.contains("no answer within 300ms"), "{slow}");
}

#[tokio::test]
async fn grpc_goes_by_the_health_service() {
    let (reporter, service) = tonic_health::server::health_reporter();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(
        tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming),
    );
    let grpc = async |service: &str| {
        ask(&Probe::Grpc { address: address.clone(), service: service.to_owned() }, SECOND).await
    };
    assert_eq!(grpc("").await, Ok(()));
    assert!(grpc("unknown").await.unwrap_err().starts_with("NotFound"));
    reporter.set_service_status("app", tonic_health::ServingStatus::NotServing).await;
    assert_eq!(grpc("app").await, Err("NOT_SERVING".to_owned()));
    let nobody = Probe::Grpc { address: closed().await, service: String::new() };
    assert!(ask(&nobody, SECOND).await.unwrap_err().contains("refused"));
}

#[tokio::test]
async fn a_round_stops_at_the_first_bad_answer_and_names_it() {
    let (up, down) = (server("").await, closed().await);
    let tcp = |name: &str, address: &str| (name.to_owned(), Probe::Tcp { address: address.into() });
    let mut probing = Probing {
        probes: vec![tcp("live", &up), tcp("ready", &down)],
        interval: Span::from_secs(1),
        timeout: Span::from_secs(1),
        successes: 1,
    };
    assert!(round(&probing).await.unwrap_err().starts_with("ready: "));
    probing.probes.pop();
    assert_eq!(round(&probing).await, Ok(()));
}
