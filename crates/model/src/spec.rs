//! What a job says of a model, checked but for the columns of its query.

use std::fmt;

/// A model: where its samples come from and how it learns.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// Its name in the job.
    pub name: String,
    /// The column that is learned: true, or above 0, is positive.
    pub label: String,
    /// The column that says when a sample was: samples of an epoch are learned in its order.
    pub time: Option<String>,
    /// The column that orders samples of one time.
    pub order: Option<String>,
    /// For how long, in microseconds of `time`, a sample waits for what may change it. `None`: to the end of its epoch.
    pub wait_us: Option<i64>,
    /// The features.
    pub features: Vec<FeatureSpec>,
    /// Whether there is a feature that is always 1.
    pub bias: bool,
    /// Features are hashed to 2 to the power of this many slots.
    pub hash_bits: u32,
    /// How it learns.
    pub learner: LearnerSpec,
    /// How many samples make one step.
    pub batch: u32,
    /// How many samples the recent metrics are taken over.
    pub window: u64,
}

impl ModelSpec {
    /// The hash bits that are possible: one weight takes 4 to 12 bytes for each slot, 2 to the power of them.
    pub const HASH_BITS: std::ops::RangeInclusive<u32> = 1..=28;

    /// The columns that features read, each once.
    #[must_use]
    pub fn columns(&self) -> Vec<&str> {
        let mut columns: Vec<&str> = Vec::new();
        for feature in self.features.iter().filter(|feature| !matches!(feature.kind, FeatureKind::Cross(_))) {
            if !columns.contains(&feature.column.as_str()) {
                columns.push(&feature.column);
            }
        }
        columns
    }

    /// How many slots the features share.
    #[must_use]
    pub fn slots(&self) -> usize {
        1 << self.hash_bits
    }
}

/// A feature of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureSpec {
    /// Its name in the job.
    pub name: String,
    /// The column that it reads; none for a cross.
    pub column: String,
    /// How the column becomes a feature.
    pub kind: FeatureKind,
    /// What stands for NULL.
    pub missing: Missing,
    /// Features of one namespace and value share a slot. Usually the name.
    pub namespace: String,
}

/// How a value becomes features.
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureKind {
    /// One slot, the number as its value.
    Number,
    /// One slot, the logarithm of 1 and the number as its value; of a negative number minus that of its opposite.
    Log,
    /// A slot for each range between the bounds, which rise; a number equal to a bound is above it.
    Buckets(Vec<f64>),
    /// A slot for each value, by its hash.
    Category,
    /// A text of features: `name:value name …`, as in LIBSVM's files; a slot for each name.
    Sparse,
    /// A slot for each combination of other features, by their names; those are categories or buckets.
    Cross(Vec<String>),
}

/// What a NULL becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Missing {
    /// A slot of its own.
    #[default]
    Own,
    /// Nothing.
    Skip,
    /// A number, for features that are made of numbers.
    Value(f64),
}

/// How a model learns. Each step is along the gradient of the log loss, averaged over the samples of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LearnerSpec {
    /// Stochastic gradient descent at one rate.
    Sgd {
        /// α: how far a step goes.
        rate: f32,
        /// δ: how strongly a step draws the weights that it touches to zero.
        l2: f32,
    },
    /// A rate of its own for each slot, which falls with the gradients that the slot has seen.
    Adagrad {
        /// α: how far the first steps go.
        rate: f32,
        /// What the sum of squared gradients begins with: more makes the first steps shorter.
        initial: f32,
        /// δ: how strongly a step draws the weights that it touches to zero.
        l2: f32,
    },
    /// Follow the regularised leader, proximal: as Adagrad, with weights that are exactly zero where little speaks for
    /// them.
    Ftrl {
        /// α: how far the first steps go.
        rate: f32,
        /// β: more makes the first steps shorter.
        beta: f32,
        /// λ₁: more makes more weights zero.
        l1: f32,
        /// λ₂: more keeps weights small.
        l2: f32,
    },
}

impl LearnerSpec {
    /// Adagrad's rate where the job does not say.
    pub const ADAGRAD_RATE: f32 = 0.15;
    /// Adagrad's beginning where the job does not say.
    pub const ADAGRAD_INITIAL: f32 = 0.1;
    /// FTRL's α where the job does not say.
    pub const FTRL_RATE: f32 = 0.15;
    /// FTRL's β where the job does not say.
    pub const FTRL_BETA: f32 = 0.1;
    /// The rate of gradient descent where the job does not say.
    pub const SGD_RATE: f32 = 0.02;
}

impl Default for LearnerSpec {
    fn default() -> Self {
        Self::Adagrad { rate: Self::ADAGRAD_RATE, initial: Self::ADAGRAD_INITIAL, l2: 0.0 }
    }
}

/// A model does not fit the columns of its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindError {
    /// The key below the model that is wrong: `label`, `features.price.column`.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub advice: String,
}

impl fmt::Display for BindError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} ({})", self.key, self.message, self.advice)
    }
}
