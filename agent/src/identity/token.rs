//! The text with which a host enrols: `dv1.HOST.ID.SECRET.PIN`.

use dv_types::HostName;

/// What the host reads from its token. The secret is the coordinator's to understand.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) host: HostName,
    /// SHA-256 of the CA's public key, in hexadecimal.
    pub(super) pin: String,
}

/// The text is no token.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("that is not an enrolment token: {0}; make one with `dvctl agent token HOST`")]
pub struct InvalidToken(&'static str);

impl std::str::FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        // From the end: a host's name may hold dots.
        let rest = text.strip_prefix("dv1.").ok_or(InvalidToken("it does not begin with dv1"))?;
        let mut parts = rest.rsplitn(4, '.');
        let mut part =
            || parts.next().filter(|p| !p.is_empty()).ok_or(InvalidToken("it is cut short"));
        let (pin, _secret, _id, host) = (part()?, part()?, part()?, part()?);
        if pin.len() != 64 || !pin.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(InvalidToken("its last part is not a SHA-256; it is cut short or damaged"));
        }
        let host = HostName::new(host).map_err(|_| InvalidToken("its host name is not one"))?;
        Ok(Self { host, pin: pin.to_ascii_lowercase() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_host_and_the_pin() {
        let pin = "0123456789abcdef".repeat(4);
        let token: Token = format!("dv1.h1.example.com.7.c2VjcmV0.{pin}").parse().unwrap();
        assert_eq!((token.host.as_str(), token.pin), ("h1.example.com", pin.clone()));
        for text in [
            "",
            "dv1",
            "dv1.h1",
            "dv1.h1.7.s.abc",
            &format!("dv1.7.s.{pin}"),
            &format!("dv2.h1.7.s.{pin}"),
        ] {
            assert!(text.parse::<Token>().is_err(), "{text}");
        }
    }
}
