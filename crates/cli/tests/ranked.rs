//! Candidates of a path, ranked over HTTP by a model that learned from the stream: compared with plain loops for the path,
//! for gradient descent and for the score.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "support/finished.rs"]
mod support;

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use support::Finished;

/// The model's arithmetic is in 32 bits, that of the loop in 64.
const NEAR: f64 = 1e-4;

const RATE: f64 = 0.05;

const JOB: &str = r#"
[job]
name = "ranked"

[sources.events]
kind = "file"
path = "events.jsonl"
[sources.items]
kind = "file"
path = "items.jsonl"
[sources.people]
kind = "file"
path = "people.jsonl"
[sources.shows]
kind = "file"
path = "shows.jsonl"

[objects.item]
from = "SELECT item AS id, category, price, looks FROM described"
[objects.person]
from = "SELECT person AS id, age FROM people"
[relations.viewed]
from = "SELECT DISTINCT person AS subject, item AS object FROM events"
subject = "person"
object = "item"

[paths.also]
left = { hop = "viewed", reverse = true }
right = { hop = "viewed" }
merger = "count"
[paths.for_you]
left = { hop = "viewed" }
right = "also"
merger = "sum"

[models.clicks]
from = "SELECT id, clicked, category, price, looks, age FROM shows"
label = "clicked"
order = "id"
learner = "sgd"
rate = 0.05
hash_bits = 22
[models.clicks.features]
category = { kind = "category" }
price = { kind = "log" }
looks = { kind = "log" }
age = { kind = "category" }
taste = { kind = "cross", of = ["category", "age"] }

[recommendations.home]
from = { for_you = 1 }
model = "clicks"
drop = ["viewed"]
number = 5
"#;

/// `looks` is a counter: a view that counts, joined to what does not change.
const VIEWS: &str = "
CREATE TABLE events (person STRING, item STRING) WITH (source = 'events', format = 'json');
CREATE TABLE items (item STRING, category STRING, price DOUBLE) WITH (source = 'items', format = 'json');
CREATE TABLE people (person STRING, age STRING) WITH (source = 'people', format = 'json');
CREATE TABLE shows (id BIGINT, clicked BOOLEAN, category STRING, price DOUBLE, looks BIGINT, age STRING)
  WITH (source = 'shows', format = 'json');
CREATE VIEW counted AS SELECT item, count(*) AS looks FROM events GROUP BY item;
CREATE VIEW described AS
SELECT i.item, i.category, i.price, coalesce(c.looks, 0) AS looks
FROM items i LEFT JOIN counted c ON c.item = i.item;
";

const CATEGORIES: [&str; 3] = ["toys", "tea", "garden"];
const AGES: [&str; 2] = ["young", "old"];

/// What stands in the files.
struct Shop {
    viewed: BTreeMap<String, BTreeSet<String>>,
    looks: BTreeMap<String, f64>,
    /// The weights that a loop over the shows gives, by feature and value.
    weights: BTreeMap<String, f64>,
}

fn category(item: usize) -> &'static str {
    CATEGORIES[item % 3]
}

fn price(item: usize) -> f64 {
    (item * 7 % 20) as f64 + 0.5
}

/// The features of an item for somebody: what each is called, and its value.
fn features(category: &str, price: f64, looks: f64, age: &str) -> [(String, String, f64); 6] {
    [
        ("age", format!("age {age}"), 1.0),
        ("bias", "bias".to_owned(), 1.0),
        ("category", format!("category {category}"), 1.0),
        ("looks", "looks".to_owned(), looks.ln_1p()),
        ("price", "price".to_owned(), price.ln_1p()),
        ("taste", format!("taste {category} {age}"), 1.0),
    ]
    .map(|(name, slot, value)| (name.to_owned(), slot, value))
}

