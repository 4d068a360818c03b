use std::os::unix::fs::PermissionsExt;

use super::{
    disguise::{contains, replace},
    *,
};

#[test]
fn a_secret_is_known_in_every_disguise() {
    let secret = "pä ss&\"<w>/1+%\\";
    for disguised in [
        secret,
        "p%C3%A4+ss%26%22%3Cw%3E%2F1%2B%25%5C",
        "p%c3%a4%20ss&%22%3cw%3e/1+%25\\",
        "pä ss&amp;&quot;&lt;w&gt;/1+%\\",
        "p&#228;&#32;ss&#x26;&#34;&#x3C;w&#62;/1+%\\",
        "p\\u00e4 ss&\\\"<w>\\/1+%\\\\",
    ] {
        assert!(contains(disguised, secret), "{disguised}");
        assert_eq!(replace(&format!("ä{disguised}ä, {disguised}"), secret, "*"), "ä*ä, *");
    }
    for other in ["", "p", "pä ss&\"<w>/1+", "p%C3 ss", "%", "&#", "&#xFFFFFFFF;", "\\u", "%zz"] {
        assert!(!contains(other, secret), "{other}");
        assert_eq!(replace(other, secret, "*"), other);
    }
}

#[test]
fn a_file_that_others_could_read_keeps_no_secret() {
    let own = rustix::process::geteuid().as_raw();
    assert!(distrust(0, 0o100_400, false).is_none());
    assert!(distrust(own, 0o100_600, true).is_none());
    assert!(distrust(own + 1, 0o100_600, true).is_some());
    assert!(distrust(own + 1, 0o100_600, false).is_some());
    for mode in [0o640, 0o604, 0o620, 0o610] {
        assert!(distrust(0, mode, false).is_some(), "{mode:o}");
    }
}

#[test]
fn a_secret_is_one_line_of_text() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let holds = |bytes: &[u8]| {
        std::fs::write(file.path(), bytes).unwrap();
        std::fs::set_permissions(file.path(), PermissionsExt::from_mode(0o600)).unwrap();
        read(file.path(), true).map(|hidden| hidden.expose().to_owned())
    };
    for text in ["hunter2", "hunter2\n", "hunter2\r\n"] {
        assert_eq!(holds(text.as_bytes()), Ok("hunter2".to_owned()));
    }
    assert_eq!(holds(b" spaces stay "), Ok(" spaces stay ".to_owned()));
    for (bytes, part) in
        [(&b""[..], "empty"), (b"\n", "empty"), (b"a\nb\n", "one line"), (b"\xff", "not a text")]
    {
        assert!(holds(bytes).unwrap_err().contains(part));
    }
    assert!(holds(&[b'x'; 5000]).unwrap_err().contains("4 KiB"));
    assert!(read(Path::new("/dev"), true).is_err_and(|why| why.contains("not a file")));
}
