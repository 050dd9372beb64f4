//! What a path must answer, from nothing but the definition: over the whole relation at once.

use super::MemoryStore;
use proxima_graph::{HOT_ABOVE, Merger, PathConfig, PathKind, PathReader, RelationColumns};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) const COLUMNS: RelationColumns = RelationColumns { subject: 0, object: 1, weight: None, time: None };

pub(crate) type Row = (String, String, i64);
/// Name, score as bits, pairs, norm.
pub(crate) type Listed = (String, u64, u64, u64);

/// A stream of relation rows and what must hold when all of it has been taken in.
pub(crate) fn random_stream(rng: &mut ChaCha8Rng) -> Vec<Row> {
    let (subjects, objects) = (rng.random_range(1..25), rng.random_range(2..40));
    let mut rows: Vec<Row> = Vec::new();
    for _ in 0..rng.random_range(0..600) {
        // Low numbers come often, so that there are hot objects, repeats and ties.
        let skewed = |rng: &mut ChaCha8Rng, n: u32| rng.random_range(0..n).min(rng.random_range(0..n));
        let row = (format!("u{}", skewed(rng, subjects)), format!("o{}", skewed(rng, objects)), 1);
        rows.push(row);
        if rng.random_range(0..4) == 0 {
            let (subject, object, _) = rows[rng.random_range(0..rows.len())].clone();
            rows.push((subject, object, -1));
        }
    }
    rows
}

/// The objects of each subject whose weights sum above zero.
pub(crate) fn sets(rows: &[Row]) -> Vec<BTreeSet<String>> {
    let mut sums = BTreeMap::<(&str, &str), i64>::new();
    for (subject, object, weight) in rows {
        *sums.entry((subject, object)).or_default() += weight;
    }
    let mut sets = BTreeMap::<&str, BTreeSet<String>>::new();
    for ((subject, object), sum) in sums {
        if sum > 0 {
            sets.entry(subject).or_default().insert(object.to_owned());
        }
    }
    sets.into_values().collect()
}

/// Every object's whole list, from nothing but the definition.
pub(crate) fn naive_lists(sets: &[BTreeSet<String>], merger: Merger) -> BTreeMap<String, Vec<Listed>> {
    let objects: BTreeSet<&String> = sets.iter().flatten().collect();
    let norm = |object: &String| sets.iter().filter(|set| set.contains(object)).count() as u64;
    let mut lists = BTreeMap::new();
    for object in &objects {
        let mut list = Vec::new();
        for other in objects.iter().filter(|other| *other != object) {
            let pairs = sets.iter().filter(|set| set.contains(*object) && set.contains(*other)).count() as u64;
            let (left, right) = (norm(object), norm(other));
            let score = match merger {
                Merger::Cosine => pairs as f64 / (left as f64 * right as f64).sqrt(),
                Merger::Jaccard => pairs as f64 / (left + right - pairs) as f64,
                Merger::Count => pairs as f64,
            };
            if pairs > 0 {
                list.push(((*other).clone(), score.to_bits(), pairs, right));
            }
        }
        list.sort_by(|a, b| f64::from_bits(b.1).total_cmp(&f64::from_bits(a.1)).then_with(|| a.0.cmp(&b.0)));
        lists.insert((*object).clone(), list);
    }
    lists
}

pub(crate) fn reader(store: &Arc<MemoryStore>, merger: Merger) -> PathReader {
    let config = PathConfig {
        kind: PathKind::Pairs,
        relation: "r".into(),
        merger,
        object: None,
        publish: None,
        hot_above: HOT_ABOVE,
    };
    PathReader::new(Arc::clone(store) as _, "p", &config)
}

/// Compares each object's list, whole and cut at several lengths.
pub(crate) fn assert_equal(reader: &PathReader, rows: &[Row], merger: Merger, case: &str) {
    let sets = sets(rows);
    let lists = naive_lists(&sets, merger);
    for object in rows.iter().map(|row| &row.1).collect::<BTreeSet<_>>() {
        let Some(list) = lists.get(object) else {
            assert!(reader.similar(object, 10).unwrap().is_none(), "{case}: {object} has no subjects left");
            continue;
        };
        for n in [0, 1, 3, 10, 1000] {
            let similar = reader.similar(object, n).unwrap().unwrap_or_else(|| panic!("{case}: {object} is unknown"));
            let norm = sets.iter().filter(|set| set.contains(object)).count() as u64;
            let found: Vec<Listed> = similar
                .neighbours
                .iter()
                .map(|neighbour| (neighbour.id.clone(), neighbour.score.to_bits(), neighbour.pairs, neighbour.norm))
                .collect();
            assert_eq!((&similar.id, similar.norm), (object, norm), "{case}");
            assert_eq!(found, list[..n.min(list.len())], "{case}: {n} neighbours of {object}");
        }
    }
}
