//! Asking many hosts at once what is there.

use std::{collections::HashMap, sync::Arc, time::Duration};

use dv_types::{Finding, HostName, Subject, probe::Probing};
use futures_util::{StreamExt as _, stream::FuturesUnordered};

use super::Fleet;

/// What hosts are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What to look at.
    pub subjects: Vec<Subject>,
    /// Probes to ask once.
    pub probing: Option<Probing>,
}

/// What a host answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// One finding for each subject, in the same order.
    pub findings: Vec<Finding>,
    /// The answer of the probes.
    pub healthy: Option<bool>,
}

impl Fleet {
    /// Asks `hosts`, all at once. Who is not in contact, or has no answer within `deadline`, is left out.
    pub async fn inspect(
        &self,
        hosts: &[HostName],
        question: Question,
        deadline: Duration,
    ) -> HashMap<HostName, Facts> {
        let question = Arc::new(question);
        let mut asked: FuturesUnordered<_> = hosts
            .iter()
            .filter_map(|host| {
                let answer = self.ask(host, &question)?;
                Some(async move { (host.clone(), answer.await) })
            })
            .collect();
        let mut answers = HashMap::new();
        let all = async {
            while let Some((host, answer)) = asked.next().await {
                let expected = question.subjects.len();
                match answer {
                    Ok(facts) if facts.findings.len() == expected => {
                        answers.insert(host, facts);
                    }
                    Ok(facts) => tracing::warn!(
                        %host,
                        "{} findings where {expected} were asked for: its agent is of another version",
                        facts.findings.len(),
                    ),
                    // It went out of contact.
                    Err(_) => {}
                }
            }
        };
        if tokio::time::timeout(deadline, all).await.is_err() {
            tracing::warn!(
                silent = hosts.len() - answers.len(),
                "some hosts did not answer in time"
            );
        }
        answers
    }
}
