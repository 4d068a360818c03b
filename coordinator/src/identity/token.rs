//! The token by which a host enrols: `dv1.<host>.<id>.<secret>.<pin of the CA>`.

use std::{fmt, str::FromStr};

use dv_types::HostName;
use sha2::{Digest as _, Sha256};

use super::authority::hex;
use crate::chance;

const VERSION: &str = "dv1";

/// A token. Its text is shown once; the coordinator keeps only a hash of the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The only host that may use it.
    pub host: HostName,
    /// By which the coordinator finds it.
    pub id: String,
    secret: String,
    /// Of the CA that the agent trusts.
    pub(crate) pin: String,
}

/// A text that is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not an enrolment token: make one with `dvctl agent token`, and pass it on as a whole"
)]
pub struct TokenError;

impl Token {
    /// A new token for `host`, with the pin of the CA that the agent shall trust.
    #[must_use]
    pub fn new(host: HostName, pin: &str) -> Self {
        let (id, secret) = (chance::bytes::<8>(), chance::bytes::<16>());
        Self { host, id: hex(&id), secret: hex(&secret), pin: pin.to_owned() }
    }

    /// What is kept of the secret.
    #[must_use]
    pub fn secret_hash(&self) -> String {
        hex(&Sha256::digest(&self.secret))
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        // A host's name may have dots, the other parts have none.
        let mut parts = text.trim().rsplitn(4, '.');
        let mut part = || parts.next().ok_or(TokenError);
        let (pin, secret, id, rest) = (part()?, part()?, part()?, part()?);
        let host = rest.strip_prefix(VERSION).and_then(|rest| rest.strip_prefix('.'));
        let host = host.and_then(|host| HostName::new(host).ok()).ok_or(TokenError)?;
        let hexadecimal = |text: &str, length| {
            text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit())
        };
        if !hexadecimal(pin, 64) || !hexadecimal(secret, 32) || !hexadecimal(id, 16) {
            return Err(TokenError);
        }
        Ok(Self { host, id: id.to_owned(), secret: secret.to_owned(), pin: pin.to_owned() })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, id, secret, pin } = self;
        write!(f, "{VERSION}.{host}.{id}.{secret}.{pin}")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} for {})", self.id, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_prints() {
        let host = HostName::new("web1.example.com").unwrap();
        let token = Token::new(host, &"a".repeat(64));
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        assert!(!format!("{token:?}").contains(&token.secret));
    }

    #[test]
    fn refuses_what_is_no_token() {
        let token = Token::new(HostName::new("web1").unwrap(), &"a".repeat(64)).to_string();
        let truncated = &token[..token.len() - 1];
        for text in ["", "dv1", "dv1.web1", truncated, &token.replace("dv1", "dv2"), "...."] {
            assert_eq!(text.parse::<Token>(), Err(TokenError), "{text}");
        }
    }
}
