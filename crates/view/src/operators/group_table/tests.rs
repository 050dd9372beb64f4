//! Random keys against a map from printed keys to groups.

use super::*;
use arrow::array::{
    Array, BooleanArray, Decimal128Array, Float64Array, Int16Array, Int64Array, ListArray, StringArray,
    StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, TimeUnit};
use arrow::util::display::array_value_to_string;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

const STRINGS: [&str; 8] = [
    "",
    "a",
    "12 bytes long",
    "12 bytes lonh",
    "12bytes long",
    "a long string, 24 bytes..",
    "a long string, 24 bytes,,",
    "ä",
];

fn some<T>(rng: &mut ChaCha8Rng, value: impl FnOnce(&mut ChaCha8Rng) -> T) -> Option<T> {
    (!rng.random_ratio(1, 8)).then(|| value(rng))
}

fn column(data_type: usize, rows: usize, rng: &mut ChaCha8Rng) -> ArrayRef {
    macro_rules! filled {
        ($array:ty, $value:expr) => {
            Arc::new((0..rows).map(|_| some(rng, $value)).collect::<$array>())
        };
    }
    match data_type {
        0 => filled!(BooleanArray, |rng| rng.random_bool(0.5)),
        1 => filled!(Int16Array, |rng| rng.random_range(-3..3)),
        2 => filled!(Int64Array, |rng| *[i64::MIN, -1, 0, i64::MAX].get(rng.random_range(0..4)).unwrap()),
        3 => filled!(StringViewArray, |rng| STRINGS[rng.random_range(0..8)]),
        4 => filled!(StringArray, |rng| STRINGS[rng.random_range(0..8)]),
        5 => {
            let values: Decimal128Array =
                (0..rows).map(|_| some(rng, |rng| rng.random_range(-2..2) * (1i128 << 70))).collect();
            Arc::new(values.with_precision_and_scale(38, 2).unwrap())
        }
        6 => filled!(Float64Array, |rng| [f64::NAN, 1.5, -1.5, f64::INFINITY][rng.random_range(0..4)]),
        7 => filled!(TimestampMicrosecondArray, |rng| rng.random_range(0..3)),
        _ => {
            let lists = (0..rows).map(|_| some(rng, |rng| vec![Some(1); rng.random_range(0..3)]));
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))
        }
    }
}

fn printed(keys: &[ArrayRef], row: usize) -> String {
    keys.iter()
        .map(
            |key| {
                if key.is_null(row) {
                    "|NULL".into()
                } else {
                    format!("|'{}'", array_value_to_string(key, row).unwrap())
                }
            },
        )
        .collect()
}

/// A weak hash of the printed key, so that slots collide.
fn weak_hash(key: &str) -> u64 {
    key.bytes().fold(7u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte))) % 97 * 0x1_0000_0001
}

fn check(types: &[usize], seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let arrow_types = types.iter().map(|&at| column(at, 1, &mut rng).data_type().clone()).collect();
    let mut table = GroupTable::new(arrow_types, Equality::Grouped, 1);
    let mut model: HashMap<String, (u32, u64)> = HashMap::new();
    for round in 0..60 {
        let rows = rng.random_range(1..40);
        let keys: Vec<ArrayRef> = types.iter().map(|&at| column(at, rows, &mut rng)).collect();
        let names: Vec<String> = (0..rows).map(|row| printed(&keys, row)).collect();
        let hashes: Vec<u64> = names.iter().map(|name| weak_hash(name)).collect();
        let (mut groups, mut fresh) = (Vec::new(), Vec::new());
        let known: HashSet<u32> = model.values().map(|&(group, _)| group).collect();
        table.resolve(&keys, &hashes, &mut groups, &mut fresh);
        assert_eq!(table.len() - fresh.len(), model.len(), "seed {seed} round {round}");
        for (row, &group) in groups.iter().enumerate() {
            assert_eq!(fresh.contains(&group), !known.contains(&group), "seed {seed} round {round}");
            let entry = model.entry(names[row].clone()).or_insert((group, 0));
            assert_eq!(entry.0, group, "seed {seed} round {round} {}", names[row]);
            entry.1 += 1;
            table.payload_mut(group)[0] += 1;
        }
        let doomed: Vec<String> = model.keys().filter(|_| rng.random_ratio(1, 5)).cloned().collect();
        for name in doomed {
            let (group, _) = model.remove(&name).unwrap();
            table.remove(group, weak_hash(&name) as u32);
        }
        assert_eq!(table.len(), model.len());
        let (names, all): (Vec<_>, Vec<_>) = model.iter().map(|(name, &(group, _))| (name, group)).unzip();
        let columns = table.columns(&all);
        for (row, name) in names.iter().enumerate() {
            assert_eq!(&&printed(&columns, row), name, "seed {seed} round {round}");
            assert_eq!(table.payload(all[row])[0], model[*name].1);
        }
    }
}

#[test]
fn finds_what_a_map_finds() {
    for seed in 0..4 {
        for types in [&[1][..], &[3], &[2, 7], &[0, 3], &[3, 4, 5], &[6], &[8, 1], &[0, 1, 2, 3, 4, 5, 6, 7, 8]] {
            check(types, seed);
        }
    }
}

#[test]
fn more_than_32_columns_have_their_own_null_bits() {
    let types: Vec<usize> = (0..110).map(|column| column % 2).collect();
    check(&types, 1);
}

#[test]
fn long_strings_do_not_pile_up() {
    let mut table = GroupTable::new(vec![DataType::Utf8View], Equality::Grouped, 0);
    for round in 0..2000u64 {
        let key: ArrayRef = Arc::new(StringViewArray::from(vec![format!("{:0>200}", round)]));
        let (mut groups, mut fresh) = (Vec::new(), Vec::new());
        table.resolve(std::slice::from_ref(&key), &[round], &mut groups, &mut fresh);
        assert_eq!(printed(&table.columns(&groups), 0), printed(&[key], 0));
        table.remove(groups[0], round as u32);
    }
    assert!(table.bytes() < 300_000, "{} bytes for no key", table.bytes());
}

#[test]
fn zeros_are_one_key_where_grouped_and_two_where_exact() {
    let key: ArrayRef = Arc::new(Float64Array::from(vec![0.0, -0.0]));
    for (equality, expected) in [(Equality::Grouped, 1), (Equality::Exact, 2)] {
        let mut table = GroupTable::new(vec![DataType::Float64], equality, 0);
        table.resolve(std::slice::from_ref(&key), &[5, 5], &mut Vec::new(), &mut Vec::new());
        assert_eq!(table.len(), expected);
    }
}

#[test]
fn timestamps_keep_their_zone() {
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Berlin".into()));
    let key: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1]).with_timezone("Europe/Berlin"));
    let mut table = GroupTable::new(vec![zoned.clone()], Equality::Grouped, 0);
    let mut groups = Vec::new();
    table.resolve(&[key], &[5], &mut groups, &mut Vec::new());
    assert_eq!(table.columns(&groups)[0].data_type(), &zoned);
}
