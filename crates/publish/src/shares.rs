//! The shares of splits, put out for processes that deal objects without a run: when a run begins, and when they change.

use arrow::array::{ArrayRef, Float64Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use proxima_engine::{EpochEnd, NodeId, Operator, Outbox, Route, Topology};
use proxima_event::{Changes, KeyGroup, KeyGroupSet};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// Splits by name: variants and their shares, in the order of the job.
pub type SharesOf = BTreeMap<String, Vec<(String, f64)>>;

/// Tells the shares that hold. What does is known only when a run has its place.
#[derive(Default)]
pub struct Shares(OnceLock<Box<dyn Fn() -> SharesOf + Send + Sync>>);

impl Shares {
    /// Says what tells the shares; the first one counts.
    pub fn tell(&self, shares: impl Fn() -> SharesOf + Send + Sync + 'static) {
        // Who tells later would tell the same.
        let _ = self.0.set(Box::new(shares));
    }

    fn now(&self) -> SharesOf {
        self.0.get().map(|tell| tell()).unwrap_or_default()
    }
}

/// Puts out the shares that have changed, once an epoch, on one worker. It keeps nothing: each run begins with all.
struct PublishShares {
    shares: Arc<Shares>,
    is_owner: bool,
    standing: SharesOf,
}

/// Adds the operator, behind any node: it wants nothing of it but the ends of epochs.
pub fn lower_shares(topology: &mut Topology, shares: &Arc<Shares>, after: NodeId) -> NodeId {
    let shares = Arc::clone(shares);
    let node = topology.operator("shares".to_owned(), vec![(after, Route::Local)], move || {
        Box::new(PublishShares { shares: Arc::clone(&shares), is_owner: false, standing: SharesOf::new() })
    });
    topology.identify(node, "shares of splits", false);
    node
}

impl Operator for PublishShares {
    fn apply(&mut self, _input: usize, _changes: Changes, _out: &mut Outbox) {}

    fn finish(&mut self, _end: EpochEnd, out: &mut Outbox) {
        if !self.is_owner {
            return;
        }
        let now = self.shares.now();
        let changed = now.iter().filter(|(name, shares)| self.standing.get(*name) != Some(*shares));
        let changed: Vec<_> = changed.collect();
        if !changed.is_empty() {
            out.push(Changes::inserts(batch(&changed)));
        }
        self.standing = now;
    }

    fn own(&mut self, owned: &KeyGroupSet) {
        self.is_owner = owned.contains(KeyGroup(0));
    }
}

/// The split's name as id, and a list of its variants with their shares.
fn batch(splits: &[(&String, &Vec<(String, f64)>)]) -> RecordBatch {
    let fields =
        Fields::from(vec![Field::new("variant", DataType::Utf8, false), Field::new("share", DataType::Float64, false)]);
    let all: Vec<_> = splits.iter().flat_map(|(_, shares)| shares.iter()).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(all.iter().map(|(variant, _)| variant))),
        Arc::new(Float64Array::from_iter_values(all.iter().map(|(_, share)| *share))),
    ];
    let variants = StructArray::new(fields.clone(), columns, None);
    let lengths = OffsetBuffer::from_lengths(splits.iter().map(|(_, shares)| shares.len()));
    let field = Arc::new(Field::new("item", DataType::Struct(fields), false));
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(StringArray::from_iter_values(splits.iter().map(|(name, _)| name)))),
        ("shares", Arc::new(ListArray::new(field, lengths, Arc::new(variants), None))),
    ];
    RecordBatch::try_from_iter(columns).expect("both columns have a value for each split")
}
