//! A forge's token: read when it is needed, shown to nobody but the forge.

use std::{
    fmt,
    fs::File,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use http::HeaderValue;

use super::{ForgeConfig, Kind, Trouble};

/// No forge's token is longer.
const LONGEST: u64 = 8 * 1024;

/// A token. It can't be printed.
pub(super) struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// The token of the forge, where it has one.
    pub(super) fn read(
        config: &ForgeConfig,
        credentials: Option<&Path>,
    ) -> Result<Option<Self>, Trouble> {
        let (path, ours) = match (&config.token_file, &config.credential, credentials) {
            (Some(path), _, _) => (path.clone(), true),
            // Its directory lets nobody else in; how the files in it are marked is systemd's affair.
            (None, Some(name), Some(directory)) => (directory.join(name), false),
            (None, Some(name), None) => {
                return Err(Trouble::here(format!(
                    "there are no credentials: give the unit LoadCredential={name}:/path/to/the/token, or use token_file"
                )));
            }
            (None, None, _) => return Ok(None),
        };
        Self::of_file(path, ours).map(Some).map_err(Trouble::here)
    }

    fn of_file(path: PathBuf, check_mode: bool) -> Result<Self, String> {
        let named = |why: &dyn fmt::Display| format!("the token {}: {why}", path.display());
        let mut file = File::open(&path).map_err(|why| named(&why))?;
        let mode = file.metadata().map_err(|why| named(&why))?.permissions().mode();
        // root keeps it, and the coordinator's group may read it.
        if check_mode && mode & 0o027 != 0 {
            return Err(named(&format!(
                "others may read or change it (mode {:04o}): if nobody has seen it, run `chmod 640` on it",
                mode & 0o7777
            )));
        }
        let mut text = String::new();
        file.by_ref()
            .take(LONGEST)
            .read_to_string(&mut text)
            // What was read is not in this message.
            .map_err(|_| named(&"it can't be read as text"))?;
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(named(&"it must hold the token in one line, and nothing else"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The header by which the forge knows the coordinator. It is marked, so that nothing prints it.
    pub(super) fn header(&self, kind: Kind) -> Result<(&'static str, HeaderValue), Trouble> {
        let (name, text) = match kind {
            Kind::Github => ("authorization", format!("Bearer {}", self.0)),
            Kind::Gitlab => ("private-token", self.0.clone()),
            Kind::Gitea => ("authorization", format!("token {}", self.0)),
        };
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| Trouble::here("the token can't be sent".to_owned()))?;
        value.set_sensitive(true);
        Ok((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s3cret-of-the-test";

    fn file(content: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("forge.token");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    fn config(change: impl FnOnce(&mut ForgeConfig)) -> ForgeConfig {
        let mut config = ForgeConfig {
            kind: Kind::Github,
            url: None,
            token_file: None,
            credential: None,
            ca_file: None,
        };
        change(&mut config);
        config
    }

    #[test]
    fn it_is_sent_and_never_shown() {
        let (_directory, path) = file(&format!("{SECRET}\n"), 0o640);
        let token = Token::read(&config(|c| c.token_file = Some(path)), None).unwrap().unwrap();
        assert!(!format!("{token:?}").contains(SECRET));
        for (kind, expected) in [
            (Kind::Github, format!("Bearer {SECRET}")),
            (Kind::Gitlab, SECRET.to_owned()),
            (Kind::Gitea, format!("token {SECRET}")),
        ] {
            let (_, value) = token.header(kind).unwrap();
            assert_eq!(value.as_bytes(), expected.as_bytes());
            assert!(!format!("{value:?}").contains(SECRET));
        }
    }

    #[test]
    fn what_others_may_read_is_no_token() {
        for mode in [0o644, 0o604, 0o660] {
            let (_directory, path) = file(SECRET, mode);
            let why = Token::read(&config(|c| c.token_file = Some(path)), None).unwrap_err();
            assert!(why.to_string().contains("chmod 640"), "{why}");
        }
        for mode in [0o600, 0o400, 0o640] {
            let (_directory, path) = file(SECRET, mode);
            assert!(Token::read(&config(|c| c.token_file = Some(path)), None).is_ok());
        }
    }

    #[test]
    fn a_spoilt_one_is_not_repeated() {
        for content in ["", "\n", "two words", &format!("{SECRET}\n{SECRET}")] {
            let (_directory, path) = file(content, 0o600);
            let why = Token::read(&config(|c| c.token_file = Some(path)), None).unwrap_err();
            assert!(why.to_string().contains("one line"), "{why}");
            assert!(!why.to_string().contains(SECRET), "{why}");
        }
    }

    #[test]
    fn systemd_may_hand_it_over() {
        // As systemd marks what an access control list lets in.
        let (directory, _) = file(SECRET, 0o440);
        let named = config(|c| c.credential = Some("forge.token".to_owned()));
        assert!(Token::read(&named, Some(directory.path())).unwrap().is_some());
        let why = Token::read(&named, None).unwrap_err();
        assert!(why.to_string().contains("LoadCredential=forge.token"), "{why}");
        assert!(Token::read(&config(|_| ()), None).unwrap().is_none());
    }
}
