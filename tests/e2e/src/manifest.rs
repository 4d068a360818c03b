//! Manifests for the bed's service, in its three shapes.

use std::{collections::BTreeMap, fmt};

use crate::bed::REPOSITORY;

/// How the service is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A release directory and a systemd unit.
    Unit,
    /// An image that compose runs.
    Image,
    /// A git working tree and a systemd unit.
    Git,
}

impl Shape {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Unit, Self::Image, Self::Git];

    /// Where it listens.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Unit => 8080,
            Self::Image => 8081,
            Self::Git => 8082,
        }
    }

    /// The unit that runs it.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Unit => "debvisor.service",
            Self::Image => "docker.service",
            Self::Git => "debvisor-git.service",
        }
    }

    fn steps(self) -> Vec<String> {
        let unit = self.unit();
        match self {
            Self::Unit => vec![
                "run: {argv: [/usr/local/bin/debvisor-release, install, \"${version}\"], \
                 undo: [/usr/local/bin/debvisor-release, install, \"${version}\"], repeatable: true}"
                    .to_owned(),
                format!("restart: {{unit: {unit}}}"),
            ],
            Self::Image => vec![
                format!("image: {{repository: \"{REPOSITORY}\"}}"),
                "compose: {project: debvisor}".to_owned(),
            ],
            Self::Git => vec![
                "checkout: {tree: /srv/debvisor-src, ref: \"${version}\"}".to_owned(),
                format!("restart: {{unit: {unit}}}"),
            ],
        }
    }
}

/// A manifest in the making.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The service's name.
    pub service: String,
    /// How it is installed.
    pub shape: Shape,
    hosts: String,
    steps: Vec<String>,
    strategy: BTreeMap<&'static str, String>,
}

impl Manifest {
    /// One host at a time over all five, quick, and back by itself.
    #[must_use]
    pub fn new(service: &str, shape: Shape) -> Self {
        let strategy = [
            ("max_parallel", "1"),
            ("min_healthy_time", "500ms"),
            ("healthy_deadline", "20s"),
            ("lost_after", "30s"),
        ];
        Self {
            service: service.to_owned(),
            shape,
            hosts: "labels: {role: web}".to_owned(),
            steps: shape.steps(),
            strategy: strategy.map(|(key, value)| (key, value.to_owned())).into(),
        }
    }

    /// Sets a key of `strategy`.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: &str) -> Self {
        self.strategy.insert(key, value.to_owned());
        self
    }

    /// Takes a key out of `strategy`.
    #[must_use]
    pub fn without(mut self, key: &'static str) -> Self {
        self.strategy.remove(key);
        self
    }

    /// Which hosts, as YAML.
    #[must_use]
    pub fn hosts(mut self, hosts: &str) -> Self {
        hosts.clone_into(&mut self.hosts);
        self
    }

    /// Only this step, as YAML.
    #[must_use]
    pub fn only(mut self, step: &str) -> Self {
        self.steps = vec![step.to_owned()];
        self
    }

    /// Another first step, as YAML.
    #[must_use]
    pub fn first(mut self, step: &str) -> Self {
        self.steps.insert(0, step.to_owned());
        self
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.shape.port();
        writeln!(f, "service: {}\nhosts:\n  {}\nsteps:", self.service, self.hosts)?;
        for step in &self.steps {
            writeln!(f, "  - {step}")?;
        }
        writeln!(f, "health:")?;
        writeln!(f, "  live: {{http: \"http://127.0.0.1:{port}/health/live\"}}")?;
        writeln!(f, "  ready: {{http: \"http://127.0.0.1:{port}/health/ready\"}}")?;
        writeln!(f, "  interval: 100ms\n  timeout: 2s\nstrategy:")?;
        for (key, value) in &self.strategy {
            writeln!(f, "  {key}: {value}")?;
        }
        Ok(())
    }
}
