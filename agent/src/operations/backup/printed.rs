//! What a command prints of a backup: `size: BYTES`, `sha256: HEX`, `created: TIME`. All else is chatter; of
//! two such lines the last counts.

use dv_types::Size;

use super::Found;
use crate::process::STDOUT_KEPT;

/// Understands `text`; the message goes on from the command's name.
pub(super) fn read(text: &str) -> Result<Found, String> {
    let mut found = Found::default();
    for line in text.lines().map(str::trim) {
        let bad = |what| format!("printed {line:?}, which is not {what}");
        if let Some(size) = line.strip_prefix("size:") {
            let size =
                Size::parse(size).map_err(|_| bad("a number of bytes, like `size: 1234`"))?;
            found.size = Some(size.0);
        } else if let Some(hash) = line.strip_prefix("sha256:").map(str::trim) {
            if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(bad("a SHA-256: 64 hexadecimal digits"));
            }
            found.sha256 = Some(hash.to_ascii_lowercase());
        } else if let Some(time) = line.strip_prefix("created:").map(str::trim) {
            let time =
                time.parse().map_err(|_| bad("a time, like `created: 2026-01-31T12:00:00Z`"))?;
            found.created = Some(time);
        }
    }
    if found.size.is_none() {
        let cut = match text.len() >= STDOUT_KEPT {
            true => format!(" within its first {} KiB", STDOUT_KEPT / 1024),
            false => String::new(),
        };
        return Err(format!(
            "printed no line `size: BYTES` on standard output{cut}; let it, or give `proof.file` in the manifest"
        ));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_lines_it_knows_and_no_others() {
        let hash = "Ab".repeat(32);
        let text = format!(
            "dumping\nsize: 1\n size: 2KiB\r\nsizes: x\nsha256: {hash}\ncreated: 2026-01-31T13:00:00+01:00\n"
        );
        let expected = Found {
            size: Some(2048),
            created: Some("2026-01-31T12:00:00Z".parse().unwrap()),
            sha256: Some("ab".repeat(32)),
            file: None,
        };
        assert_eq!(read(&text), Ok(expected));
    }

    #[test]
    fn a_proof_that_is_not_understood_is_none() {
        for line in
            ["size: large", "sha256: abc", &format!("sha256: {}", "g".repeat(64)), "created: today"]
        {
            let why = read(&format!("size: 5\n{line}\n")).unwrap_err();
            assert!(why.contains(line), "{why}");
        }
        assert!(read("done\n").unwrap_err().contains("`size: BYTES`"));
    }
}
