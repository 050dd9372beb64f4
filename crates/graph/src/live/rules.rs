//! What a relation of the live graph forgets, and what it keeps ready.

/// From this much work on an object has a row of pair sums: a gather of some quarter of a millisecond. Each halving makes every
/// event dearer, each doubling only the reads of few objects.
pub const HOT_WORK: u64 = 1 << 18;

/// When edges of a relation go by themselves, and which objects keep rows of pair sums and of pair counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelationRules {
    /// Edges older than this beside the newest are taken away, in microseconds of event time.
    pub lifetime_us: Option<i64>,
    /// How many edges a subject shows: its newest, ties by the object's text.
    pub keep: Option<u32>,
    /// Whether no row is ever taken back, no object forgotten and each row counts one: then what newer edges hide is never
    /// shown again, and is dropped.
    pub only_newest: bool,
    /// Whether rows may be taken back of objects that were forgotten. What is taken back and is not there is such a row, and
    /// counts nothing. That can be told where no weight is negative.
    pub forgets: bool,
    /// Where pair sums are asked for: objects that take more work to gather, in edges, have a row of sums.
    pub hot_work: Option<u64>,
    /// The same where pair counts are asked for.
    pub hot_counts: Option<u64>,
}