impl Shop {
    /// Makes the files of the job in a folder.
    fn make(folder: &Path) -> Self {
        let mut shop = Self { viewed: BTreeMap::new(), looks: BTreeMap::new(), weights: BTreeMap::new() };
        let (mut events, mut items, mut people, mut shows) =
            (String::new(), String::new(), String::new(), String::new());
        for person in 0..40 {
            writeln!(people, r#"{{"person":"p{person}","age":"{}"}}"#, AGES[person % 2]).unwrap();
            for step in 0..9 {
                let item = format!("i{}", (person * 7 + step * (step + person % 4)) % 30);
                writeln!(events, r#"{{"person":"p{person}","item":"{item}"}}"#).unwrap();
                shop.viewed.entry(format!("p{person}")).or_default().insert(item.clone());
                *shop.looks.entry(item).or_default() += 1.0;
            }
        }
        for item in 0..30 {
            let (category, price) = (category(item), price(item));
            writeln!(items, r#"{{"item":"i{item}","category":"{category}","price":{price}}}"#).unwrap();
        }
        for show in 0..3_000_usize {
            let (category, age, price, looks) =
                (CATEGORIES[show * 5 % 3], AGES[show / 3 % 2], (show * 11 % 23) as f64, show * 13 % 40);
            // The young like toys, the old like tea, and all what is cheap.
            let liked = (age == "young") == (category == "toys") && category != "garden";
            let clicked = liked && price < 15.0 || show % 17 == 0;
            let row = json!({ "id": show, "clicked": clicked, "category": category, "price": price, "looks": looks, "age": age });
            writeln!(shows, "{row}").unwrap();
            shop.learn(clicked, &features(category, price, looks as f64, age));
        }
        let files = [("events", events), ("items", items), ("people", people), ("shows", shows)];
        files.iter().for_each(|(name, text)| fs::write(folder.join(name).with_extension("jsonl"), text).unwrap());
        fs::write(folder.join("job.toml"), JOB).unwrap();
        fs::write(folder.join("views.sql"), VIEWS).unwrap();
        shop
    }

    fn margin(&self, features: &[(String, String, f64)]) -> f64 {
        features.iter().map(|(_, slot, value)| self.weights.get(slot).unwrap_or(&0.0) * value).sum()
    }

    /// A step of stochastic gradient descent for logistic regression.
    fn learn(&mut self, clicked: bool, features: &[(String, String, f64)]) {
        let probability = 1.0 / (1.0 + (-self.margin(features)).exp());
        for (_, slot, value) in features {
            let gradient = (probability - f64::from(u8::from(clicked))) * value;
            *self.weights.entry(slot.clone()).or_default() -= RATE * gradient;
        }
    }

    /// What a path leads to from somebody, and the person has not viewed.
    fn candidates(&self, person: &str) -> BTreeSet<String> {
        let mine = &self.viewed[person];
        let theirs = self.viewed.values().filter(|theirs| !theirs.is_disjoint(mine));
        theirs.flatten().filter(|item| !mine.contains(*item)).cloned().collect()
    }

    fn of(&self, item: &str, age: &str) -> [(String, String, f64); 6] {
        let number: usize = item[1..].parse().unwrap();
        features(category(number), price(number), self.looks.get(item).copied().unwrap_or(0.0), age)
    }

    /// The best five with their scores.
    fn list(&self, person: &str, age: &str) -> Vec<(String, f64)> {
        let scored = |item: String| (item.clone(), self.margin(&self.of(&item, age)));
        let mut list: Vec<_> = self.candidates(person).into_iter().map(scored).collect();
        list.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        list.truncate(5);
        list
    }
}

fn assert_list(answer: &Value, expected: &[(String, f64)]) {
    let items = answer["items"].as_array().unwrap();
    assert_eq!(items.len(), expected.len(), "{answer}");
    for (item, (id, score)) in items.iter().zip(expected) {
        assert_eq!((item["id"].as_str(), item["origin"].as_str()), (Some(id.as_str()), Some("ranked")), "{expected:?}");
        assert!((item["score"].as_f64().unwrap() - score).abs() < NEAR, "{item}, not {score}");
    }
}

#[test]
fn a_model_ranks_what_paths_lead_to() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::make(folder.path());
    let run = Finished::run(folder.path(), &folder.path().join("data"), &[]);
    for (number, person) in (0..40).map(|number| (number, format!("p{number}"))) {
        let age = AGES[number % 2];
        let list = shop.list(&person, age);
        assert_eq!(list.len(), 5, "{person}");
        assert_list(&run.ask(&format!("/v1/recommend/home/{person}"), None), &list);

        let (item, score) = &list[number % 5];
        let why = run.ask(&format!("/v1/explain/home/{person}/{item}"), None);
        let parts: BTreeMap<&str, &Value> =
            why["parts"].as_array().unwrap().iter().map(|part| (part["name"].as_str().unwrap(), part)).collect();
        let units: i64 = parts.values().map(|part| part["units"].as_i64().unwrap()).sum();
        assert_eq!(Some(units), why["units"].as_i64(), "{why}");
        for (name, slot, value) in shop.of(item, age) {
            let part = parts[format!("feature {name}").as_str()]["score"].as_f64().unwrap();
            assert!((part - shop.weights[&slot] * value).abs() < NEAR, "{name} of {item}: {why}");
        }
        assert!((why["score"].as_f64().unwrap() - score).abs() < NEAR, "{why}");

        // What the question tells of the person holds in place of what is known.
        let other = AGES[(number + 1) % 2];
        let told = json!({ "attributes": { "age": other } });
        assert_list(&run.ask(&format!("/v1/recommend/home/{person}"), Some(&told)), &shop.list(&person, other));
    }
}
