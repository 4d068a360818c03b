//! The generated code is checked in, so that building dv needs no protobuf tools. This test makes it anew;
//! where it differs, it writes the new form, fails, and passes when run again.

use std::{fs, path::Path};

#[test]
fn generated_code_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("proto");
    let fds = protox::compile([folder.join("etcd.proto")], [folder]).expect("it compiles");
    let out = tempfile::tempdir().expect("a temporary directory");
    tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .build_server(false)
        .bytes(".")
        .out_dir(out.path())
        .compile_fds(fds)
        .expect("code is generated");
    let new = fs::read_to_string(out.path().join("etcdserverpb.rs")).expect("one generated file");
    let kept = root.join("src/gen/etcdserverpb.rs");
    if fs::read_to_string(&kept).unwrap_or_default() != new {
        fs::write(&kept, new).expect("the generated code is writable");
        panic!(
            "{} was out of date and has been written anew: run the test again and commit it",
            kept.display()
        );
    }
}
