//! What cargo says about the workspace.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

/// The workspace.
#[derive(Deserialize)]
pub struct Workspace {
    /// Its folder.
    #[serde(rename = "workspace_root")]
    pub root: PathBuf,
    #[serde(rename = "packages")]
    members: Vec<Member>,
}

/// One of our own crates.
#[derive(Deserialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its Cargo.toml.
    #[serde(rename = "manifest_path")]
    pub manifest: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// Set where the dependency is a folder of this repository.
    path: Option<PathBuf>,
    kind: Option<String>,
}

/// One of our crates leans on another.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The one that leans.
    pub from: String,
    /// The one that it leans on.
    pub to: String,
    /// `dev` or `build` where it is not linked but only tested or built with it.
    pub kind: Option<String>,
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from, self.to)?;
        self.kind.as_ref().map_or(Ok(()), |kind| write!(f, " ({kind})"))
    }
}

impl Workspace {
    /// Asks cargo, without any network.
    #[must_use]
    pub fn read() -> Self {
        let json = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
        serde_json::from_str(&json).expect("metadata is JSON")
    }

    /// Our own crates.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Which of our crates leans on which, sorted.
    #[must_use]
    pub fn edges(&self) -> BTreeSet<Edge> {
        let edges = |from: &Member| {
            let ours = from.dependencies.iter().filter(|d| d.path.is_some());
            ours.map(|to| Edge {
                from: from.name.clone(),
                to: to.name.clone(),
                kind: to.kind.clone(),
            })
            .collect::<Vec<_>>()
        };
        self.members.iter().flat_map(edges).collect()
    }

    /// Every crate that is linked into what is made of `name`, itself included.
    #[must_use]
    pub fn linked_by(&self, name: &str) -> BTreeSet<String> {
        tree(&["--package", name, "--edges", "normal,no-proc-macro"])
    }

    /// Every crate that is compiled for anything here.
    #[must_use]
    pub fn all_crates(&self) -> BTreeSet<String> {
        tree(&["--workspace", "--edges", "normal,build,dev"])
    }
}

/// The crates in `cargo tree`'s answer, which, unlike the metadata's graph, knows which features are on.
fn tree(arguments: &[&str]) -> BTreeSet<String> {
    let text = cargo(&[&["tree", "--prefix", "none", "--format", "{p}"], arguments].concat());
    text.lines().filter_map(|l| l.split(' ').next()).map(str::to_owned).collect()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}
