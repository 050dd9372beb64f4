//! For each object to how many subjects it is related, and the sum of the squares of the weights between them.

#[derive(Debug, Default)]
pub(super) struct Norms {
    objects: Vec<Norm>,
    /// The largest sum of squares that any object ever had.
    widest: i128,
}

/// What is known of one object, over the subjects of one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Norm {
    /// Subjects whose weight is not zero.
    pub(super) subjects: u32,
    /// The sum of the squares of the weights.
    pub(super) squares: i128,
}

impl Norms {
    /// The weight between an object and some subject has changed.
    pub(super) fn shift(&mut self, object: u32, before: i64, after: i64) {
        if object as usize >= self.objects.len() {
            self.objects.resize(object as usize + 1, Norm::default());
        }
        let norm = &mut self.objects[object as usize];
        norm.subjects = norm.subjects + u32::from(after != 0) - u32::from(before != 0);
        let square = |weight: i64| i128::from(weight) * i128::from(weight);
        norm.squares += square(after) - square(before);
        self.widest = self.widest.max(norm.squares);
    }

    /// Whether every pair sum fits into 64 bits, also when those of all shards are added up: none is larger than the
    /// larger of its objects' norms (Cauchy–Schwarz), and there are fewer than 2^16 shards.
    pub(super) fn is_narrow(&self) -> bool {
        self.widest <= i128::from(i64::MAX >> 16)
    }

    pub(super) fn get(&self, object: u32) -> Norm {
        self.objects.get(object as usize).copied().unwrap_or_default()
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.objects.capacity() * size_of::<Norm>()
    }
}
