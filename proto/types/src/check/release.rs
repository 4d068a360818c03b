//! The file of a release: what can be seen without its members' manifests.

use super::{Problem, Problems, template};
use crate::release::ReleaseFile;

impl ReleaseFile {
    /// Every problem that can be seen in the file alone, in its order.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Problems::default();
        if self.services.is_empty() {
            problems.error("services", "no service is listed: a release has at least one");
        }
        for (i, entry) in self.services.iter().enumerate() {
            if entry.manifest.trim().is_empty() {
                let text = "no manifest is named: write its path, relative to this file";
                problems.error(format!("services[{i}].manifest"), text);
            }
            if let Some(version) = &entry.version {
                let path = format!("services[{i}].version");
                template::check(version, "version", &path, &mut problems);
            }
        }
        problems.0
    }
}
