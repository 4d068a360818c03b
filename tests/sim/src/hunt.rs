//! Plants known bugs, one at a time, and says which invariant catches each. The bugs are patches (`tests/sim/planted`) that go into
//! a copy of the sources, so that nothing of them is in the product.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Prints a table of the planted bugs and what caught each; whether all were caught.
pub(crate) fn hunt(seeds: &str, only: Option<&str>) -> Result<bool> {
    let root = root()?;
    let patches = patches(&root.join("tests/sim/planted"))?;
    let hunter = plant(&root, &patches)?;
    println!("| Bug | What it is | Caught by | Seed |\n|---|---|---|---|");
    let mut all = true;
    // The first patch makes the others possible.
    for patch in &patches[1..] {
        let name = patch.file_stem().unwrap_or_default().to_string_lossy();
        let name = name.split_once('-').map_or(&*name, |(_, name)| name);
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let text = fs::read_to_string(patch)?;
        let what = text.lines().next().unwrap_or_default().trim_end_matches('.');
        let run = ["run", "--failures", "1", "--seeds", seeds];
        let said = Command::new(&hunter).args(run).env("DV_PLANTED", name).output()?;
        let said = String::from_utf8_lossy(&said.stdout);
        let caught = said.lines().find_map(|line| {
            let (seed, rest) = line.strip_prefix("seed ")?.split_once(": ")?;
            Some((seed, rest.split_once(" does not hold")?.0))
        });
        match caught {
            Some((seed, invariant)) => println!("| `{name}` | {what} | `{invariant}` | {seed} |"),
            None => println!("| `{name}` | {what} | **nothing** | |"),
        }
        all &= caught.is_some();
    }
    Ok(all)
}

fn root() -> Result<PathBuf> {
    Ok(fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))?)
}

fn patches(directory: &Path) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(directory)?.map(|file| Ok(file?.path()));
    let mut patches = files.collect::<io::Result<Vec<_>>>()?;
    patches.sort();
    Ok(patches)
}

/// Builds the simulation with every bug in it, each asleep; where it is.
fn plant(root: &Path, patches: &[PathBuf]) -> Result<PathBuf> {
    let (place, target) = (root.join("target/planted"), root.join("target"));
    let tree = place.join("tree");
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output()?;
    for file in String::from_utf8(listed.stdout)?.split_terminator('\0') {
        let (from, to) = (root.join(file), tree.join(file));
        fs::create_dir_all(to.parent().ok_or("a file is in a directory")?)?;
        fs::copy(from, to)?;
    }
    for patch in patches {
        let mut apply = Command::new("patch");
        apply.args(["--strip=1", "--silent", "--input"]).arg(patch).current_dir(&tree);
        if !apply.status()?.success() {
            return Err(format!("{} does not apply any more", patch.display()).into());
        }
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = ["build", "--profile", "sim", "--locked", "--package", "dv-sim"];
    let mut build = Command::new(cargo)
        .args(build)
        .env("CARGO_TARGET_DIR", &target)
        .current_dir(&tree)
        .spawn()?;
    if !build.wait()?.success() {
        return Err("the planted sources do not compile".into());
    }
    let hunter = place.join("dv-sim");
    fs::copy(target.join("sim/dv-sim"), &hunter)?;
    Ok(hunter)
}
