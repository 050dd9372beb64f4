//! `examples/recommend-retail` on the real binary: lists for those who are known and those who are not, explanations whose
//! parts sum to the scores, baskets, and a split that is switched while it serves, and stays so when the run is killed.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "support/finished.rs"]
mod support;

use serde_json::{Value, json};
use std::path::Path;
use support::Finished;
use tempfile::TempDir;

/// Runs the example over its first days.
fn read_all(data: &TempDir) -> Finished {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let orders = examples.join("retail/orders/2010-12-0[1-3].csv.zst");
    let orders = format!("sources.orders.path={}", orders.display());
    Finished::run(&examples.join("recommend-retail"), data.path(), &[orders])
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[test]
fn the_retail_example_recommends_explains_and_switches() {
    let data = tempfile::tempdir().unwrap();
    let run = read_all(&data);
    let home = run.ask("/v1/recommend/home/17850", None);
    assert_eq!(ids(&home).len(), 10, "{home}");
    assert!(home["items"][0]["attributes"]["description"].is_string(), "{home}");
    for item in home["items"].as_array().unwrap().iter().filter(|item| item["origin"] == "ranked") {
        let why = run.ask(&format!("/v1/explain/home/17850/{}", item["id"].as_str().unwrap()), None);
        let parts: i64 = why["parts"].as_array().unwrap().iter().map(|part| part["units"].as_i64().unwrap()).sum();
        assert_eq!((Some(parts), &why["score"]), (why["units"].as_i64(), &item["score"]), "{why}");
    }
    let nobody = run.ask("/v1/recommend/home/nobody", None);
    assert_eq!(ids(&nobody).len(), 10, "{nobody}");
    assert_eq!(nobody["items"][0]["origin"], "fallback popular");
    let french = json!({ "attributes": { "country": "France" } });
    assert_ne!(ids(&run.ask("/v1/recommend/home/nobody", Some(&french))), ids(&nobody));

    let basket = json!({ "items": ["85123A", "22423"], "filters": { "price": { "lte": 5 } }, "n": 3 });
    let basket = run.ask("/v1/recommend/basket/17850", Some(&basket));
    assert!(ids(&basket).len() == 3 && !ids(&basket).contains(&"85123A"), "{basket}");
    let prices = basket["items"].as_array().unwrap().iter().map(|item| item["attributes"]["price"].as_f64().unwrap());
    assert!(prices.into_iter().all(|price| price <= 5.0), "{basket}");

    for (variant, other) in [("home_buyers", "home_both"), ("home_both", "home_buyers")] {
        let shares = run.ask("/v1/splits/home", Some(&json!({ variant: 1 })));
        assert_eq!(shares["shares"], json!({ variant: 1.0, other: 0.0 }));
        assert_eq!(run.ask("/v1/recommend/home/17850", None)["variant"], variant);
    }
    drop(run);
    let run = read_all(&data);
    assert_eq!(run.ask("/v1/splits/home", None)["shares"], json!({ "home_both": 1.0, "home_buyers": 0.0 }));
    let again = run.ask("/v1/recommend/home/17850", None);
    assert_eq!(again["variant"], "home_both");
}
