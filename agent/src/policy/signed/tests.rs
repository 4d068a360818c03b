use std::path::Path;

use ssh_key::{
    LineEnding, PrivateKey, Signature, SigningKey,
    private::Ed25519Keypair,
    public::{KeyData, SkEd25519},
    sha2::{Digest as _, Sha256},
};

use super::*;
use crate::policy::Policy;

const TEXT: &str = "a warrant";
const ALICE: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPTj8KIVtijitdOlgoJxRl0drbzZdd6rr3D5yaTGmEJ5 alice";
/// `ssh-keygen -Y sign -n dv-plan@v1` has made it of the text.
const BY_ALICE: &str = "\
-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg9OPwohW2KOK106WCgnFGXR2tvN
l13quvcPnJpMaYQnkAAAAKZHYtcGxhbkB2MQAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gt
ZWQyNTUxOQAAAEDdtagupp8UuVGYoWvEEzUh37QHwsSAZUkrBGG2EaHvpwjncYcgJXrCqs
cLdiDvboqtu48N1Ds09iZsOteQJAwE
-----END SSH SIGNATURE-----
";
const BOB: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBG6p2AmzZmYA1ttdEbt2NXlnKMv1HMQqwixf+kNUwamQg2lvx4xBax3P5AI6alFBh3JMg0wYIs0AJRAsxWsNd00= bob";
const BY_BOB: &str = "\
-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAAGgAAAATZWNkc2Etc2hhMi1uaXN0cDI1NgAAAAhuaXN0cDI1NgAAAE
EEbqnYCbNmZgDW210Ru3Y1eWcoy/UcxCrCLF/6Q1TBqZCDaW/HjEFrHc/kAjpqUUGHckyD
TBgizQAlECzFaw13TQAAAApkdi1wbGFuQHYxAAAAAAAAAAZzaGE1MTIAAABkAAAAE2VjZH
NhLXNoYTItbmlzdHAyNTYAAABJAAAAIBPatet9BNV0+mzNkabkMH7jL5mo+0Z01ik4zrj2
q4WpAAAAIQDWcP9crZk8dKOUAq8o2tmR3f+ok8YEFv4+xJH6Mwo9Bw==
-----END SSH SIGNATURE-----
";
const ECDSA_384: &str = "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBIPxVwVKqE5wOugH7O/+zZtzHPHwoC18yCUCaYY/3+H3PP2lW/sdd1XVZ/BMg9R+5Mw5ZthGw/QjiVDvP/UIYbdzi3vCso/knrGpsnQ3n25kSzB36b1VV173yrJrLl0ZPQ== dan";

fn policy(signed: &str) -> Result<Policy, String> {
    Policy::parse(Path::new("policy.yaml"), &format!("signed: {signed}")).map_err(|e| e.to_string())
}

fn trusted(keys: &[&str]) -> Signed {
    policy(&format!("{{keys: {keys:?}}}")).unwrap().signed.unwrap()
}

fn signed(text: &str, signature: &str) -> SignedWarrant {
    SignedWarrant { text: text.to_owned(), signature: signature.to_owned() }
}

#[test]
fn what_ssh_keygen_has_signed_is_known_by_the_name_at_its_key() {
    let both = trusted(&[ALICE, BOB]);
    assert_eq!(both.signer(&signed(TEXT, BY_ALICE)).as_deref(), Ok("alice"));
    assert_eq!(both.signer(&signed(TEXT, BY_BOB)).as_deref(), Ok("bob"));
    let why = both.signer(&signed("another", BY_ALICE)).unwrap_err();
    assert!(why.contains("not alice's for this text"), "{why}");
    let why = trusted(&[BOB]).signer(&signed(TEXT, BY_ALICE)).unwrap_err();
    assert!(why.contains("does not list"), "{why}");
    let nameless = ALICE.strip_suffix(" alice").unwrap();
    let by = trusted(&[nameless]).signer(&signed(TEXT, BY_ALICE)).unwrap();
    assert!(by.starts_with("SHA256:"), "{by}");
}

/// As a FIDO key signs: over hashes, with flags and a counter.
fn by_hardware(flags: u8) -> (String, String) {
    let inside = PrivateKey::from(Ed25519Keypair::from_seed(&[9; 32]));
    let KeyData::Ed25519(public) = inside.public_key().key_data() else { unreachable!() };
    let key = SkEd25519::new(*public, "ssh:");
    let message = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, TEXT.as_bytes()).unwrap();
    let trailer = [flags, 0, 0, 0, 7];
    let mut hashed = Sha256::digest("ssh:").to_vec();
    hashed.extend(trailer);
    hashed.extend(Sha256::digest(&message));
    let mut raw = signed_by(&inside, &hashed).as_bytes().to_vec();
    raw.extend(trailer);
    let signature = Signature::new(Algorithm::SkEd25519, raw).unwrap();
    let public = KeyData::SkEd25519(key);
    let signature = SshSig::new(public.clone(), NAMESPACE, HashAlg::Sha512, signature).unwrap();
    let public = PublicKey::new(public, "carol").to_openssh().unwrap();
    (public, signature.to_pem(LineEnding::LF).unwrap())
}

fn signed_by(key: &impl SigningKey, message: &[u8]) -> Signature {
    key.try_sign(message).unwrap()
}

#[test]
fn a_hardware_key_counts_where_it_was_touched() {
    let (public, signature) = by_hardware(1);
    assert_eq!(trusted(&[&public]).signer(&signed(TEXT, &signature)).as_deref(), Ok("carol"));
    let (public, signature) = by_hardware(0);
    let why = trusted(&[&public]).signer(&signed(TEXT, &signature)).unwrap_err();
    assert!(why.contains("without being touched"), "{why}");
}

#[test]
fn a_policy_that_could_not_mean_what_it_says_is_an_error() {
    for (text, why) in [
        ("{}", "keys"),
        ("{keys: []}", "nobody can sign"),
        ("{keys: [alice]}", "is no public key"),
        (&format!("{{keys: [{ECDSA_384:?}]}}"), "can't be verified here"),
        (&format!("{{keys: [{ALICE:?}], max_age: 0s}}"), "way_back"),
        (&format!("{{keys: [{ALICE:?}], max_age: 2d, way_back: 1d}}"), "way_back"),
        (&format!("{{keys: [{ALICE:?}], ask: [[ready]]}}"), "absolute path"),
        (&format!("{{keys: [{ALICE:?}], services: [shop]}}"), "services"),
    ] {
        let said = policy(text).unwrap_err();
        assert!(said.contains(why), "{text}: {said}");
    }
}
