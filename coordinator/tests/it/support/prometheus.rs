//! A Prometheus that answers instant queries, by its published HTTP API, from the world in memory. It knows two
//! queries of `${hosts}`, and none of PromQL.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use dv_coordinator::monitor::PrometheusConfig;
use dv_types::manifest;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::World;

pub(crate) const TOKEN: &str = "a-token-that-nobody-else-may-see";

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// As if the series were not there.
    Empty,
    /// `NaN` for everything.
    NotANumber,
    /// It can't.
    Error,
}

pub(crate) struct Prometheus {
    url: String,
    queries: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The queries of a manifest to the Prometheus of this name.
pub(crate) fn queries(source: &str) -> manifest::Prometheus {
    manifest::Prometheus {
        source: source.to_owned(),
        requests: r#"requests{host=~"${hosts}"}[${interval}]"#.to_owned(),
        errors: r#"errors{host=~"${hosts}"}[${interval}]"#.to_owned(),
        latency_p99: Some(r#"p99{host=~"${hosts}"}[${interval}]"#.to_owned()),
    }
}

impl Prometheus {
    pub(crate) async fn start(world: &World, mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (world, queries) = (world.clone(), Arc::<Mutex<Vec<String>>>::default());
        let asked = Arc::clone(&queries);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (world, asked) = (world.clone(), Arc::clone(&asked));
                tokio::spawn(async move {
                    let _ = serve(stream, &world, mood, &asked).await;
                });
            }
        });
        Self { url, queries, task }
    }

    /// What the coordinator's configuration says of it; the token is put into `directory`.
    pub(crate) fn config(&self, directory: &Path) -> PrometheusConfig {
        use std::os::unix::fs::PermissionsExt as _;
        let token_file = directory.join("prometheus.token");
        std::fs::write(&token_file, format!("{TOKEN}\n")).unwrap();
        std::fs::set_permissions(&token_file, std::fs::Permissions::from_mode(0o600)).unwrap();
        PrometheusConfig { url: self.url.clone(), token_file: Some(token_file), ca_file: None }
    }

    /// What it was asked.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.queries.lock().unwrap().clone()
    }
}

async fn serve(
    stream: TcpStream,
    world: &World,
    mood: Mood,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut request, mut authorised, mut line) = (String::new(), false, String::new());
        if stream.read_line(&mut request).await? == 0 {
            return Ok(());
        }
        while stream.read_line(&mut line).await? > 2 {
            authorised |= line.trim_end() == format!("authorization: Bearer {TOKEN}");
            line.clear();
        }
        let (status, body) = match (authorised, request.split(' ').nth(1)) {
            (false, _) => ("401 Unauthorized", "Unauthorized\n".to_owned()),
            (true, Some(target)) => answer(target, world, mood, asked),
            (true, None) => ("400 Bad Request", String::new()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
    }
}

fn answer(
    target: &str,
    world: &World,
    mood: Mood,
    asked: &Mutex<Vec<String>>,
) -> (&'static str, String) {
    let url = reqwest::Url::parse("http://prometheus").unwrap().join(target).unwrap();
    assert_eq!(url.path(), "/api/v1/query");
    let parameter =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    let (query, time) = (parameter("query"), parameter("time"));
    time.parse::<f64>().expect("a time in seconds");
    asked.lock().unwrap().push(query.clone());
    let hosts: Vec<_> = query.split('"').nth(1).expect("hosts").split('|').collect();
    let sum = |value: fn(super::Traffic) -> f64| -> f64 {
        hosts.iter().map(|host| value(world.traffic(host))).sum()
    };
    let value = match query.split('{').next().unwrap() {
        "requests" => 100.0 * hosts.len() as f64,
        "errors" => sum(|traffic| traffic.errors),
        "p99" => sum(|traffic| traffic.slowest) / hosts.len() as f64,
        other => panic!("nobody has a metric {other}"),
    };
    let series = match mood {
        Mood::Error => {
            let error = r#"{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}"#;
            return ("503 Service Unavailable", error.to_owned());
        }
        Mood::Empty => String::new(),
        Mood::NotANumber => format!(r#"{{"metric":{{}},"value":[{time},"NaN"]}}"#),
        Mood::Well => format!(r#"{{"metric":{{}},"value":[{time},"{value}"]}}"#),
    };
    let data = format!(r#"{{"resultType":"vector","result":[{series}]}}"#);
    ("200 OK", format!(r#"{{"status":"success","data":{data}}}"#))
}
