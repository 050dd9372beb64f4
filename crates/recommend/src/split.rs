//! A/B: which variant an object gets, by a hash of its text, the same every time.

use proxima_event::hash::{combine, hash_str};

/// Variants with their shares.
///
/// Where shares change, an object moves only from a variant whose share shrinks to one whose share grows as far as the
/// order of the variants allows: bounds between neighbours shift, nothing is shuffled.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    name: u64,
    variants: Vec<(String, f64)>,
}

impl Split {
    /// A split by this name: two splits of other names deal the same objects independently. `None` unless some share is
    /// above zero and none below, and they have a sum.
    #[must_use]
    pub fn new(name: &str, variants: Vec<(String, f64)>) -> Option<Self> {
        let fits = variants.iter().all(|(_, share)| share.is_finite() && *share >= 0.0);
        let total: f64 = variants.iter().map(|(_, share)| share).sum();
        (fits && total > 0.0 && total.is_finite()).then(|| Self { name: hash_str(name), variants })
    }

    /// The variants with their shares.
    #[must_use]
    pub fn variants(&self) -> &[(String, f64)] {
        &self.variants
    }

    /// The variant that an object gets.
    #[must_use]
    pub fn of(&self, object: &str) -> &str {
        let total: f64 = self.variants.iter().map(|(_, share)| share).sum();
        // 53 bits of the hash make a number of [0, 1).
        let point = (combine(self.name, hash_str(object)) >> 11) as f64 / (1_u64 << 53) as f64 * total;
        let mut until = 0.0;
        let found = self.variants.iter().find(|(_, share)| {
            until += share;
            point < until
        });
        // Rounding may leave a point behind the last bound.
        let last = || self.variants.iter().rfind(|(_, share)| *share > 0.0);
        found.or_else(last).map(|(name, _)| name.as_str()).expect("some share is above zero")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(shares: &[(&str, f64)]) -> Split {
        Split::new("home", shares.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect()).unwrap()
    }

    #[test]
    fn objects_are_dealt_by_share_and_stay() {
        let (even, shifted) = (split(&[("a", 50.0), ("b", 50.0)]), split(&[("a", 60.0), ("b", 40.0)]));
        let objects: Vec<String> = (0..10_000).map(|number| format!("user{number}")).collect();
        let count = |split: &Split| objects.iter().filter(|object| split.of(object) == "a").count();
        assert!((4_850..5_150).contains(&count(&even)) && (5_850..6_150).contains(&count(&shifted)));
        assert!(objects.iter().all(|object| even.of(object) == "b" || shifted.of(object) == "a"), "no a becomes b");
        let other = Split::new("cart", even.variants().to_vec()).unwrap();
        let both = objects.iter().filter(|object| even.of(object) == "a" && other.of(object) == "a").count();
        assert!((2_350..2_650).contains(&both), "splits are independent");
    }

    #[test]
    fn a_share_of_nothing_gets_nobody() {
        assert_eq!(split(&[("a", 0.0), ("b", 1.0), ("c", 0.0)]).of("anyone"), "b");
        assert_eq!(Split::new("x", vec![("a".into(), 0.0)]), None);
        assert_eq!(Split::new("x", vec![("a".into(), -1.0), ("b".into(), 2.0)]), None);
        assert_eq!(Split::new("x", vec![("a".into(), 1e308), ("b".into(), 1e308)]), None);
    }
}
