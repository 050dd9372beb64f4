//! What may never change (the vectors), what must agree (encodings), and how well the hash spreads.

use super::*;
use arrow::array::*;
use arrow::datatypes::{DataType, Field, Int32Type};
use std::collections::HashSet;
use std::sync::Arc;

fn hash(column: impl Array + 'static) -> Vec<u64> {
    let rows = column.len();
    hash_columns(&[Arc::new(column)], rows)
}

/// Stored checkpoints depend on these numbers: when this test fails, the code is wrong, not the test.
#[test]
fn the_vectors_stand_for_ever() {
    let pair: [ArrayRef; 2] =
        [Arc::new(Int32Array::from(vec![1, 2])), Arc::new(StringViewArray::from(vec!["mid_1", "mid_2"]))];
    let actual = [
        hash(Int64Array::from(vec![Some(0), Some(1), Some(-1), None])),
        hash(StringViewArray::from(vec!["", "a", "mid_168", "exactly12byt", "thirteen byte"])),
        hash(Float64Array::from(vec![0.0, 1.5, f64::NAN])),
        hash(BooleanArray::from(vec![false, true])),
        hash(Date32Array::from(vec![18_628])),
        hash(TimestampMicrosecondArray::from(vec![1_594_652_955_000_000, -1])),
        hash(Decimal128Array::from(vec![199, -1]).with_precision_and_scale(10, 2).unwrap()),
        hash(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None])])),
        hash_columns(&pair, 2),
        hash_columns(&[], 1),
        vec![combine(0, 0), combine(1, 2), combine(2, 1)],
    ]
    .concat();
    let expected: [u64; 26] = [
        0xb3bf_c73d_bda2_207a,
        0xbb64_5e4c_4d84_0e27,
        0x0052_e22f_477b_0145,
        0xdc4e_4a2c_c084_544f,
        0xb3bf_c73d_bda2_207a,
        0xc8e2_3767_8f67_401c,
        0x54b3_48b3_3131_10f5,
        0xea91_40e5_33eb_6662,
        0xbb8f_8443_8cb9_ae9a,
        0xb3bf_c73d_bda2_207a,
        0x257a_8528_73aa_07bd,
        0xc02e_362e_46d7_eabc,
        0xb3bf_c73d_bda2_207a,
        0xbb64_5e4c_4d84_0e27,
        0x388f_daec_7d3a_c1a2,
        0x1d8f_615f_74ba_0319,
        0xd062_b0ca_8335_0ce5,
        0x1557_eb12_eec1_8c3a,
        0x93f4_f157_684e_5439,
        0xb048_fc82_15ee_3935,
        0x05a4_a2a8_7c1d_a310,
        0xe24d_292a_3535_b9f6,
        0x749d_33cf_1982_ab53,
        0xc764_95dd_9d5e_99d9,
        0x3017_031b_5146_1f6a,
        0x41d7_ff08_f934_80b1,
    ];
    assert_eq!(actual, expected, "{actual:#018x?}");
}

#[test]
fn every_encoding_of_a_string_agrees() {
    let texts = ["", "a", "1234", "12345", "exactly12byt", "thirteen byte", "中文也一样，长一些", "x\0", "x"];
    let optional: Vec<_> = texts.iter().copied().map(Some).chain([None]).collect();
    let views = hash(StringViewArray::from(optional.clone()));
    assert_eq!(hash(StringArray::from(optional.clone())), views);
    assert_eq!(hash(LargeStringArray::from(optional.clone())), views);
    assert_eq!(hash(optional.iter().copied().collect::<DictionaryArray<Int32Type>>()), views);
    let bytes: Vec<Option<&[u8]>> = optional.iter().map(|text| text.map(str::as_bytes)).collect();
    assert_eq!(hash(BinaryArray::from(bytes.clone())), views);
    assert_eq!(hash(BinaryViewArray::from_iter(bytes)), views);
    assert_eq!(views.iter().collect::<HashSet<_>>().len(), views.len());
    for (text, &expected) in texts.iter().zip(&views) {
        assert_eq!(hash_str(text), expected);
    }
}

