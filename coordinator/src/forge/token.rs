//! A forge's token: read when it is needed, shown to nobody but the forge.

use std::{fmt, path::Path};

use http::HeaderValue;

use super::{ForgeConfig, Kind, Trouble};

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
        config.source().read(credentials).map(|token| token.map(Self)).map_err(Trouble::here)
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
    use std::{os::unix::fs::PermissionsExt as _, path::PathBuf};

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
