use super::*;

#[test]
fn is_renewed_at_two_thirds_of_its_life() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let written = Written { host: "h1".into(), from: at(0), until: at(3000) };
    assert_eq!(written.renew_from(), at(2000));
    assert_eq!(written.renew_in(at(500)), Duration::from_secs(1500));
    assert_eq!(written.renew_in(at(2500)), Duration::ZERO);
    assert_eq!(written.renew_in(at(9999)), Duration::ZERO);
}

#[test]
fn a_host_without_an_identity_is_told_how_to_get_one() {
    let dir = tempfile::tempdir().unwrap();
    let error = Identity::load(dir.path()).err().unwrap().to_string();
    assert!(error.contains("dv-agent enrol"), "{error}");
}

#[test]
fn a_certificate_without_a_host_is_not_a_host_s() {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["h1".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    assert_eq!(written(&certificate).unwrap_err(), "it names no host");
    assert!(written("no PEM").is_err());
}
