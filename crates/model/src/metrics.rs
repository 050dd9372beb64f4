//! Progressive validation: each sample is predicted before it is learned, so that every prediction is of something new
//! and no data is set aside. A. Blum, A. Kalai, J. Langford: Beating the Hold-Out, COLT 1999.
//!
//! The area under the curve is taken from a histogram of margins. Margins that fall into one bin count as equal, so it is
//! off by no more than half the share of pairs of a positive and a negative sample that share a bin.

/// Bins of margins: 128 for each unit of log odds, from −16 to 16.
const BINS: usize = 4096;
const BINS_PER_UNIT: f32 = 128.0;
const MARGIN_MAX: f32 = 16.0;

/// How good predictions were.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// How many samples were predicted.
    pub samples: u64,
    /// How many of them were positive.
    pub positives: u64,
    /// The mean of −ln of the probability that was given to what happened.
    pub log_loss: f64,
    /// The log loss of always giving the share of positive samples: what a model must beat.
    pub baseline: f64,
    /// The area under the curve: how often a positive sample is given more than a negative one. `None` without both.
    pub auc: Option<f64>,
    /// The sum of probabilities over the positive samples: 1 is right, more promises too much. `None` without any.
    pub calibration: Option<f64>,
}

/// Metrics since the beginning, and over the newest samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    window: u64,
    all: Tally,
    /// The window that is being filled.
    open: Tally,
    /// The last window that was full.
    full: Option<Summary>,
}

impl Progress {
    /// Nothing yet. The recent metrics are those of the last whole window of so many samples.
    #[must_use]
    pub fn new(window: u64) -> Self {
        Self { window: window.max(1), all: Tally::default(), open: Tally::default(), full: None }
    }

    /// A sample was predicted with this margin.
    pub fn add(&mut self, margin: f32, label: bool) {
        let prediction = Prediction::of(margin, label);
        self.all.add(prediction);
        self.open.add(prediction);
        if self.open.samples == self.window {
            self.full = Some(self.open.summary());
            self.open = Tally::default();
        }
    }

    /// All samples.
    #[must_use]
    pub fn all(&self) -> Summary {
        self.all.summary()
    }

    /// The last full window; until one is full, what there is.
    #[must_use]
    pub fn recent(&self) -> Summary {
        self.full.unwrap_or_else(|| self.open.summary())
    }

    /// Everything in words, for a checkpoint.
    #[must_use]
    pub fn to_words(&self) -> Vec<u64> {
        let mut words = Vec::new();
        self.all.write(&mut words);
        self.open.write(&mut words);
        if let Some(full) = self.full {
            let auc = [u64::from(full.auc.is_some()), full.auc.unwrap_or_default().to_bits()];
            let calibration = [u64::from(full.calibration.is_some()), full.calibration.unwrap_or_default().to_bits()];
            words.extend([full.samples, full.positives, full.log_loss.to_bits(), full.baseline.to_bits()]);
            words.extend(auc.into_iter().chain(calibration));
        }
        words
    }

    /// Takes back what [`to_words`](Self::to_words) gave; `None` when it is something else.
    #[must_use]
    pub fn from_words(window: u64, words: &[u64]) -> Option<Self> {
        let mut rest = words;
        let (all, open) = (Tally::read(&mut rest)?, Tally::read(&mut rest)?);
        let full = match rest {
            [] => None,
            &[samples, positives, log_loss, baseline, has_auc, auc, has_calibration, calibration] => Some(Summary {
                samples,
                positives,
                log_loss: f64::from_bits(log_loss),
                baseline: f64::from_bits(baseline),
                auc: (has_auc != 0).then(|| f64::from_bits(auc)),
                calibration: (has_calibration != 0).then(|| f64::from_bits(calibration)),
            }),
            _ => return None,
        };
        Some(Self { window: window.max(1), all, open, full })
    }
}

/// A prediction and what came of it.
#[derive(Clone, Copy)]
struct Prediction {
    label: bool,
    loss: f64,
    probability: f64,
    bin: usize,
}

impl Prediction {
    fn of(margin: f32, label: bool) -> Self {
        let wide = f64::from(margin);
        // Of the two forms of each the one that does not overflow.
        let small = (-wide.abs()).exp();
        let probability = if wide >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
        let against = if label { -wide } else { wide };
        let bin = ((margin.clamp(-MARGIN_MAX, MARGIN_MAX) + MARGIN_MAX) * BINS_PER_UNIT) as usize;
        Self { label, loss: against.max(0.0) + small.ln_1p(), probability, bin: bin.min(BINS - 1) }
    }
}

/// Sums over samples.
#[derive(Clone, Debug, PartialEq)]
struct Tally {
    samples: u64,
    positives: u64,
    loss: f64,
    predicted: f64,
    /// For each bin the negative and the positive samples.
    bins: Vec<[u64; 2]>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { samples: 0, positives: 0, loss: 0.0, predicted: 0.0, bins: vec![[0; 2]; BINS] }
    }
}

