use super::*;

#[test]
fn is_renewed_between_a_half_and_two_thirds_of_its_life_each_at_its_own_time() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let of = |n: u32| Written { host: format!("h{n}"), from: at(0), until: at(3_000_000) };
    let mut thirds = [0; 3];
    for n in 0..3000 {
        let when = of(n).renew_from().as_second() - 1_500_000;
        assert!((0..=500_000).contains(&when), "{when}");
        thirds[usize::try_from(when * 3 / 500_001).unwrap()] += 1;
    }
    assert!(thirds.iter().all(|count| (800..1200).contains(count)), "{thirds:?}");

    let written = of(1);
    let left = Duration::try_from(written.renew_from().duration_since(at(500))).unwrap();
    assert_eq!(written.renew_in(at(500)), left);
    assert_eq!(written.renew_in(at(2_000_001)), Duration::ZERO);
    assert_eq!(written.renew_in(at(9_999_999)), Duration::ZERO);
}

#[test]
fn a_key_that_others_can_read_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let text = || "x".to_owned();
    Identity { key: text(), certificate: text(), ca: text() }.save(dir.path()).unwrap();
    assert!(Identity::load(dir.path()).is_ok());
    let key = dir.path().join("key.pem");
    for mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let error = Identity::load(dir.path()).err().unwrap().to_string();
        assert!(error.contains("chmod 600") && error.contains("key.pem"), "{error}");
    }
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
