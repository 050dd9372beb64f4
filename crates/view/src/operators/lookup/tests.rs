//! Random facts and dimensions against lists of what each fact has met.

use super::*;
use crate::operators::testing::{Bag, Driver, Printed, Row, Stream, V, add, any, any_text, schema};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn row(rng: &mut ChaCha8Rng) -> Row {
    vec![any_text(rng), any(rng, &[V::Int(1), V::Int(2)])]
}

fn spec(outer: bool, left_append_only: bool) -> LookupSpec {
    let types = [DataType::Utf8View, DataType::Int64];
    LookupSpec {
        left: schema(&types),
        dimension: schema(&types),
        left_keys: vec![0],
        dimension_keys: vec![0],
        outer,
        left_append_only,
        output: schema(&[types.clone(), types].concat()),
    }
}

fn outputs(fact: &Row, dimension: &Bag, outer: bool) -> Bag {
    let matches = dimension.iter().filter(|(row, _)| row[0] == fact[0] && row[0] != V::Null);
    let mut outputs: Bag = matches.map(|(row, &weight)| ([fact.clone(), row.clone()].concat(), weight)).collect();
    if outputs.is_empty() && outer {
        outputs.insert([fact.clone(), vec![V::Null, V::Null]].concat(), 1);
    }
    outputs
}

/// Puts facts and rows of the dimension in place of their numbers in what facts have met.
fn name_rows(batches: &mut Printed) {
    let [_, rows, _, facts, met] = batches.as_mut_slice() else { return };
    for line in met {
        let place = |column: usize| line[column].trim_matches('\'').parse::<usize>().unwrap();
        let (fact, row) = (facts[place(0)].join(" "), rows.get(place(3)).map(|row| row.join(" ")));
        line[0] = fact;
        line[3] = row.unwrap_or_else(|| line[3].clone());
    }
}

fn check(seed: u64, outer: bool, append_only: bool) {
    let spec = spec(outer, append_only);
    let make = || Box::new(Lookup::new(spec.clone())) as Box<dyn Operator>;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut facts = Stream::new(spec.left.clone(), &[0], append_only, row);
    let mut dimension = Stream::new(spec.dimension.clone(), &[0], false, row);
    let mut driver = Driver::new(1, &make);
    driver.canonical = Some(name_rows);
    // For each fact what each time it came has put out, the last at the end.
    let mut met: BTreeMap<Row, Vec<Bag>> = BTreeMap::new();
    for epoch in 0..40 {
        let rows = dimension.epoch(&mut rng);
        let changes = facts.epoch(&mut rng);
        let mut net = Bag::new();
        changes.iter().for_each(|(fact, weight)| add(&mut net, fact.clone(), *weight));
        for (fact, weight) in net {
            let met = met.entry(fact.clone()).or_default();
            (0..weight).for_each(|_| met.push(outputs(&fact, &dimension.bag, outer)));
            (0..-weight).for_each(|_| drop(met.pop().unwrap()));
        }
        driver.epoch(&[(&facts, changes), (&dimension, rows)], &mut rng);
        let mut expected = Bag::new();
        for (row, weight) in met.values().flatten().flatten() {
            add(&mut expected, row.clone(), *weight);
        }
        assert_eq!(driver.result, expected, "seed {seed} epoch {epoch}");
        if rng.random_ratio(1, 3) {
            driver.save(&mut rng);
        }
        if rng.random_ratio(1, 6) {
            driver.restart(rng.random_range(1..=4), &mut rng);
        }
    }
}

#[test]
fn facts_meet_the_dimension_of_their_epoch_and_part_from_the_same() {
    for seed in 0..3 {
        for outer in [false, true] {
            check(seed, outer, false);
            check(seed, outer, true);
        }
    }
}
