//! What a relation of the live graph forgets.

/// When edges of a relation go by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelationRules {
    /// Edges older than this beside the newest are taken away, in microseconds of event time.
    pub lifetime_us: Option<i64>,
    /// How many edges a subject shows: its newest, ties by the object's text.
    pub keep: Option<u32>,
}
