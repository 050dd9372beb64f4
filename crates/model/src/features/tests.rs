//! Which slots rows have: fixed for ever by vectors, and by what the kinds promise.

use super::*;
use crate::samples::{slot_of, value_of};
use crate::spec::LearnerSpec;
use arrow::array::{
    Array, ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, StringViewArray, TimestampMicrosecondArray,
};
use std::sync::Arc;

fn feature_spec(name: &str, kind: FeatureKind, missing: Missing) -> FeatureSpec {
    FeatureSpec { name: name.into(), column: name.into(), kind, missing, namespace: name.into() }
}

fn model(features: Vec<FeatureSpec>) -> ModelSpec {
    ModelSpec {
        name: "m".into(),
        label: "label".into(),
        time: None,
        order: None,
        wait_us: None,
        features,
        bias: false,
        hash_bits: 20,
        learner: LearnerSpec::default(),
        batch: 1,
        window: 1,
    }
}

fn rows() -> RecordBatch {
    let columns: [(&str, ArrayRef); 4] = [
        ("price", Arc::new(Float64Array::from(vec![Some(2.0), Some(0.0), None, Some(f64::INFINITY)]))),
        ("city", Arc::new(StringViewArray::from(vec![Some("London"), Some("Paris"), None, Some("London")]))),
        ("hour", Arc::new(Int32Array::from(vec![Some(1), Some(8), Some(30), None]))),
        ("text", Arc::new(StringViewArray::from(vec![Some("1:1"), Some(""), None, Some("x:")]))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

fn vectors(features: Vec<FeatureSpec>) -> Vec<Option<Vec<(usize, f32)>>> {
    let rows = rows();
    let mut vectors = Vec::new();
    Encoder::bind(&model(features), &rows.schema()).unwrap().each(&rows, |vector| {
        vectors.push(vector.map(|vector| vector.iter().map(|&x| (slot_of(x), value_of(x))).collect()));
    });
    vectors
}

/// Models that were saved depend on these numbers: when this test fails, the code is wrong, not the test.
#[test]
fn the_vectors_stand_for_ever() {
    let number = feature_spec("price", FeatureKind::Number, Missing::Own);
    let category = feature_spec("city", FeatureKind::Category, Missing::Own);
    let buckets = feature_spec("hour", FeatureKind::Buckets(vec![6.0, 12.0]), Missing::Own);
    let cross = feature_spec("both", FeatureKind::Cross(vec!["city".into(), "hour".into()]), Missing::Own);
    let text = feature_spec("text", FeatureKind::Sparse, Missing::Own);
    let found = vectors(vec![number, category, buckets, cross, text]);
    let slots = |row: usize| found[row].iter().flatten().map(|(slot, _)| *slot).collect::<Vec<_>>();
    let expected = [
        vec![36_781, 787_061, 458_836, 149_823, 387_105],
        vec![41_265, 374_749, 573_826],
        vec![574_009, 997_158, 59_750, 367_399, 273_714],
        vec![],
    ];
    assert_eq!([slots(0), slots(1), slots(2), slots(3)], expected);
}

#[test]
fn numbers_are_values_of_one_slot() {
    let plain = vectors(vec![feature_spec("price", FeatureKind::Number, Missing::Own)]);
    let one = |row: usize| plain[row].clone().unwrap();
    assert_eq!(one(0)[0].1, 2.0);
    assert_eq!(one(1), []);
    assert_eq!((one(2), one(2)[0].1), (one(3), 1.0));
    assert_ne!(one(0)[0].0, one(2)[0].0, "missing has a slot of its own");
    let log = vectors(vec![feature_spec("price", FeatureKind::Log, Missing::Value(1.0))]);
    assert_eq!(log[0].as_ref().unwrap()[0].1, 3.0_f64.ln() as f32);
    assert_eq!(log[2].as_ref().unwrap()[0].1, 2.0_f64.ln() as f32);
    let skipped = vectors(vec![feature_spec("price", FeatureKind::Number, Missing::Skip)]);
    assert_eq!(skipped[2], Some(vec![]));
}

#[test]
fn equal_values_share_a_slot_and_crosses_tell_pairs_apart() {
    let city = || feature_spec("city", FeatureKind::Category, Missing::Skip);
    let hour = || feature_spec("hour", FeatureKind::Buckets(vec![6.0, 12.0]), Missing::Skip);
    let cross = feature_spec("both", FeatureKind::Cross(vec!["city".into(), "hour".into()]), Missing::Own);
    let found = vectors(vec![city(), hour(), cross]);
    let row = |row: usize| found[row].clone().unwrap();
    assert_eq!((row(0).len(), row(1).len()), (3, 3));
    assert_eq!((row(2).len(), row(3).len()), (1, 1), "a cross needs both of its parts");
    assert_eq!(row(0)[0], row(3)[0]);
    assert_ne!(row(0)[2], row(1)[2]);
    let shared = FeatureSpec { namespace: "place".into(), ..city() };
    let other = FeatureSpec { name: "same".into(), ..shared.clone() };
    let twice = vectors(vec![shared, other])[0].clone().unwrap();
    assert_eq!(twice[0], twice[1], "one namespace, one slot");
}

#[test]
fn a_text_that_cannot_be_read_spoils_its_row_only() {
    let found = vectors(vec![feature_spec("text", FeatureKind::Sparse, Missing::Skip)]);
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, true, false]);
}

#[test]
fn everything_that_is_wrong_is_told() {
    let features = vec![
        feature_spec("city", FeatureKind::Number, Missing::Own),
        feature_spec("town", FeatureKind::Category, Missing::Own),
        feature_spec("hour", FeatureKind::Sparse, Missing::Own),
        feature_spec("c1", FeatureKind::Cross(vec!["nope".into()]), Missing::Own),
        feature_spec("c2", FeatureKind::Cross(vec!["city".into()]), Missing::Own),
    ];
    let errors = Encoder::bind(&model(features), &rows().schema()).unwrap_err();
    let told: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.key, error.message)).collect();
    assert_eq!(
        told,
        [
            "features.city.column: column \"city\" is Utf8View, not a number",
            "features.town.column: the query has no column \"town\"",
            "features.hour.column: column \"hour\" is Int32, not text",
            "features.c1.of: \"nope\" is no feature that can be crossed",
            "features.c2.of: feature \"city\" is neither a category nor buckets",
        ]
    );
}

