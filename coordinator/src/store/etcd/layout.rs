//! Where things are in etcd, below the prefix that belongs to one fleet.
//!
//! ```text
//! entry/<key>             what the store holds
//! document/<hash>         a document: in how many parts it is
//! part/<hash>/<number>    the parts
//! pending                 a large batch that is committed, and being written out
//! staged/<batch>/<number> its parts
//! mark/<term>/<slot>      the last commit of each slot, until its leader's lease is over
//! leader, heir, standby/<id>, authority see [`crate::leader`]
//! ```

use dv_etcd::Bytes;

use crate::store::Key;

/// Names below a prefix.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    prefix: String,
}

impl Layout {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: format!("/{}/", prefix.trim_matches('/')) }
    }

    fn name(&self, rest: &str) -> Bytes {
        format!("{}{rest}", self.prefix).into()
    }

    pub(crate) fn entry(&self, key: &Key) -> Bytes {
        [self.prefix.as_bytes(), b"entry/", key.as_bytes()].concat().into()
    }

    pub(super) fn key(&self, name: &[u8]) -> Key {
        Key::from_bytes(name.get(self.prefix.len() + b"entry/".len()..).unwrap_or_default())
    }

    pub(super) fn documents(&self) -> Bytes {
        self.name("document/")
    }

    pub(super) fn document(&self, hash: &str) -> Bytes {
        self.name(&format!("document/{hash}"))
    }

    pub(super) fn hash(&self, name: &[u8]) -> String {
        let hash = name.get(self.documents().len()..).unwrap_or_default();
        String::from_utf8_lossy(hash).into_owned()
    }

    pub(super) fn parts(&self, hash: &str) -> Bytes {
        self.name(&format!("part/{hash}/"))
    }

    pub(super) fn part(&self, hash: &str, number: usize) -> Bytes {
        self.name(&format!("part/{hash}/{number:06}"))
    }

    pub(super) fn pending(&self) -> Bytes {
        self.name("pending")
    }

    pub(super) fn all_staged(&self) -> Bytes {
        self.name("staged/")
    }

    pub(super) fn staged_of(&self, batch: &str) -> Bytes {
        self.name(&format!("staged/{batch}/"))
    }

    pub(super) fn staged(&self, batch: &str, number: usize) -> Bytes {
        self.name(&format!("staged/{batch}/{number:06}"))
    }

    pub(super) fn mark(&self, term: i64, slot: usize) -> Bytes {
        self.name(&format!("mark/{term}/{slot}"))
    }

    pub(crate) fn leader(&self) -> Bytes {
        self.name("leader")
    }

    pub(crate) fn heir(&self) -> Bytes {
        self.name("heir")
    }

    pub(crate) fn standbys(&self) -> Bytes {
        self.name("standby/")
    }

    pub(crate) fn authority(&self) -> Bytes {
        self.name("authority")
    }

    pub(crate) fn standby(&self, id: &str) -> Bytes {
        self.name(&format!("standby/{id}"))
    }
}
