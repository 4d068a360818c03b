//! What operators have signed for this host. Where the policy says `signed`, a command is obeyed only as the next thing
//! that a warrant holds for it: the coordinator can withhold it, and nothing else.
//!
//! One small file for each service holds the newest warrant that was obeyed, and how far the host has come under it. It is
//! never forgotten, not at a new enrolment either: with it, no older warrant is obeyed, and none twice.

mod cursor;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use dv_types::{
    Command, CommandId, Digest, ServiceName, Timestamp, Warrant,
    warrant::{HostWarrant, Leaf},
};
use serde::{Deserialize, Serialize};

pub(crate) use cursor::Standing;
use cursor::{Cursor, Step};

use crate::{
    durable,
    ledger::Mark,
    policy::{Policy, Signed},
    ports::Disk,
};

/// So many that were handed over are kept, the latest: a host has to do with few at a time.
const HANDED: usize = 8;
/// The most that one may take, in bytes.
const LARGEST: usize = 512 * 1024;

/// Under which warrant a command is said to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claim {
    /// The warrant's digest; nothing where the plan is not signed.
    pub(crate) warrant: Option<Digest>,
    /// It takes the host back.
    pub(crate) back: bool,
    /// This host, by its certificate.
    pub(crate) host: String,
}

/// What is known of a command when it is looked whether it may be done.
pub(crate) struct Case<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) now: Timestamp,
    pub(crate) command: &'a Command,
    pub(crate) claim: &'a Claim,
    /// It was begun before the agent died.
    pub(crate) begun: bool,
    /// What is there now, of that which it changes.
    pub(crate) mark: Option<&'a Mark>,
    pub(crate) ledger: &'a BTreeMap<CommandId, Standing>,
}

/// All that this host was handed, and has obeyed. Its writing waits for the disk.
#[derive(Clone)]
pub(crate) struct Warrants {
    inner: Arc<Inner>,
}

struct Inner {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    handed: Mutex<VecDeque<(Digest, HostWarrant)>>,
    /// One change at a time.
    changing: Mutex<()>,
    obeyed: Mutex<BTreeMap<ServiceName, Result<Obeyed, String>>>,
}

/// One file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Obeyed {
    warrant: HostWarrant,
    cursor: Cursor,
}

/// A warrant that holds here.
struct Valid {
    given: HostWarrant,
    warrant: Warrant,
    leaf: Leaf,
    by: String,
}

