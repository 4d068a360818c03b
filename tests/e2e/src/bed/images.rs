//! The machines' and the service's images, made from Debian's packages, kept under a tag that names their content.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use sha2::{Digest, Sha256};

use super::root;
use crate::{
    docker::{docker, has_image},
    shell,
};

const LIMIT: Duration = Duration::from_secs(900);

/// The image of every machine; made if it is not there.
pub(crate) fn machine(say: &dyn Fn(&str)) -> Result<String, String> {
    let bed = root().join("tests/bed");
    let image = format!(
        "dv-bed-machine:{}",
        fingerprint(&[&bed.join("files"), &bed.join("packages"), &bed.join("setup")])?
    );
    if !has_image(&image) {
        say(&format!("making {image} from Debian's packages, once (about a minute)"));
        let files = format!("--customize-hook=sync-in {} /", bed.join("files").display());
        let setup = format!("--customize-hook=upload {} /root/setup", bed.join("setup").display());
        let nothing = |directory| format!("--dpkgopt=path-exclude=/usr/share/{directory}/*");
        debootstrap(
            &image,
            &bed.join("packages"),
            &[
                "--variant=minbase",
                &nothing("doc"),
                &nothing("man"),
                &nothing("locale"),
                &files,
                &setup,
                "--customize-hook=chroot \"$1\" sh /root/setup",
            ],
        )?;
    }
    Ok(image)
}

/// What the service's image is based on; made if it is not there.
pub(crate) fn service_base(say: &dyn Fn(&str)) -> Result<String, String> {
    let packages = root().join("tests/bed/service-packages");
    let image = format!("dv-bed-service-base:{}", fingerprint(&[&packages])?);
    if !has_image(&image) {
        say(&format!("making {image} from Debian's packages, once"));
        debootstrap(&image, &packages, &["--variant=extract"])?;
    }
    Ok(image)
}

/// Builds the service's image of each release and pushes it to the registry at `registry`.
pub(crate) fn push_service(base: &str, registry: &str, releases: &[&str]) -> Result<(), String> {
    let service = root().join("tests/service").display().to_string();
    for release in releases {
        let image = format!("{registry}/debvisor/debvisor:{release}");
        docker(&[
            "build",
            "--quiet",
            "--file",
            &format!("{service}/shapes/compose/Dockerfile"),
            "--build-arg",
            &format!("BASE={base}"),
            "--build-arg",
            &format!("RELEASE={release}"),
            "--tag",
            &image,
            &service,
        ])
        .result()?;
        docker(&["push", "--quiet", &image]).result()?;
        docker(&["rmi", "--no-prune", &image]).result()?;
    }
    Ok(())
}

fn debootstrap(image: &str, packages: &Path, options: &[&str]) -> Result<(), String> {
    let packages = fs::read_to_string(packages).map_err(|e| e.to_string())?;
    let packages: Vec<&str> =
        packages.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    let tar = Scratch::new(&format!("{}.tar", image.replace(':', "-")));
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap
        .args(["--quiet", &format!("--include={}", packages.join(","))])
        .args(options)
        .arg("bookworm")
        .arg(&tar.0);
    shell::run(&mut mmdebstrap, LIMIT).result()?;
    let mut import = Command::new("docker");
    import.args(["import", "--change", "CMD [\"/sbin/init\"]", "--change", "ENV container=docker"]);
    shell::run(import.arg(&tar.0).arg(image), LIMIT).result().map(drop)
}

/// A file that goes when it is no longer needed.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A short name for the content of these files and directories.
fn fingerprint(paths: &[&Path]) -> Result<String, String> {
    let mut hash = Sha256::new();
    // Whatever this file says about how an image is made is part of what it is.
    hash.update(include_str!("images.rs"));
    for path in paths {
        take_in(&mut hash, path).map_err(|why| format!("{}: {why}", path.display()))?;
    }
    let digest = hash.finalize();
    Ok(digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect())
}

fn take_in(hash: &mut Sha256, path: &Path) -> io::Result<()> {
    hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
    if path.is_dir() {
        let mut inside =
            fs::read_dir(path)?.map(|e| Ok(e?.path())).collect::<io::Result<Vec<_>>>()?;
        inside.sort();
        inside.iter().try_for_each(|path| take_in(hash, path))
    } else {
        let content = fs::read(path)?;
        hash.update(content.len().to_le_bytes());
        hash.update(content);
        Ok(())
    }
}
