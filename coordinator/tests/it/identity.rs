//! What the CA issues, and to whom it does not.

use std::os::unix::fs::PermissionsExt as _;

use dv_coordinator::identity::{Authority, IdentityError, context_file, renew_context};
use dv_types::{HostName, Span, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use x509_parser::prelude::{FromDer, GeneralName, Pem, X509Certificate};

fn authority(directory: &std::path::Path) -> Authority {
    Authority::open(directory, Timestamp::now()).unwrap()
}

fn web1() -> HostName {
    HostName::new("web1").unwrap()
}

/// A request that asks for everything it should not get.
fn hostile_request(key: &KeyPair) -> String {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.subject_alt_names = vec![
        SanType::URI("spiffe://dv/operator/admin".try_into().unwrap()),
        SanType::DnsName("coordinator".try_into().unwrap()),
    ];
    params.distinguished_name.push(DnType::CommonName, "admin");
    params.serialize_request(key).unwrap().pem().unwrap()
}

#[test]
fn a_hostile_request_gets_an_ordinary_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(directory.path());
    let key = KeyPair::generate().unwrap();
    let issued = authority.issue_host(&web1(), &hostile_request(&key), Timestamp::now()).unwrap();

    let (_, pem) = x509_parser::pem::parse_x509_pem(issued.certificate.as_bytes()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&pem.contents).unwrap();
    assert!(!certificate.is_ca());
    assert_eq!(certificate.subject().to_string(), "CN=web1");
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names, [GeneralName::URI("spiffe://dv/host/web1")]);
    let usage = certificate.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign());
    let extended = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.client_auth && !extended.server_auth && !extended.any);
    assert_eq!(certificate.public_key().subject_public_key.data.as_ref(), key.public_key_raw());
    let days = certificate.validity().not_after.timestamp() - Timestamp::now().as_second();
    assert!((6 * 86_400..=7 * 86_400).contains(&days), "{days}");
}

#[test]
fn a_request_that_its_key_did_not_sign_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(directory.path());
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::default().serialize_request(&key).unwrap();
    let mut der = request.der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    let forged = pem("CERTIFICATE REQUEST", &der);
    for text in [forged.as_str(), "", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"] {
        let refused = authority.issue_host(&web1(), text, Timestamp::now());
        assert!(matches!(refused, Err(IdentityError::Request(_))), "{refused:?}");
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    use std::fmt::Write as _;
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    for chunk in der.chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63] as char;
            let _ = text.write_char(if i <= chunk.len() { digit } else { '=' });
        }
    }
    text + &format!("\n-----END {label}-----\n")
}

#[test]
fn serials_differ_and_the_ca_stays() {
    let directory = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    let (first, pin) = {
        let authority = authority(directory.path());
        let issued = authority.issue_host(&web1(), &request, Timestamp::now()).unwrap();
        (issued, authority.pin())
    };
    let authority = authority(directory.path());
    let second = authority.issue_host(&web1(), &request, Timestamp::now()).unwrap();
    assert_eq!(authority.pin(), pin);
    assert_ne!(first.serial, second.serial);
    assert_eq!(first.serial.len(), 32);
    let ca = Pem::iter_from_buffer(authority.bundle().as_bytes()).next().unwrap().unwrap();
    let (_, ca) = X509Certificate::from_der(&ca.contents).unwrap();
    for issued in [first, second] {
        let (_, pem) = x509_parser::pem::parse_x509_pem(issued.certificate.as_bytes()).unwrap();
        let (_, certificate) = X509Certificate::from_der(&pem.contents).unwrap();
        certificate.verify_signature(Some(ca.public_key())).unwrap();
    }
}

#[test]
fn keys_are_private_and_stay_so() {
    let directory = tempfile::tempdir().unwrap();
    let identity = directory.path().join("identity");
    drop(authority(&identity));
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let key = identity.join("ca-key.pem");
    assert_eq!((mode(&identity), mode(&key)), (0o700, 0o600));

    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = Authority::open(&identity, Timestamp::now()).err().unwrap().to_string();
    assert!(refused.contains("readable by others"), "{refused}");
}

#[test]
fn an_operators_certificate_is_renewed_in_its_last_third() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(&directory.path().join("identity"));
    let path = directory.path().join("operator").join("admin.yaml");
    let begin = Timestamp::now();
    let day = |n: u64| Span::from_secs(n * 86_400).after(begin);
    context_file(&authority, path.clone(), "admin", "localhost:7443", begin).unwrap();
    // A person has set the address since.
    let edited = std::fs::read_to_string(&path).unwrap().replace("localhost:7443", "dv.example:1");
    std::fs::write(&path, &edited).unwrap();

    assert!(!renew_context(&authority, &path, day(55)).unwrap());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), edited);

    assert!(renew_context(&authority, &path, day(61)).unwrap());
    let renewed = std::fs::read_to_string(&path).unwrap();
    assert!(renewed.contains("dv.example:1") && renewed.contains("admin"), "{renewed}");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    #[derive(serde::Deserialize)]
    struct Context {
        certificate: String,
    }
    let context: Context = serde_saphyr::from_str(&renewed).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(context.certificate.as_bytes()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&pem.contents).unwrap();
    assert!(certificate.validity().not_after.timestamp() > day(150).as_second());
    assert!(!renew_context(&authority, &path, day(62)).unwrap(), "once is enough");

    // What was taken away is not made again.
    std::fs::remove_file(&path).unwrap();
    assert!(!renew_context(&authority, &path, day(900)).unwrap());
    assert!(!path.exists());
}

#[test]
fn a_rotation_that_was_not_finished_is_finished_at_the_next_look() {
    let directory = tempfile::tempdir().unwrap();
    let identity = directory.path().join("identity");
    let first = authority(&identity);
    let (old, before) = (first.pin(), std::fs::read(identity.join("ca.pem")).unwrap());
    first.rotate(Timestamp::now()).unwrap();
    let new = (first.pin(), first.bundle());
    // As it is after a power cut between its writes: decided, and the certificate is still the old one.
    let text = |name: &str| std::fs::read_to_string(identity.join(name)).unwrap();
    let next = format!("{}{}", text("ca.pem"), text("ca-key.pem"));
    std::fs::write(identity.join("next.pem"), next).unwrap();
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(identity.join("next.pem"), private).unwrap();
    std::fs::write(identity.join("ca.pem"), before).unwrap();

    let again = authority(&identity);
    assert_eq!((again.pin(), again.bundle()), new);
    assert_eq!(again.lineage(), [new.0, old]);
    assert!(!identity.join("next.pem").exists());
}

#[test]
fn one_authority_at_a_time_follows_another() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(directory.path());
    let now = Timestamp::now();
    let first = (authority.issuer(), authority.pin());
    assert!(authority.retire().unwrap_err().to_string().contains("dvctl ca rotate"));
    authority.rotate(now).unwrap();
    assert!(authority.rotate(now).unwrap_err().to_string().contains("dvctl ca retire"));
    assert!(authority.knows(&first.0));
    assert_eq!(authority.bundle_from(&first.1).len(), authority.bundle().len());
    assert_ne!(authority.bundle_from(&first.1), authority.bundle());
    authority.retire().unwrap();
    assert!(!authority.knows(&first.0));
    authority.rotate(now).unwrap();
    assert_eq!(authority.lineage().len(), 3);
}