impl Warrants {
    /// Takes up where the files left off.
    pub(crate) fn open(disk: Arc<dyn Disk>, directory: PathBuf) -> io::Result<Self> {
        disk.private_directory(&directory)?;
        let mut obeyed = BTreeMap::new();
        for path in disk.list(&directory)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with(durable::TEMPORARY) {
                // Not yet renamed when the agent died: it never happened.
                durable::remove(&*disk, &path)?;
            } else if let Some(service) = name.strip_suffix(".json").and_then(|n| n.parse().ok()) {
                // One that can't be read forbids its service, and nothing else.
                obeyed.insert(service, read(&*disk, &path));
            } else {
                tracing::warn!(file = %path.display(), "a file among the warrants that is not the agent's");
            }
        }
        let (handed, changing, obeyed) = (Mutex::default(), Mutex::default(), Mutex::new(obeyed));
        Ok(Self { inner: Arc::new(Inner { disk, directory, handed, changing, obeyed }) })
    }

    /// Keeps what was handed over. Whether it is worth anything is looked at when a command is said to be part of it.
    pub(crate) fn hand(&self, text: &str) -> Result<(), String> {
        if text.len() > LARGEST {
            return Err(format!(
                "a warrant of {} bytes is not kept: at most {LARGEST} are",
                text.len()
            ));
        }
        let given: HostWarrant =
            dv_proto::from_json("warrant_json", text).map_err(|why| why.to_string())?;
        let id = given.signed.id();
        let mut handed = lock(&self.inner.handed);
        handed.retain(|(known, _)| *known != id);
        handed.push_back((id, given));
        if handed.len() > HANDED {
            handed.pop_front();
        }
        Ok(())
    }

    /// Whether nothing was ever obeyed by one.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.inner.obeyed).is_empty()
    }

    /// The commands under this claim of which the ledger must be asked.
    pub(crate) fn unsettled(&self, claim: &Claim) -> Vec<CommandId> {
        let obeyed = lock(&self.inner.obeyed);
        let of = |one: &&Obeyed| Some(one.warrant.signed.id()) == claim.warrant;
        let own = obeyed.values().filter_map(|one| one.as_ref().ok()).find(of);
        own.map(|one| one.cursor.unsettled().collect()).unwrap_or_default()
    }

    /// Whether the command may be done, as far as can be told before it is its turn.
    pub(crate) fn look(&self, case: &Case<'_>) -> Result<(), String> {
        match &case.policy.signed {
            Some(signed) => self.after(signed, case).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Lets the command in: when this returns `Ok`, that it was outlives a power cut.
    pub(crate) fn let_in(&self, case: &Case<'_>) -> Result<(), String> {
        let Some(signed) = &case.policy.signed else { return Ok(()) };
        let _changing = lock(&self.inner.changing);
        let (valid, cursor) = self.after(signed, case)?;
        let Valid { given, warrant, by, .. } = valid;
        let (command, service) = (case.command.id, &warrant.service);
        tracing::info!(%command, %service, version = %warrant.version, by, "signed for");
        self.write(service, Obeyed { warrant: given, cursor }).map_err(|why| {
            format!("how far this host has come under the warrant can't be written: {why}")
        })
    }

    /// A command was done.
    pub(crate) fn done(&self, id: CommandId) {
        let _changing = lock(&self.inner.changing);
        let found = {
            let mut obeyed = lock(&self.inner.obeyed);
            let mut all = obeyed.iter_mut();
            all.find_map(|(service, one)| {
                let one = one.as_mut().ok()?;
                one.cursor.note_done(id).then(|| (service.clone(), one.clone()))
            })
        };
        if let Some((service, one)) = found
            && let Err(why) = self.write(&service, one)
        {
            // The ledger knows it, too.
            tracing::warn!(command = %id, %why, "that it was done can't be written beside its warrant");
        }
    }

    /// What the cursor would be after this command.
    fn after(&self, signed: &Signed, case: &Case<'_>) -> Result<(Valid, Cursor), String> {
        let Case { command, claim, .. } = case;
        let id = claim.warrant.as_ref().ok_or(
            "this host's policy demands a signature for every command, and the plan of this one is not signed",
        )?;
        let unsigned = |why: String| format!("not as it was signed: {why}");
        let given =
            self.find(id).ok_or("the warrant that it is said to be part of was not handed over")?;
        let valid = verify(signed, given, &claim.host).map_err(unsigned)?;
        let cursor = self.cursor(id, &valid.warrant).map_err(unsigned)?;
        if case.begun && !cursor.knows(command.id) {
            return Err(unsigned("it was begun before this host demanded signatures".to_owned()));
        }
        // What was begun in time may come to its end.
        if !case.begun {
            in_time(signed, &valid.warrant, claim.back, case.now).map_err(unsigned)?;
        }
        let step = Step { command, back: claim.back, now: case.mark, ledger: case.ledger };
        let cursor = cursor.after(&valid.leaf, &step).map_err(unsigned)?;
        Ok((valid, cursor))
    }

    fn find(&self, id: &Digest) -> Option<HostWarrant> {
        let handed = lock(&self.inner.handed);
        if let Some((_, given)) = handed.iter().find(|(known, _)| known == id) {
            return Some(given.clone());
        }
        let obeyed = lock(&self.inner.obeyed);
        let mut all = obeyed.values().filter_map(|one| one.as_ref().ok());
        all.find(|one| one.warrant.signed.id() == *id).map(|one| one.warrant.clone())
    }

    /// How far the host has come under this warrant; or why it is not obeyed any more.
    fn cursor(&self, id: &Digest, warrant: &Warrant) -> Result<Cursor, String> {
        let obeyed = lock(&self.inner.obeyed);
        let newest = match obeyed.get(&warrant.service) {
            None => return Ok(Cursor::default()),
            Some(Ok(newest)) => newest,
            Some(Err(why)) => {
                return Err(format!(
                    "what this host has obeyed of {} can't be read, so nobody knows what would be a repeat: {why}; remove the \
                     file if every plan that was signed until now has expired",
                    warrant.service
                ));
            }
        };
        if newest.warrant.signed.id() == *id {
            return Ok(newest.cursor.clone());
        }
        let known = Warrant::read(&newest.warrant.signed.text).map_err(|why| why.to_string())?;
        if warrant.made > known.made {
            return Ok(Cursor::default());
        }
        Err(format!(
            "it was made at {:.0}, and this host has obeyed one of {} since that was made at {:.0}; sign it anew",
            warrant.made, known.version, known.made
        ))
    }

    fn write(&self, service: &ServiceName, one: Obeyed) -> io::Result<()> {
        let text = serde_json::to_vec(&one).expect("a warrant is plain data with text keys");
        let path = self.inner.directory.join(format!("{service}.json"));
        durable::write(&*self.inner.disk, &path, &text, 0o600)?;
        lock(&self.inner.obeyed).insert(service.clone(), Ok(one));
        Ok(())
    }
}

/// What can be said of a warrant without the time, and without what this host has done.
fn verify(signed: &Signed, given: HostWarrant, host: &str) -> Result<Valid, String> {
    // Before anything of it is read, so that nobody else's text is.
    let by = signed.signer(&given.signed)?;
    let (warrant, leaf) = given.open().map_err(|why| why.to_string())?;
    if leaf.host.as_str() != host {
        return Err(format!("it is for {}, and this is {host}", leaf.host));
    }
    Ok(Valid { given, warrant, leaf, by })
}

fn in_time(signed: &Signed, warrant: &Warrant, back: bool, now: Timestamp) -> Result<(), String> {
    let Warrant { made, not_before, not_after, back_until, .. } = *warrant;
    if now < not_before {
        return Err(format!(
            "it holds from {not_before:.0} on, and by this host's clock it is {now:.0}"
        ));
    }
    let (until, most) = match back {
        false => (not_after, signed.max_age),
        true => (back_until, signed.way_back),
    };
    let until = until.min(most.after(made));
    if now > until {
        let what = if back { "nothing is taken back by it" } else { "nothing is begun by it" };
        return Err(format!("{what} since {until:.0}; sign a new one"));
    }
    Ok(())
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Obeyed, String> {
    let said = |why: String| format!("{}: {why}", path.display());
    let text = disk.read(path).map_err(|why| said(why.to_string()))?;
    serde_json::from_slice(&text).map_err(|why| said(why.to_string()))
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().expect("no panic under this lock")
}
