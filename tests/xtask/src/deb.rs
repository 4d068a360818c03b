//! Builds the Debian packages: the directories of `deploy/` that have a `DEBIAN/`, with the programs added.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const PACKAGES: [&str; 3] = ["dv-agent", "dv-coordinator", "dvctl"];

/// Completions of dvctl, and where each shell looks for them.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/dvctl"),
    ("zsh", "usr/share/zsh/vendor-completions/_dvctl"),
    ("fish", "usr/share/fish/vendor_completions.d/dvctl.fish"),
];

/// Builds the programs with cargo's `profile` (`dev` or `release`) and packs them into `out`.
pub(crate) fn build(profile: &str, out: &Path) -> Result<Vec<PathBuf>, String> {
    let programs = compile(profile)?;
    pack(&programs, profile, out)
}

/// Compiles the programs and says where they are.
fn compile(profile: &str) -> Result<PathBuf, String> {
    let cargo = |packages: &[&str]| {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(root()).args(["build", "--quiet", "--locked", "--profile", profile]);
        cargo.args(packages);
        run(&mut cargo)
    };
    if profile == "dev" {
        // As the tests are built: in parts, crates would have other features and be compiled a second time.
        cargo(&["--workspace", "--all-targets"])?;
    } else {
        // Alone, each has of the crates only what it needs itself: an agent has no use for a coordinator's threads.
        for package in PACKAGES {
            cargo(&["--package", package])?;
        }
    }
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join(if profile == "dev" { "debug" } else { profile }))
}

/// Packs the programs that lie in `programs`, built with `profile`, into `out`.
pub(crate) fn pack(programs: &Path, profile: &str, out: &Path) -> Result<Vec<PathBuf>, String> {
    fs::create_dir_all(out).map_err(at(out))?;
    for old in fs::read_dir(out).map_err(at(out))?.flatten() {
        if old.path().extension().is_some_and(|e| e == "deb") {
            fs::remove_file(old.path()).map_err(at(&old.path()))?;
        }
    }
    PACKAGES.iter().map(|package| pack_one(programs, package, profile, out)).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Stages one package's tree and packs it.
fn pack_one(programs: &Path, package: &str, profile: &str, out: &Path) -> Result<PathBuf, String> {
    let deploy = root().join("deploy");
    let stage = out.join("stage").join(package);
    if stage.exists() {
        fs::remove_dir_all(&stage).map_err(at(&stage))?;
    }
    copy_tree(&deploy.join(package), &stage)?;

    let program = stage.join("usr/bin").join(package);
    install(&programs.join(package), &program)?;
    // Line tables make up most of a development build and nobody debugs it from a package.
    run(Command::new("strip").arg("--strip-debug").arg(&program))?;

    let docs = stage.join("usr/share/doc").join(package);
    write(
        &docs.join("copyright"),
        "License: Apache-2.0, see /usr/share/common-licenses/Apache-2.0\n",
    )?;
    copy_tree(&deploy.join("examples"), &docs.join("examples"))?;
    if package == "dvctl" {
        for (shell, path) in COMPLETIONS {
            write(
                &stage.join(path),
                &output(Command::new(&program).args(["completions", shell]))?,
            )?;
        }
    }

    let version = env!("CARGO_PKG_VERSION");
    let architecture = output(Command::new("dpkg").arg("--print-architecture"))?;
    let architecture = architecture.trim();
    let control = stage.join("DEBIAN/control");
    let text = fs::read_to_string(&control)
        .map_err(at(&control))?
        .replace("@VERSION@", version)
        .replace("@ARCHITECTURE@", architecture)
        .replace("@LIBC@", &newest_libc(&program)?)
        .replace("@SIZE@", &kibibytes(&stage)?.to_string());
    write(&control, &text)?;
    if package == "dv-agent" {
        write(&stage.join("usr/lib/dv-agent/version"), &format!("{version}\n"))?;
    }

    // Whatever the umask was at the checkout: an agent refuses a policy that others may write.
    run(Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(&stage))?;

    let deb = out.join(format!("{package}_{version}_{architecture}.deb"));
    // Nobody keeps a development build: packing it fast is worth more than packing it small.
    let compression = if profile == "release" { ["-Zxz", "-z6"] } else { ["-Zgzip", "-z1"] };
    run(Command::new("dpkg-deb")
        .args(compression)
        .args(["--build", "--root-owner-group"])
        .args([&stage, &deb]))?;
    Ok(deb)
}

/// The newest version of glibc that a program asks for.
fn newest_libc(program: &Path) -> Result<String, String> {
    let symbols = output(Command::new("objdump").arg("-T").arg(program))?;
    let newest = symbols
        .split("GLIBC_")
        .skip(1)
        .filter_map(|rest| {
            let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
            let (major, minor) = rest[..end].split_once('.')?;
            Some((major.parse::<u32>().ok()?, minor.split('.').next()?.parse::<u32>().ok()?))
        })
        .max()
        .ok_or_else(|| format!("{} asks for no version of glibc", program.display()))?;
    Ok(format!("{}.{}", newest.0, newest.1))
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), String> {
    for entry in fs::read_dir(from).map_err(at(from))? {
        let entry = entry.map_err(at(from))?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_tree(&from, &to)?;
        } else {
            install(&from, &to)?;
        }
    }
    Ok(())
}

/// Copies a file, with its mode.
fn install(from: &Path, to: &Path) -> Result<(), String> {
    let parent = to.parent().expect("a file lies in a directory");
    fs::create_dir_all(parent).map_err(at(parent))?;
    fs::copy(from, to).map_err(at(from))?;
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let parent = path.parent().expect("a file lies in a directory");
    fs::create_dir_all(parent).map_err(at(parent))?;
    fs::write(path, text).map_err(at(path))
}

fn kibibytes(path: &Path) -> Result<u64, String> {
    let mut sum = 0;
    for entry in fs::read_dir(path).map_err(at(path))? {
        let path = entry.map_err(at(path))?.path();
        sum += if path.is_dir() {
            kibibytes(&path)?
        } else {
            fs::metadata(&path).map_err(at(&path))?.len().div_ceil(1024)
        };
    }
    Ok(sum)
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> String {
    let path = path.display().to_string();
    move |why| format!("{path}: {why}")
}

fn run(command: &mut Command) -> Result<(), String> {
    output(command).map(drop)
}

/// Runs a command and takes what it prints; what it says about its failure is the error.
fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|why| format!("{name} can't be run: {why}"))?;
    if output.status.success() {
        String::from_utf8(output.stdout).map_err(|_| format!("{name} printed no text"))
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{name} failed ({}): {}", output.status, said.trim()))
    }
}
