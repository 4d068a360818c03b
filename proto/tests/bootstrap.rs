//! The generated code is checked in, so that building dv needs no protobuf tools. This test makes it anew;
//! where it differs, it writes the new form, fails, and passes when run again.

use std::{fs, path::Path};

#[test]
fn generated_code_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fds =
        protox::compile(["dv/v1/agent.proto", "dv/v1/control.proto"].map(|p| root.join(p)), [root])
            .expect("the .proto files compile");
    let out = tempfile::tempdir().expect("a temporary directory");
    tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .codec_path("crate::Frugal")
        .out_dir(out.path())
        .compile_fds(fds)
        .expect("code is generated");
    let new = fs::read_to_string(out.path().join("dv.v1.rs")).expect("one generated file");
    let kept = root.join("src/gen/dv.v1.rs");
    if fs::read_to_string(&kept).unwrap_or_default() != new {
        fs::write(&kept, new).expect("the generated code is writable");
        panic!(
            "{} was out of date and has been written anew: run the test again and commit it",
            kept.display()
        );
    }
}
