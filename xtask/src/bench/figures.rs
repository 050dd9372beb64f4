//! Figures of several runs: the best and the median, by number of workers.

use serde_json::{Map, Value};

/// What more is better, and what less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Better {
    More,
    Less,
}

/// The figures of one kind, of all runs at one number of workers.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures(Vec<f64>);

impl Figures {
    pub(super) fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// The figure in the middle; of an even number the mean of both.
    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => 0.0,
            len if len % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    pub(super) fn best(&self, better: Better) -> f64 {
        let figures = self.0.iter().copied();
        let best = match better {
            Better::More => figures.max_by(f64::total_cmp),
            Better::Less => figures.min_by(f64::total_cmp),
        };
        best.unwrap_or(0.0)
    }
}

/// `{"workers_1": …, "workers_2": …}`
pub(super) fn by_workers(figures: impl IntoIterator<Item = (usize, f64)>) -> Value {
    let entries = figures.into_iter().map(|(workers, figure)| (format!("workers_{workers}"), rounded(figure)));
    Value::Object(entries.collect::<Map<_, _>>())
}

/// Large figures as integers, small ones with three digits behind the point.
pub(super) fn rounded(figure: f64) -> Value {
    if figure >= 1000.0 { (figure.round() as u64).into() } else { ((figure * 1000.0).round() / 1000.0).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_and_the_best_at_the_end_that_counts() {
        let figures = Figures(vec![3.0, 1.0, 8.0, 2.0]);
        assert_eq!(figures.median(), 2.5);
        assert_eq!(Figures(vec![3.0, 1.0, 8.0]).median(), 3.0);
        assert_eq!((figures.best(Better::More), figures.best(Better::Less)), (8.0, 1.0));
        assert_eq!(by_workers([(1, 1234.5), (2, 0.12345)]).to_string(), r#"{"workers_1":1235,"workers_2":0.123}"#);
    }
}