#[test]
fn a_slice_hashes_as_the_rows_it_shows() {
    let whole = StringViewArray::from(vec![Some("a"), None, Some("a string that is long"), Some("b")]);
    assert_eq!(hash(whole.slice(1, 2)), hash(whole.clone())[1..3]);
    let lists =
        ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)]), None, Some(vec![Some(2), None])]);
    assert_eq!(hash(lists.slice(1, 2)), hash(lists.clone())[1..3]);
}

#[test]
fn every_width_of_a_number_agrees() {
    let expected = hash(Int64Array::from(vec![0, 1, 100]));
    assert_eq!(hash(Int8Array::from(vec![0, 1, 100])), expected);
    assert_eq!(hash(Int16Array::from(vec![0, 1, 100])), expected);
    assert_eq!(hash(Int32Array::from(vec![0, 1, 100])), expected);
    assert_eq!(hash(UInt8Array::from(vec![0, 1, 100])), expected);
    assert_eq!(hash(UInt16Array::from(vec![0, 1, 100])), expected);
    assert_eq!(hash(UInt32Array::from(vec![0, 1, 100])), expected);
    assert_eq!(hash(UInt64Array::from(vec![0, 1, 100])), expected);
    assert_eq!(hash(Int8Array::from(vec![-5])), hash(Int64Array::from(vec![-5])));
    assert_eq!(
        hash(Float32Array::from(vec![1.5, -0.0, f32::NAN])),
        hash(Float64Array::from(vec![1.5, 0.0, -f64::NAN]))
    );
}

#[test]
fn every_unit_of_a_moment_agrees() {
    let expected = hash(TimestampSecondArray::from(vec![-7, 1_594_652_955]));
    assert_eq!(hash(TimestampMillisecondArray::from(vec![-7_000, 1_594_652_955_000])), expected);
    assert_eq!(hash(TimestampMicrosecondArray::from(vec![-7_000_000, 1_594_652_955_000_000])), expected);
    let nanos = TimestampNanosecondArray::from(vec![-7_000_000_000, 1_594_652_955_000_000_000]);
    assert_eq!(hash(nanos.with_timezone("UTC")), expected);
    assert_eq!(hash(Time32SecondArray::from(vec![5])), hash(Time64MicrosecondArray::from(vec![5_000_000])));
    assert_eq!(hash(Date32Array::from(vec![-1])), hash(Date64Array::from(vec![-86_400_000])));
}

#[test]
fn the_scale_belongs_to_a_decimal() {
    let of = |scale| hash(Decimal128Array::from(vec![100]).with_precision_and_scale(10, scale).unwrap());
    assert_ne!(of(1), of(2));
    let narrow = Decimal128Array::from(vec![100]).with_precision_and_scale(5, 2).unwrap();
    assert_eq!(hash(narrow), of(2));
}

#[test]
fn null_is_no_other_value() {
    let nulls = hash(Int64Array::from(vec![None]));
    assert_eq!(nulls, hash(StringViewArray::from(vec![None::<&str>])));
    assert_eq!(nulls, hash(NullArray::new(1)));
    assert_ne!(nulls, hash(Int64Array::from(vec![0])));
    assert_ne!(nulls, hash(StringViewArray::from(vec![""])));
}

#[test]
fn nested_values_hash_by_their_parts() {
    let fields = |a: i32, b: Option<&str>| -> ArrayRef {
        Arc::new(StructArray::from(vec![
            (Arc::new(Field::new("a", DataType::Int32, true)), Arc::new(Int32Array::from(vec![a])) as ArrayRef),
            (Arc::new(Field::new("b", DataType::Utf8, true)), Arc::new(StringArray::from(vec![b]))),
        ]))
    };
    let of = |column| hash_columns(&[column], 1)[0];
    assert_eq!(of(fields(1, Some("x"))), of(fields(1, Some("x"))));
    assert_ne!(of(fields(1, Some("x"))), of(fields(1, None)));
    let lists = hash(ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![]),
        Some(vec![None]),
        Some(vec![Some(1), Some(2)]),
        Some(vec![Some(2), Some(1)]),
        None,
    ]));
    assert_eq!(lists.iter().collect::<HashSet<_>>().len(), 5);
    let fixed = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), Some(2)])], 2);
    assert_eq!(hash(fixed)[0], lists[2]);
}

