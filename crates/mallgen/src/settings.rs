//! How large the shop is and how long it is watched.

/// The size of a generated shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The same seed gives the same shop.
    pub seed: u64,
    /// How many days, from midnight in the shop's zone.
    pub days: u32,
    /// Customers that are known at the beginning.
    pub users: u32,
    /// Products that are on sale.
    pub products: u32,
    /// About how many orders are placed on a day; visits and log lines are in proportion.
    pub orders_per_day: u32,
    /// Of 1,000 log lines, how many are followed by a broken one.
    pub broken_per_mille: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { seed: 1, days: 2, users: 5_000, products: 1_000, orders_per_day: 1_000, broken_per_mille: 10 }
    }
}
