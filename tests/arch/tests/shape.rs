//! The shape of the workspace: what leans on what, and that every crate follows the house's rules.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use dv_arch::{Workspace, links_of, markdown_files};

/// A new edge is a decision: it goes into edges.txt in the same change, where a reviewer sees it.
#[test]
fn crates_lean_on_each_other_only_as_agreed() {
    let workspace = Workspace::read();
    let file = workspace.root.join("tests/arch/edges.txt");
    let agreed = fs::read_to_string(&file).expect("tests/arch/edges.txt is there");
    let agreed: BTreeSet<&str> =
        agreed.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    let found: Vec<String> = workspace.edges().iter().map(ToString::to_string).collect();
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();

    let new: Vec<_> = found.difference(&agreed).collect();
    let gone: Vec<_> = agreed.difference(&found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "tests/arch/edges.txt and the crates differ\nnot agreed: {new:#?}\nno longer there: {gone:#?}",
    );
}

#[test]
fn the_words_and_the_machine_do_no_io() {
    let io =
        ["tokio", "mio", "hyper", "h2", "tonic", "sled", "rustls", "rustix", "socket2", "zbus"];
    let workspace = Workspace::read();
    for pure in ["dv-types", "dv-rollout"] {
        let linked = workspace.linked_by(pure);
        assert!(linked.contains(pure));
        let found: Vec<_> = io.iter().filter(|c| linked.contains(**c)).collect();
        assert!(found.is_empty(), "{pure} is pure, but links {found:?}");
    }
}

#[test]
fn only_the_coordinator_knows_the_machine() {
    let workspace = Workspace::read();
    assert!(
        !workspace.linked_by("dv-agent").contains("dv-rollout"),
        "dv-agent links dv-rollout: it shall see a rollout only as documents",
    );
    // dvctl makes a plan once more before a person signs it (ADR 11), and sees a rollout only as documents otherwise.
    for (file, text) in sources(&workspace.root.join("ctl/src")) {
        for (at, _) in text.match_indices("dv_rollout") {
            let used = text[at..].lines().next().unwrap_or_default();
            assert!(used.starts_with("dv_rollout::planning"), "{}: {used}", file.display());
        }
    }
}

/// Every source file below, with its text.
fn sources(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("it is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.clone(), fs::read_to_string(path).expect("it can be read")));
        }
    }
    found
}

#[test]
fn sled_stays_in_the_coordinator() {
    let workspace = Workspace::read();
    for program in ["dvctl", "dv-agent"] {
        assert!(!workspace.linked_by(program).contains("sled"), "{program} links sled");
    }
}

/// Two providers of TLS in one program make rustls panic where none is named.
#[test]
fn there_is_one_provider_of_tls() {
    let all = Workspace::read().all_crates();
    for banned in ["ring", "openssl", "openssl-sys", "native-tls"] {
        assert!(!all.contains(banned), "{banned} is compiled in: ask `cargo tree -i {banned}`");
    }
}

#[test]
fn every_crate_follows_the_workspace() {
    let workspace = Workspace::read();
    let versions: BTreeSet<_> = workspace.members().iter().map(|m| m.version.to_owned()).collect();
    assert_eq!(versions.len(), 1, "one workspace, one version");
    for member in workspace.members() {
        let text = fs::read_to_string(&member.manifest).expect("a crate has a Cargo.toml");
        for (line, meaning) in [
            ("version.workspace = true", "the workspace's version"),
            ("edition.workspace = true", "the workspace's edition"),
            ("license.workspace = true", "the workspace's licence"),
            ("publish.workspace = true", "the workspace's `publish`"),
            ("[lints]\nworkspace = true", "the workspace's lints"),
        ] {
            assert!(text.contains(line), "{} does not take {meaning}: {line}", member.name);
        }
    }
}

#[test]
fn every_relative_link_in_the_documentation_leads_somewhere() {
    let workspace = Workspace::read();
    let mut broken = Vec::new();
    for file in markdown_files(&workspace.root) {
        for link in links_of(&file) {
            if !link.path.exists() {
                let name = file.strip_prefix(&workspace.root).unwrap_or(&file);
                broken.push(format!("{}:{}: {}", name.display(), link.line, link.target));
            }
        }
    }
    assert!(broken.is_empty(), "links to nothing:\n{}", broken.join("\n"));
}

/// A promise names the tests that would notice if it were broken: they must be there.
#[test]
fn tests_that_documents_name_are_there() {
    let root = Workspace::read().root;
    let mut tests = BTreeSet::new();
    for folder in ["agent", "coordinator", "ctl", "proto", "tests"] {
        functions(&root.join(folder), &mut tests);
    }
    for document in ["docs/pains.md", "docs/reliability.md"] {
        let text = fs::read_to_string(root.join(document)).expect("it is there");
        // What stands in backticks and reads like a sentence.
        let named = text.split('`').skip(1).step_by(2).filter(|word| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            word.matches('_').count() >= 3 && word.chars().all(plain)
        });
        let missing: Vec<_> = named.filter(|name| !tests.contains(*name)).collect();
        assert!(missing.is_empty(), "{document} names tests that are not there: {missing:#?}");
    }
}

/// The names of all functions in the Rust files below a folder.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let after = text.split("fn ").skip(1);
            names.extend(after.filter_map(|rest| rest.split('(').next()).map(str::to_owned));
        }
    }
}
