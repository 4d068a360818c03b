//! A Prometheus is asked: the same queries for the new hosts and for the old ones, at the same moment.

mod answer;
mod client;
mod config;

use std::time::Duration;

use dv_types::{HostName, Sample, Span, Timestamp, manifest, monitor::Seen};
use futures_util::future::join_all;

use super::{Sources, Troubles, Watched, deadline};
use client::Client;

pub use config::PrometheusConfig;

/// Asks at each interval.
pub(super) struct Asked<'a> {
    name: &'a str,
    client: Result<Client, String>,
    interval: Span,
    new: Group<'a>,
    old: Group<'a>,
}

/// A group of hosts, and the queries about them.
struct Group<'a> {
    hosts: &'a [HostName],
    requests: String,
    errors: String,
    latency_p99: Option<String>,
}

impl<'a> Asked<'a> {
    pub(super) async fn open(
        sources: &Sources,
        asked: &'a manifest::Prometheus,
        watched: &Watched<'a>,
    ) -> Self {
        let interval = watched.monitor.interval;
        let client = match sources.get(&asked.source) {
            None => Err(unknown(sources)),
            Some(config) => {
                let (config, timeout) = (config.clone(), deadline(interval.get()));
                // It reads files.
                tokio::task::spawn_blocking(move || Client::open(&config, timeout))
                    .await
                    .unwrap_or_else(|why| Err(why.to_string()))
            }
        };
        let group = |hosts: &'a [HostName]| {
            let fill = |query: &String| filled(query, hosts, interval);
            Group {
                hosts,
                requests: fill(&asked.requests),
                errors: fill(&asked.errors),
                latency_p99: asked.latency_p99.as_ref().map(fill),
            }
        };
        let (new, old) = (group(watched.new), group(watched.old));
        Self { name: &asked.source, client, interval, new, old }
    }

    /// Nothing while most of what a query looks back on was before the watch began.
    pub(super) async fn look(&mut self, at: Timestamp, began: Timestamp) -> Option<Sample> {
        if Span::between(began, at).get() < self.interval.get() / 2 {
            return None;
        }
        let mut troubles = Troubles::default();
        let (new, old) = match &self.client {
            Err(why) => {
                troubles.add(|| why.clone());
                (Seen::default(), Seen::default())
            }
            Ok(client) => {
                let (new, old) = tokio::join!(self.new.ask(client, at), self.old.ask(client, at));
                let mut unwrap = |seen: Result<Seen, String>| {
                    seen.unwrap_or_else(|why| {
                        troubles.add(|| why);
                        Seen::default()
                    })
                };
                (unwrap(new), unwrap(old))
            }
        };
        let old = (!self.old.hosts.is_empty()).then_some(old);
        let trouble = troubles.told().map(|why| format!("prometheus {}: {why}", self.name));
        Some(Sample { new, old, trouble })
    }
}

impl Group<'_> {
    /// Without requests and errors there is nothing in it; the latency may be missing.
    async fn ask(&self, client: &Client, at: Timestamp) -> Result<Seen, String> {
        if self.hosts.is_empty() {
            return Ok(Seen::default());
        }
        let queries = [Some(&self.requests), Some(&self.errors), self.latency_p99.as_ref()];
        let answers = queries.into_iter().flatten().map(|query| client.query(query, at));
        let mut answers = join_all(answers).await.into_iter();
        let mut count = |key: &str| match answers.next() {
            Some(Ok(values)) if values.is_empty() => Err(format!(
                "the query `{key}` finds nothing; where there may be no such series yet, write `… or vector(0)`"
            )),
            Some(Ok(values)) => Ok(values.iter().sum::<f64>()),
            Some(Err(why)) => Err(format!("the query `{key}`: {why}")),
            None => Err(format!("the query `{key}` was not asked")),
        };
        let (requests, errors) = (count("requests")?, count("errors")?);
        let latency_p99 = match answers.next() {
            Some(Ok(values)) => values.into_iter().reduce(f64::max),
            Some(Err(why)) => return Err(format!("the query `latency_p99`: {why}")),
            None => None,
        };
        Ok(Seen { hosts: self.hosts.len() as u32, requests, errors, latency_p99 })
    }
}

fn unknown(sources: &Sources) -> String {
    let known: Vec<_> = sources.keys().map(String::as_str).collect();
    let known = match known.as_slice() {
        [] => "it has none".to_owned(),
        known => format!("it has {}", known.join(", ")),
    };
    format!("the coordinator's configuration has no such source under `prometheus`: {known}")
}

fn filled(query: &str, hosts: &[HostName], interval: Span) -> String {
    let names: Vec<_> = hosts.iter().map(HostName::as_str).collect();
    query.replace("${hosts}", &names.join("|")).replace("${interval}", &duration(interval.get()))
}

/// As PromQL writes it.
fn duration(interval: Duration) -> String {
    match interval.subsec_millis() {
        0 => format!("{}s", interval.as_secs()),
        _ => format!("{}ms", interval.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_filled_in() {
        let hosts = ["web1", "web2"].map(|name| HostName::new(name).unwrap());
        let query = r#"sum(increase(requests{host=~"${hosts}"}[${interval}]))"#;
        let filled = filled(query, &hosts, Span::from_secs(90));
        assert_eq!(filled, r#"sum(increase(requests{host=~"web1|web2"}[90s]))"#);
        assert_eq!(duration(Duration::from_millis(500)), "500ms");
    }
}
