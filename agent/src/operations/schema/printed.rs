//! What a check prints: `head: NAME`, and `pending: NAME [KIND]` for each migration to come. All else is chatter.

use dv_types::{Migration, MigrationKind, Schema};

use super::Kinds;

/// Words for the head of a schema without any migration.
const NO_HEAD: [&str; 2] = ["empty", "none"];

/// Understands `text`; the message goes on from the check's name.
pub(super) fn read(text: &str, kinds: &Kinds) -> Result<Schema, String> {
    let mut head = None;
    let mut pending: Vec<Migration> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("head:").map(str::trim) {
            if name.is_empty() {
                return Err(format!(
                    "printed {line:?}, which names no head; print `head: empty` where there is none"
                ));
            }
            if head.is_some_and(|other| other != name) {
                return Err(format!(
                    "printed {line:?} after another head; a schema has one: merge them"
                ));
            }
            head = Some(name);
        } else if let Some(rest) = line.strip_prefix("pending:") {
            let migration =
                migration(rest, kinds).map_err(|why| format!("printed {line:?}, {why}"))?;
            if pending.iter().any(|other| other.name == migration.name) {
                return Err(format!(
                    "printed {line:?} twice; each migration has a name of its own"
                ));
            }
            pending.push(migration);
        }
    }
    let Some(head) = head else {
        return Err("printed no line `head: NAME` (`head: empty` where there is none)".to_owned());
    };
    let head = (!NO_HEAD.contains(&head)).then(|| head.to_owned());
    Ok(Schema { head, pending })
}

/// `NAME [KIND]`. What the manifest says outranks what is printed; where neither says anything, the worst.
fn migration(text: &str, kinds: &Kinds) -> Result<Migration, String> {
    let mut words = text.split_whitespace();
    let name = words.next().ok_or("which names no migration")?;
    let printed = words.next().map(kind).transpose()?;
    if words.next().is_some() {
        return Err("which has more words than a name and a kind".to_owned());
    }
    let kind = kinds.get(name).copied().or(printed).unwrap_or(MigrationKind::Irreversible);
    Ok(Migration { name: name.to_owned(), kind })
}

fn kind(word: &str) -> Result<MigrationKind, String> {
    [MigrationKind::Expand, MigrationKind::Reversible, MigrationKind::Irreversible]
        .into_iter()
        .find(|kind| kind.to_string() == word)
        .ok_or_else(|| format!("and {word:?} is no kind: write expand, reversible or irreversible"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Schema, String> {
        let kinds = Kinds::from([("b".to_owned(), MigrationKind::Reversible)]);
        super::read(text, &kinds)
    }

    fn migration(name: &str, kind: MigrationKind) -> Migration {
        Migration { name: name.to_owned(), kind }
    }

    #[test]
    fn the_manifest_outranks_what_is_printed_and_silence_is_the_worst() {
        let text = "INFO connected\nhead: 0041\npending: a expand\n pending: b  irreversible\r\npending: c\n\nheader: x\n";
        let pending = vec![
            migration("a", MigrationKind::Expand),
            migration("b", MigrationKind::Reversible),
            migration("c", MigrationKind::Irreversible),
        ];
        assert_eq!(read(text), Ok(Schema { head: Some("0041".to_owned()), pending }));
    }

    #[test]
    fn an_empty_schema_has_no_head() {
        for word in ["empty", "none"] {
            assert_eq!(read(&format!("head: {word}\n")), Ok(Schema::default()));
        }
    }

    #[test]
    fn what_can_not_be_understood_is_shown() {
        for (text, shown) in [
            ("pending: a\n", "no line `head: NAME`"),
            ("head:\n", "\"head:\""),
            ("head: 1\nhead: 2\n", "\"head: 2\""),
            ("head: 1\npending: a harmless\n", "\"pending: a harmless\""),
            ("head: 1\npending:\n", "\"pending:\""),
            ("head: 1\npending: a expand soon\n", "\"pending: a expand soon\""),
            ("head: 1\npending: a\npending: a\n", "twice"),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains(shown), "{text:?}: {why}");
        }
    }
}
