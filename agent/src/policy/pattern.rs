//! A command as the policy lists it.

use serde::Deserialize;

const ONE: &str = "*";
const REST: &str = "**";

/// A program and its arguments. `*` stands for exactly one argument, `**`, at the end, for any rest. All
/// else stands for itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct CommandPattern(Vec<String>);

impl CommandPattern {
    /// Whether the pattern means `argv`.
    #[must_use]
    pub fn matches(&self, argv: &[String]) -> bool {
        let (fixed, rest) = match self.0.split_last() {
            Some((last, fixed)) if last == REST => (fixed, true),
            _ => (&self.0[..], false),
        };
        let long_enough = if rest { argv.len() >= fixed.len() } else { argv.len() == fixed.len() };
        long_enough && fixed.iter().zip(argv).all(|(part, arg)| part == ONE || part == arg)
    }

    /// The rules that a list must obey to be a pattern.
    pub(crate) fn check(&self) -> Result<(), String> {
        let says = || format!("commands: [{}]", self.0.join(", "));
        match self.0.first() {
            None => return Err("commands: an empty list allows nothing; remove it".to_owned()),
            Some(program) if !program.starts_with('/') => {
                return Err(format!("{}: the program must be an absolute path", says()));
            }
            Some(_) => {}
        }
        let inner = &self.0[..self.0.len() - 1];
        if inner.iter().any(|part| part == REST) {
            return Err(format!("{}: `**` can stand at the end only", says()));
        }
        let within = |part: &&String| part.contains('*') && *part != ONE && *part != REST;
        if let Some(part) = self.0.iter().find(within) {
            return Err(format!(
                "{}: `*` stands for a whole argument, it can't be part of one like {part:?}",
                says()
            ));
        }
        Ok(())
    }
}

/// Whether `pattern` means the file at `path`: `*` stands for any part of a name, never for a `/`.
pub(super) fn path_matches(pattern: &str, path: &str) -> bool {
    let (parts, names): (Vec<_>, Vec<_>) =
        (pattern.split('/').collect(), path.split('/').collect());
    parts.len() == names.len()
        && names.iter().all(|name| *name != ".." && *name != ".")
        && parts.iter().zip(&names).all(|(part, name)| name_matches(part, name))
}

fn name_matches(part: &str, name: &str) -> bool {
    let Some((before, after)) = part.split_once('*') else { return part == name };
    name.strip_prefix(before).is_some_and(|rest| {
        rest.char_indices()
            .map(|(at, _)| at)
            .chain([rest.len()])
            .any(|at| name_matches(after, &rest[at..]))
    })
}

#[cfg(test)]
mod tests {
    use super::path_matches;

    #[test]
    fn a_star_stays_within_a_name() {
        let pattern = "/var/backups/pre-*.dump";
        assert!(path_matches(pattern, "/var/backups/pre-deploy-v2.dump"));
        for path in [
            "/var/backups/pre-x/../../../etc/shadow.dump",
            "/var/backups/pre-a/b.dump",
            "/var/backups/post.dump",
            "/var/backups/../backups/pre-a.dump",
            "/var/../backups/pre-a.dump",
        ] {
            assert!(!path_matches(pattern, path), "{path}");
        }
        assert!(path_matches("/a/*-*", "/a/x-y-z"));
        assert!(!path_matches("/a/b", "/a/bc"));
    }
}