#[test]
fn the_order_of_columns_counts() {
    let (a, b): (ArrayRef, ArrayRef) = (Arc::new(Int64Array::from(vec![1])), Arc::new(Int64Array::from(vec![2])));
    assert_ne!(hash_columns(&[a.clone(), b.clone()], 1), hash_columns(&[b, a], 1));
}

/// Chi-square of 256 buckets (255 degrees of freedom; 350 is far beyond one in ten thousand) at both ends of the hash.
fn assert_spread(name: &str, hashes: &[u64]) {
    for (end, bucket) in [("upper", 56), ("middle", 28), ("lower", 0)] {
        let mut counts = [0_u32; 256];
        hashes.iter().for_each(|hash| counts[(hash >> bucket) as usize & 255] += 1);
        let mean = hashes.len() as f64 / 256.0;
        let chi: f64 = counts.iter().map(|&count| (f64::from(count) - mean).powi(2) / mean).sum();
        assert!(chi < 350.0, "{name}: the {end} bits are uneven: {chi}");
    }
    let distinct: HashSet<_> = hashes.iter().collect();
    assert_eq!(distinct.len(), hashes.len(), "{name}: 64 bits collide");
}

#[test]
fn keys_as_they_are_in_shops_spread_evenly() {
    let n = 100_000_i64;
    assert_spread("sequence", &hash(Int64Array::from_iter_values(0..n)));
    assert_spread("multiples of 4096", &hash(Int64Array::from_iter_values((0..n).map(|i| i << 12))));
    assert_spread("upper half only", &hash(Int64Array::from_iter_values((0..n).map(|i| i << 40))));
    assert_spread("whole floats", &hash(Float64Array::from_iter_values((0..n).map(|i| i as f64))));
    assert_spread("minutes", &hash(TimestampMicrosecondArray::from_iter_values((0..n).map(|i| i * 60_000_000))));
    assert_spread("mid_N", &hash(StringViewArray::from_iter_values((0..n).map(|i| format!("mid_{i}")))));
    assert_spread("digits", &hash(StringViewArray::from_iter_values((0..n).map(|i| format!("{i:012}")))));
    assert_spread("long", &hash(StringViewArray::from_iter_values((0..n).map(|i| format!("a long name {i}")))));
    let decimals = Decimal128Array::from_iter_values((0..n).map(i128::from)).with_precision_and_scale(18, 2).unwrap();
    assert_spread("cents", &hash(decimals));
    let grid: [ArrayRef; 2] = [
        Arc::new(Int32Array::from_iter_values((0..n).map(|i| (i / 300) as i32))),
        Arc::new(Int32Array::from_iter_values((0..n).map(|i| (i % 300) as i32))),
    ];
    assert_spread("grid", &hash_columns(&grid, n as usize));
}

/// One changed input bit changes each output bit about half of the time.
#[test]
fn each_bit_matters_everywhere() {
    let base: Vec<i64> = (0..2_000).map(|i| i * 7_919).collect();
    let plain = hash(Int64Array::from(base.clone()));
    for bit in 0..64 {
        let flipped = hash(Int64Array::from_iter_values(base.iter().map(|value| value ^ (1_i64 << bit))));
        let changed: u32 = plain.iter().zip(&flipped).map(|(a, b)| (a ^ b).count_ones()).sum();
        let share = f64::from(changed) / (64.0 * base.len() as f64);
        assert!((0.47..0.53).contains(&share), "bit {bit} changes {share} of the output");
    }
}

#[test]
fn groups_are_dealt_to_workers_in_equal_runs() {
    assert_eq!(KeyGroup::of(0, 256), KeyGroup(0));
    assert_eq!(KeyGroup::of(u64::MAX, 256), KeyGroup(255));
    let owners: Vec<_> = (0..8).map(|group| KeyGroup(group).worker(8, 3)).collect();
    assert_eq!(owners, [0, 0, 0, 1, 1, 1, 2, 2]);
}