impl Tally {
    fn add(&mut self, prediction: Prediction) {
        let Prediction { label, loss, probability, bin } = prediction;
        self.samples += 1;
        self.positives += u64::from(label);
        self.loss += loss;
        self.predicted += probability;
        self.bins[bin][usize::from(label)] += 1;
    }

    fn summary(&self) -> Summary {
        let Self { samples, positives, loss, predicted, .. } = *self;
        let mean = |sum: f64| if samples == 0 { 0.0 } else { sum / samples as f64 };
        Summary {
            samples,
            positives,
            log_loss: mean(loss),
            baseline: entropy(mean(positives as f64)),
            auc: self.auc(),
            calibration: (positives > 0).then(|| predicted / positives as f64),
        }
    }

    /// The pairs that are in order, those of one bin by half, over all pairs.
    fn auc(&self) -> Option<f64> {
        let negatives = self.samples - self.positives;
        if negatives == 0 || self.positives == 0 {
            return None;
        }
        let (mut below, mut in_order) = (0_u64, 0.0);
        for &[negative, positive] in &self.bins {
            in_order += positive as f64 * (below as f64 + negative as f64 / 2.0);
            below += negative;
        }
        Some(in_order / (negatives as f64 * self.positives as f64))
    }

    fn write(&self, words: &mut Vec<u64>) {
        let used = self.bins.iter().enumerate().filter(|(_, counts)| **counts != [0, 0]);
        let used: Vec<_> = used.collect();
        words.extend([self.samples, self.positives, self.loss.to_bits(), self.predicted.to_bits(), used.len() as u64]);
        words.extend(used.into_iter().flat_map(|(bin, &[negative, positive])| [bin as u64, negative, positive]));
    }

    fn read(words: &mut &[u64]) -> Option<Self> {
        let (&[samples, positives, loss, predicted, used], rest) = words.split_first_chunk::<5>()?;
        let (loss, predicted) = (f64::from_bits(loss), f64::from_bits(predicted));
        let mut tally = Self { samples, positives, loss, predicted, ..Self::default() };
        let (bins, rest) = rest.split_at_checked(usize::try_from(used).ok()?.checked_mul(3)?)?;
        for &[bin, negative, positive] in bins.as_chunks::<3>().0 {
            *tally.bins.get_mut(usize::try_from(bin).ok()?)? = [negative, positive];
        }
        *words = rest;
        Some(tally)
    }
}

/// The log loss of always giving a share that is right.
fn entropy(share: f64) -> f64 {
    let part = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
    part(share) + part(1.0 - share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(samples: impl IntoIterator<Item = (f32, bool)>) -> Progress {
        let mut progress = Progress::new(4);
        samples.into_iter().for_each(|(margin, label)| progress.add(margin, label));
        progress
    }

    #[test]
    fn nothing_known_costs_ln_2() {
        let summary = progress([(0.0, true), (0.0, false)]).all();
        assert_eq!(summary.log_loss, std::f64::consts::LN_2);
        assert_eq!(summary.baseline, std::f64::consts::LN_2);
        assert_eq!((summary.auc, summary.calibration), (Some(0.5), Some(1.0)));
        assert_eq!(progress([]).all(), Summary::default());
    }

    #[test]
    fn a_sure_margin_is_right_or_costs_what_it_says() {
        let summary = progress([(1000.0, true), (-1000.0, true)]).all();
        assert_eq!(summary.log_loss, 500.0);
        assert_eq!((summary.auc, summary.calibration), (None, Some(0.5)));
    }

    #[test]
    fn the_area_counts_pairs_in_order() {
        let samples = [(0.1_f32, false), (0.4, false), (0.35, true), (0.8, true), (0.4, true)];
        let pairs = samples.iter().filter(|(_, label)| *label).flat_map(|(positive, _)| {
            samples.iter().filter(|(_, label)| !*label).map(move |(negative, _)| (positive, negative))
        });
        let points = pairs.map(|(positive, negative)| match positive.total_cmp(negative) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        });
        let expected = points.sum::<f64>() / 6.0;
        assert_eq!(progress(samples).all().auc, Some(expected));
    }

    #[test]
    fn recent_is_the_last_full_window() {
        let early = progress([(0.0, true), (1.0, true)]);
        assert_eq!(early.recent(), early.all());
        let later = progress((0..6).map(|at| (0.0, at < 4)));
        assert_eq!((later.recent().samples, later.recent().positives), (4, 4));
        assert_eq!((later.all().samples, later.all().positives), (6, 4));
    }

    #[test]
    fn it_survives_a_checkpoint() {
        for count in [0, 3, 9] {
            let before = progress((0..count).map(|at| (at as f32 - 3.0, at % 2 == 0)));
            assert_eq!(Progress::from_words(4, &before.to_words()), Some(before));
        }
        assert_eq!(Progress::from_words(4, &[1, 2, 3]), None);
    }
}
