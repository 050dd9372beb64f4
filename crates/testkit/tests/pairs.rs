//! `bought_together` of the retail example equals a naive batch cosine over all customers: every list, every count.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use proxima_engine::{EpochConfig, RunConfig, SinkNode};
use proxima_graph::{Merger, PathConfig, PathKind, PathReader, PathSpec, RelationColumns, lower, path_table};
use proxima_sink::kv::KvStore;
use proxima_testkit::files;
use proxima_testkit::harness::{plan, run_files};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const BOUGHT: &str = "SELECT customer AS subject, stock_code AS object FROM purchases";

/// For each product: how many customers bought it, and with how many of them it shares each other product.
#[derive(Default)]
struct Naive {
    customers: BTreeMap<String, usize>,
    shared: BTreeMap<String, BTreeMap<String, u64>>,
}

/// Straight from the files, by the words of the README: no SQL, no streams.
fn naive(orders: &Path) -> Naive {
    let mut baskets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for day in files::list(orders) {
        for line in files::records(&day) {
            let [invoice, code, quantity, price, customer] =
                ["InvoiceNo", "StockCode", "Quantity", "UnitPrice", "CustomerID"].map(|column| line[column].as_str());
            let sells = !invoice.starts_with('C')
                && quantity.parse::<i64>().unwrap() > 0
                && price.parse::<f64>().unwrap() > 0.0;
            let product = code.starts_with("DCGS")
                || code.starts_with("gift_")
                || (code.len() >= 5 && code.bytes().take(5).all(|digit| digit.is_ascii_digit()));
            if sells && product && !customer.is_empty() {
                let customer = customer.strip_suffix(".0").unwrap().to_owned();
                baskets.entry(customer).or_default().insert(code.to_owned());
            }
        }
    }
    let mut naive = Naive::default();
    for basket in baskets.values() {
        for one in basket {
            *naive.customers.entry(one.clone()).or_default() += 1;
            let row = naive.shared.entry(one.clone()).or_default();
            for other in basket.iter().filter(|other| *other != one) {
                *row.entry(other.clone()).or_default() += 1;
            }
        }
    }
    naive
}

/// The whole list of each product, as a reader of the store gets it after the run.
fn check(naive: &Naive, orders: &Path, workers: usize, epochs: EpochConfig, hot_above: u32) {
    let folder = tempfile::tempdir().unwrap();
    let store = KvStore::open(&folder.path().join("kv.redb")).unwrap();
    let views = std::fs::read_to_string(files::example("retail").join("views.sql")).unwrap();
    let plan = plan(&views, &[("bought", BOUGHT)]).unwrap();
    let columns = RelationColumns::of(&plan.queries[0].schema).unwrap();
    let config = RunConfig { workers, epochs, ..RunConfig::default() };
    run_files(&plan, orders, config, |topology, lowered| {
        let path = PathSpec { name: "bought_together".into(), columns, publish_epochs: 20, hot_above };
        let input = lower(topology, &path, lowered.queries["bought"]);
        let sink = Box::new(store.sink(path_table("bought_together")));
        topology.sink(SinkNode { name: "bought_together".into(), input, sink });
    })
    .unwrap();

    let config = PathConfig {
        kind: PathKind::Pairs,
        relation: "bought".into(),
        merger: Merger::Cosine,
        object: None,
        publish: None,
        hot_above,
    };
    let reader = PathReader::new(Arc::new(store.reader()), "bought_together", &config);
    assert!(reader.similar("POST", 10).unwrap().is_none(), "postage is no product");
    for (product, &customers) in &naive.customers {
        let similar = reader.similar(product, usize::MAX).unwrap().unwrap();
        assert_eq!(similar.norm, customers as u64, "{product}");
        let expected = &naive.shared[product];
        let found: BTreeMap<_, _> = similar.neighbours.iter().map(|one| (one.id.clone(), one.pairs)).collect();
        assert_eq!(similar.neighbours.len(), found.len(), "{product}: a neighbour comes once");
        assert!(found == *expected, "{product}: other neighbours than the naive ones");
        for one in &similar.neighbours {
            let other = naive.customers[&one.id];
            let cosine = one.pairs as f64 / ((customers as f64).sqrt() * (other as f64).sqrt());
            assert!((one.score - cosine).abs() < 1e-12, "{product} and {}: {}, not {cosine}", one.id, one.score);
        }
        assert!(similar.neighbours.is_sorted_by(|a, b| a.score >= b.score), "{product}: the best come first");
        let ten = reader.similar(product, 10).unwrap().unwrap();
        let ids =
            |list: &[proxima_graph::Neighbour]| list.iter().take(10).map(|one| one.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&ten.neighbours), ids(&similar.neighbours), "{product}: the first ten are those of the list");
    }
}

#[test]
fn every_list_equals_the_naive_cosine() {
    let orders = files::example("retail").join("orders");
    let naive = naive(&orders);
    assert!(naive.customers.len() > 3_000);
    let records = |records| EpochConfig { interval: Duration::from_secs(3_600), records, lag: 4 };
    // Which products keep a row of counts changes no answer: all of them, the popular ones, none.
    check(&naive, &orders, 1, records(20_000), 0);
    check(&naive, &orders, 2, EpochConfig::default(), 256);
    check(&naive, &orders, 4, records(usize::MAX), u32::MAX);
}
