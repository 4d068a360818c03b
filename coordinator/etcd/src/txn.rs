//! Transactions: what must hold, what is written then, and what is read otherwise.

use prost::bytes::Bytes;

use crate::api::{
    Compare, DeleteRangeRequest, KeyValue, PutRequest, RangeRequest, RequestOp, ResponseOp,
    TxnRequest, TxnResponse,
    compare::{CompareTarget, TargetUnion},
    request_op::Request,
    response_op::Response,
};

/// What happens at one instant or not at all. etcd takes at most [`Txn::LIMIT`] of each kind of part, and no key twice
/// among the writes.
#[derive(Debug, Clone, Default)]
pub struct Txn(pub(crate) TxnRequest);

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
    /// The revision at which it came to be.
    pub created: i64,
    /// The lease that it ends with; 0 if none.
    pub lease: i64,
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether everything held, and the writes were done.
    pub held: bool,
    /// The revision of this answer.
    pub revision: i64,
    /// What was read, in the order in which it was asked for.
    pub read: Vec<Vec<Entry>>,
}

/// Keys, in the order of their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    pub(crate) from: Bytes,
    pub(crate) to: Bytes,
    pub(crate) limit: i64,
    pub(crate) revision: i64,
    pub(crate) keys_only: bool,
}

impl Range {
    /// One key.
    #[must_use]
    pub fn key(key: impl Into<Bytes>) -> Self {
        let (from, to) = (key.into(), Bytes::new());
        Self { from, to, limit: 0, revision: 0, keys_only: false }
    }

    /// All keys that begin so.
    #[must_use]
    pub fn under(prefix: impl Into<Bytes>) -> Self {
        let from = prefix.into();
        Self { to: end_of(&from), ..Self::key(from) }
    }

    /// Only those after `key`.
    #[must_use]
    pub fn after(self, key: &[u8]) -> Self {
        // The next key there can be.
        let next: Bytes = [key, &[0]].concat().into();
        Self { from: next.max(self.from), ..self }
    }

    /// No more than so many.
    #[must_use]
    pub fn limit(self, limit: usize) -> Self {
        Self { limit: i64::try_from(limit).unwrap_or(i64::MAX), ..self }
    }

    /// As they were at a revision.
    #[must_use]
    pub fn at(self, revision: i64) -> Self {
        Self { revision, ..self }
    }

    /// Without the values.
    #[must_use]
    pub fn keys_only(self) -> Self {
        Self { keys_only: true, ..self }
    }

    pub(crate) fn request(self) -> RangeRequest {
        let Self { from, to, limit, revision, keys_only } = self;
        RangeRequest { key: from, range_end: to, limit, revision, keys_only }
    }
}

/// The first key that no longer begins with `prefix`; for etcd, a single zero is beyond every key.
fn end_of(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end.into();
        }
    }
    vec![0].into()
}

impl Txn {
    /// Parts of one kind that etcd takes.
    pub const LIMIT: usize = 128;

    /// Only if nothing is at `key`.
    #[must_use]
    pub fn if_absent(self, key: impl Into<Bytes>) -> Self {
        self.if_created(key, 0)
    }

    /// Only if what is at `key` came to be at this revision.
    #[must_use]
    pub fn if_created(self, key: impl Into<Bytes>, revision: i64) -> Self {
        self.when(key, CompareTarget::Create, TargetUnion::CreateRevision(revision))
    }

    /// Only if `key` holds exactly this.
    #[must_use]
    pub fn if_holds(self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        self.when(key, CompareTarget::Value, TargetUnion::Value(value.into()))
    }

    fn when(mut self, key: impl Into<Bytes>, target: CompareTarget, holds: TargetUnion) -> Self {
        let (key, target_union) = (key.into(), Some(holds));
        // The result that is asked for is "equal", which is 0.
        self.0.compare.push(Compare {
            target: target.into(),
            key,
            target_union,
            ..Compare::default()
        });
        self
    }

    /// Then writes this.
    #[must_use]
    pub fn put(self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        self.put_leased(key, value, 0)
    }

    /// Then writes this, until the lease is over.
    #[must_use]
    pub fn put_leased(self, key: impl Into<Bytes>, value: impl Into<Bytes>, lease: i64) -> Self {
        let put = PutRequest { key: key.into(), value: value.into(), lease };
        self.then(Request::RequestPut(put))
    }

    /// Then deletes this.
    #[must_use]
    pub fn delete(self, range: Range) -> Self {
        let delete = DeleteRangeRequest { key: range.from, range_end: range.to };
        self.then(Request::RequestDeleteRange(delete))
    }

    /// Then reads this.
    #[must_use]
    pub fn read(self, range: Range) -> Self {
        self.then(Request::RequestRange(range.request()))
    }

    fn then(mut self, request: Request) -> Self {
        self.0.success.push(RequestOp { request: Some(request) });
        self
    }

    /// Reads this where something does not hold.
    #[must_use]
    pub fn or_read(mut self, range: Range) -> Self {
        let request = Some(Request::RequestRange(range.request()));
        self.0.failure.push(RequestOp { request });
        self
    }
}

impl From<TxnResponse> for Answer {
    fn from(response: TxnResponse) -> Self {
        let read = |op: ResponseOp| match op.response? {
            Response::ResponseRange(range) => {
                Some(range.kvs.into_iter().map(Entry::from).collect())
            }
            _ => None,
        };
        Self {
            held: response.succeeded,
            revision: response.header.map_or(0, |header| header.revision),
            read: response.responses.into_iter().filter_map(read).collect(),
        }
    }
}

impl From<KeyValue> for Entry {
    fn from(found: KeyValue) -> Self {
        let KeyValue { key, value, create_revision: created, lease, .. } = found;
        Self { key, value, created, lease }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_no_key_begins_with_it_any_more() {
        assert_eq!(end_of(b"a/"), &b"a0"[..]);
        assert_eq!(end_of(&[b'a', 255, 255]), &b"b"[..]);
        assert_eq!(end_of(&[255]), &[0][..]);
        assert_eq!(end_of(b""), &[0][..]);
    }
}
