//! The links of the documentation.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A link to a file of the repository.
pub struct Link {
    /// The line that it stands on, from 1.
    pub line: usize,
    /// What it points to, as written.
    pub target: String,
    /// The file or folder that this means.
    pub path: PathBuf,
}

/// README.md and everything below docs/.
#[must_use]
pub fn markdown_files(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.join("README.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("docs/ is readable") {
            let path = entry.expect("docs/ is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                found.push(path);
            }
        }
    }
    found.retain(|path| path.exists());
    found.sort();
    found
}

/// The relative links in the Markdown `file`: not those to other sites, to headings, or inside code.
#[must_use]
pub fn links_of(file: &Path) -> Vec<Link> {
    let text = fs::read_to_string(file).expect("documentation is UTF-8");
    let folder = file.parent().expect("a file is in a folder");
    let mut links = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in targets(line) {
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains(':') {
                links.push(Link {
                    line: index + 1,
                    target: target.to_owned(),
                    path: folder.join(path),
                });
            }
        }
    }
    links
}

/// `[text](target)`, `[name]: target`, but nothing between backticks.
fn targets(line: &str) -> Vec<&str> {
    let prose = line.split('`').step_by(2);
    let mut targets: Vec<&str> = prose
        .flat_map(|part| part.split("](").skip(1).filter_map(|rest| rest.split(')').next()))
        .collect();
    // `](` after a backtick: [`name`](target)
    targets.extend(line.split("`](").skip(1).filter_map(|rest| rest.split(')').next()));
    if let Some((_, target)) = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
        targets.push(target.trim());
    }
    targets.sort_unstable();
    targets.dedup();
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_links_but_not_in_code() {
        assert_eq!(targets("see [a](b.md) and [`c`](d.md#e)"), ["b.md", "d.md#e"]);
        assert_eq!(targets("`[a](b.md)` is how one writes a link"), [""; 0]);
        assert_eq!(targets("[a]: b.md"), ["b.md"]);
    }
}