#[test]
fn decimals_are_numbers() {
    let prices = Decimal128Array::from(vec![Some(1_250)]).with_precision_and_scale(10, 3).unwrap();
    let rows = RecordBatch::try_from_iter([("price", Arc::new(prices) as ArrayRef)]).unwrap();
    let spec = model(vec![feature_spec("price", FeatureKind::Number, Missing::Own)]);
    let mut values = Vec::new();
    Encoder::bind(&spec, &rows.schema()).unwrap().each(&rows, |x| values.push(value_of(x.unwrap()[0])));
    assert_eq!(values, [1.25]);
}

/// Attributes have fewer types than columns: what a model learned of a day or a decimal must be found by the attribute.
#[test]
fn a_category_is_the_same_of_a_column_and_of_an_attribute() {
    const DAY_US: i64 = 86_400_000_000;
    let one = |column: ArrayRef| {
        let rows = RecordBatch::try_from_iter_with_nullable([("c", column, true)]).unwrap();
        let spec = model(vec![feature_spec("c", FeatureKind::Category, Missing::Own)]);
        let mut slots = Vec::new();
        Encoder::bind(&spec, &rows.schema()).unwrap().each(&rows, |vector| slots.push(slot_of(vector.unwrap()[0])));
        slots
    };
    let days = one(Arc::new(Date32Array::from(vec![Some(19_723), Some(-1), None])));
    let moments = vec![Some(19_723 * DAY_US), Some(-DAY_US), None];
    assert_eq!(days, one(Arc::new(TimestampMicrosecondArray::from(moments))));
    let decimals = |scale: i8, values: Vec<Option<i128>>| {
        one(Arc::new(Decimal128Array::from(values).with_precision_and_scale(20, scale).unwrap()))
    };
    let prices = one(Arc::new(Float64Array::from(vec![Some(1.25), Some(0.1), Some(-3.0), None])));
    assert_eq!(decimals(2, vec![Some(125), Some(10), Some(-300), None]), prices);
    assert_eq!(decimals(5, vec![Some(125_000), Some(10_000), Some(-300_000), None]), prices);
    assert!(days[0] != days[1] && days[1] != days[2] && prices[0] != prices[1]);
}

#[test]
fn what_is_not_finite_is_missing_in_every_kind() {
    let huge: [f64; 5] = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1.0, 1e300];
    let values: Vec<Option<f64>> = huge.map(Some).into_iter().chain([None]).collect();
    let column: ArrayRef = Arc::new(Float64Array::from(values));
    let with_null = RecordBatch::try_from_iter_with_nullable([("x", Arc::clone(&column), true)]).unwrap();
    let without = RecordBatch::try_from_iter_with_nullable([("x", column.slice(0, 5), true)]).unwrap();
    let kinds = [FeatureKind::Number, FeatureKind::Log, FeatureKind::Buckets(vec![0.0, 2.0])];
    for (kind, fits) in kinds.into_iter().zip([false, true, true]) {
        for missing in [Missing::Own, Missing::Skip, Missing::Value(1.0)] {
            let of = |rows: &RecordBatch| {
                let spec = model(vec![feature_spec("x", kind.clone(), missing)]);
                let mut vectors: Vec<Vec<u64>> = Vec::new();
                let encoder = Encoder::bind(&spec, &rows.schema()).unwrap();
                encoder.each(rows, |vector| vectors.push(vector.unwrap().to_vec()));
                vectors
            };
            let found = of(&with_null);
            let [null, one, huge] = [&found[5], &found[3], &found[4]];
            assert!(found[..3].iter().all(|row| row == null), "{kind:?}, {missing:?}: {found:?}");
            assert_eq!(one == null, missing == Missing::Value(1.0), "{kind:?}, {missing:?}");
            assert_eq!(huge != null, fits, "{kind:?}, {missing:?}: of 32 bits or not");
            assert_eq!(of(&without), found[..5]);
        }
    }
}
