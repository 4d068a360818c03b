//! What a machine must offer for a disk whose power can be cut, and the commands of the system.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Command, Stdio},
};

/// Why there can be no such disk here; installs what is missing and can be had.
pub fn prepare() -> Result<(), String> {
    let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !root {
        return Err("disks can be attached and mounted by root only".to_owned());
    }
    for device in ["/dev/fuse", "/dev/loop-control"] {
        if !Path::new(device).exists() {
            return Err(format!("there is no {device}"));
        }
    }
    for (program, package) in [("mkfs.ext4", "e2fsprogs"), ("losetup", "mount")] {
        let mut version = Command::new(program);
        version.arg("-V").stdout(Stdio::null()).stderr(Stdio::null());
        if version.status().is_err() {
            println!("{program} is missing, so it is installed: apt-get install {package}");
            let script = format!(
                "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends {package}"
            );
            run("sh", &["-c", &script])?;
        }
    }
    Ok(())
}

/// Runs a command; what it prints, or what it says about its failure.
pub fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let line = || format!("{program} {}", arguments.join(" "));
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|why| format!("{}: {why}", line()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{} ({}): {}", line(), output.status, said.trim()))
    }
}
