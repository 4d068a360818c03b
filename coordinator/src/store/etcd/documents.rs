//! Documents, in parts that are named by what is in them. A document is there when its head is, which is written last.

use dv_etcd::{Range, Txn};

use super::EtcdStore;
use crate::{ports::StoreError, store::hash};

/// Bytes of one part: etcd takes requests of 1.5 MiB.
const PART: usize = 512 * 1024;
/// Parts that are read at once.
const PARTS: usize = 8;

impl EtcdStore {
    pub(super) async fn save(&self, text: &str) -> Result<String, StoreError> {
        let hash = hash(text);
        let head = self.layout.document(&hash);
        let _reading = self.reading().await?;
        if self.etcd.get(self.fence.patience()?, head.clone()).await?.is_some() {
            return Ok(hash);
        }
        let parts: Vec<_> = text.as_bytes().chunks(PART).collect();
        for (number, part) in parts.iter().enumerate() {
            self.write(Txn::default().put(self.layout.part(&hash, number), part.to_vec())).await?;
        }
        self.commit_marked(Txn::default().put(head, parts.len().to_string()), &[]).await?;
        Ok(hash)
    }

    pub(super) async fn load(&self, wanted: &str) -> Result<Option<String>, StoreError> {
        let damaged = |why: &str| StoreError::Damaged {
            what: format!("document {wanted}"),
            why: why.to_owned(),
        };
        let head = Range::key(self.layout.document(wanted));
        let (head, revision) = self.etcd.range(self.fence.patience()?, head).await?;
        let Some(head) = head.first() else { return Ok(None) };
        let count: usize = std::str::from_utf8(&head.value)
            .ok()
            .and_then(|count| count.parse().ok())
            .ok_or_else(|| damaged("its head makes no sense"))?;
        let mut text = Vec::new();
        let mut range = Range::under(self.layout.parts(wanted)).limit(PARTS).at(revision);
        let mut read = 0;
        while read < count {
            let (parts, _) = self.etcd.range(self.fence.patience()?, range.clone()).await?;
            let Some(last) = parts.last() else { return Err(damaged("a part of it is missing")) };
            range = range.after(&last.key);
            read += parts.len();
            parts.iter().for_each(|part| text.extend_from_slice(&part.value));
        }
        match String::from_utf8(text) {
            Ok(text) if hash(&text) == wanted => Ok(Some(text)),
            _ => Err(damaged("its content is not what its name says")),
        }
    }

    pub(super) async fn names(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let mut range = Range::under(self.layout.documents()).limit(limit).keys_only();
        if let Some(after) = after {
            range = range.after(&self.layout.document(after));
        }
        let (heads, _) = self.etcd.range(self.fence.patience()?, range).await?;
        Ok(heads.iter().map(|head| self.layout.hash(&head.key)).collect())
    }

    pub(super) async fn forget(&self, hash: &str) -> Result<(), StoreError> {
        let head = Range::key(self.layout.document(hash));
        let parts = Range::under(self.layout.parts(hash));
        let _reading = self.reading().await?;
        self.commit_marked(Txn::default().delete(head).delete(parts), &[]).await
    }
}
