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
    /// Whole sections, by their keys.
    sections: BTreeMap<&'static str, String>,
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
            sections: BTreeMap::new(),
            strategy: strategy.map(|(key, value)| (key, value.to_owned())).into(),
        }
    }

    /// The playbook: a backup, the migrations, the release directory, the restart, the smoke test. Backup and migrations
    /// happen where `once` says, as YAML: `{host: h1}`, or `{}` for the first host.
    #[must_use]
    pub fn playbook(service: &str, [backup, migrate]: [&str; 2]) -> Self {
        let cli = "/usr/local/bin/debvisor-release, run, \"${version}\", debvisor-cli";
        let tag = "pre-deploy-${version}-${rollout}";
        let backup = format!(
            "backup: {{create: [{cli}, backup, create, --type, full, --tag, \"{tag}\"], \
             restore: [{cli}, backup, restore, --tag, \"{tag}\"], \
             proof: {{file: \"/var/lib/debvisor/backups/{tag}.dump\", checksum: true}}, once: {backup}}}"
        );
        let migrate = format!(
            "migrate: {{check: [{cli}, db, check], upgrade: [{cli}, db, upgrade], \
             downgrade: [{cli}, db, downgrade, \"-${{count}}\"], once: {migrate}}}"
        );
        Self::new(service, Shape::Unit)
            .first(&migrate)
            .first(&backup)
            .section("smoke", &smoke(r##"{path: /, selector: "#dashboard"}"##))
    }

    /// A section at the top, as YAML; instead of one that was there.
    #[must_use]
    pub fn section(mut self, key: &'static str, yaml: &str) -> Self {
        self.sections.insert(key, yaml.to_owned());
        self
    }

    /// A smoke test that only a release of this version passes.
    #[must_use]
    pub fn only_good(self, version: &str) -> Self {
        let shown = format!(r#"{{text: '<span class="version">{version}</span>'}}"#);
        self.section("smoke", &smoke(&shown))
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

    /// Another step at this place, from 0, as YAML.
    #[must_use]
    pub fn at(mut self, place: usize, step: &str) -> Self {
        self.steps.insert(place, step.to_owned());
        self
    }

    /// Another first step, as YAML.
    #[must_use]
    pub fn first(self, step: &str) -> Self {
        self.at(0, step)
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
        writeln!(f, "  interval: 100ms\n  timeout: 2s")?;
        for (key, yaml) in &self.sections {
            writeln!(f, "{key}: {yaml}")?;
        }
        writeln!(f, "strategy:")?;
        for (key, value) in &self.strategy {
            writeln!(f, "  {key}: {value}")?;
        }
        Ok(())
    }
}

/// What a person does after a deployment: logs in, and sees the dashboard.
fn smoke(dashboard: &str) -> String {
    format!(
        r#"{{base: "http://127.0.0.1:8080", session: [
  {{get: /login, expect: {{selector: "input[name=csrf]"}}}},
  {{submit: form, fields: {{name: ada, password: "${{secret:panel}}"}}, expect: {dashboard}}}]}}"#
    )
}
