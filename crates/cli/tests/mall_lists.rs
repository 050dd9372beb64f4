//! Recommendations of `examples/mall` on the real binary: paths and lists compared with plain loops over the answer key,
//! and again after a kill.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "support/finished.rs"]
mod support;

use proxima_mallgen::{Answers, Files, Mall, Settings};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use support::Finished;

/// Scores are whole numbers of 2^-40 inside of paths and 2^-32 in lists; some dozens of them are added.
const NEAR: f64 = 1e-7;

type Scores = BTreeMap<String, f64>;

/// What the shop has done, as the answer key tells it: what each part of the job is computed from.
struct Facts {
    /// What lies in each order that is not cancelled.
    orders: BTreeMap<String, BTreeSet<String>>,
    /// What each user has bought.
    bought: BTreeMap<String, BTreeSet<String>>,
    /// When each user looked at each product last.
    viewed: BTreeMap<String, BTreeMap<String, String>>,
    /// Looks by day and product.
    looks: BTreeMap<(String, String), f64>,
    /// Products: on sale, trademark, category.
    products: BTreeMap<String, Value>,
}

fn answers(shop: &Path, index: &str) -> Vec<Value> {
    let text = fs::read_to_string(shop.join("answers").join(index).with_extension("jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

impl Facts {
    fn of(shop: &Path) -> Self {
        let (mut orders, mut bought) = (BTreeMap::<_, BTreeSet<_>>::new(), BTreeMap::<_, BTreeSet<_>>::new());
        for line in answers(shop, "orders_wide").iter().filter(|line| line["status"] != "1003") {
            orders.entry(line["order_id"].to_string()).or_default().insert(line["sku_id"].to_string());
            bought.entry(line["user_id"].to_string()).or_default().insert(line["sku_id"].to_string());
        }
        let (mut viewed, mut looks) = (BTreeMap::<_, BTreeMap<_, String>>::new(), BTreeMap::new());
        let is_look = |page: &&Value| page["page_id"] == "good_detail" && page["item_type"] == "sku_id";
        for page in answers(shop, "dwd_page").iter().filter(is_look) {
            let (item, at) = (page["item"].as_str().unwrap().to_owned(), page["ts"].as_str().unwrap());
            *looks.entry((at[..10].to_owned(), item.clone())).or_default() += 1.0;
            if !page["user_id"].is_null() {
                let last = viewed.entry(page["user_id"].to_string()).or_default().entry(item).or_default();
                *last = last.as_str().max(at).to_owned();
            }
        }
        let products = answers(shop, "dim_product").into_iter().map(|product| (product["id"].to_string(), product));
        Self { orders, bought, viewed, looks, products: products.collect() }
    }

    fn viewers(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.viewed.iter().map(|(user, items)| (user.clone(), items.keys().cloned().collect())).collect()
    }

    /// Looks, those of a day counting half after three.
    fn popular(&self) -> Scores {
        let number = |day: &str| day[8..].parse::<f64>().unwrap();
        let newest = self.looks.keys().map(|(day, _)| number(day)).fold(0.0, f64::max);
        let mut popular = Scores::new();
        for ((day, item), looks) in &self.looks {
            *popular.entry(item.clone()).or_default() += looks * ((number(day) - newest) / 3.0).exp2();
        }
        popular
    }

    /// What a user looked at lately, the newest counting most, times what has the same viewers.
    fn for_you(&self, user: &str) -> Scores {
        let mut lately: Vec<(&String, &String)> = self.viewed[user].iter().map(|(item, at)| (at, item)).collect();
        lately.sort_by(|a, b| b.cmp(a));
        lately.truncate(20);
        let (count, viewers, mut sums) = (lately.len() as f64, self.viewers(), Scores::new());
        for (place, (_, item)) in lately.into_iter().enumerate() {
            for (other, score) in cosine(&viewers, item) {
                *sums.entry(other).or_default() += score * (count - place as f64) / count;
            }
        }
        sums
    }

    /// The scores of the page of a product.
    fn detail(&self, item: &str) -> Scores {
        let mut mixed = Scores::new();
        for (share, scores) in [(2.0, cosine(&self.orders, item)), (1.0, cosine(&self.viewers(), item))] {
            let highest = scores.values().copied().fold(0.0, f64::max);
            for (other, score) in scores {
                *mixed.entry(other).or_default() += share / 3.0 * score / highest;
            }
        }
        mixed
    }

    fn may_be_shown(&self, user: &str, item: &str) -> bool {
        self.products[item]["on_sale"] == true && !self.bought.get(user).is_some_and(|bought| bought.contains(item))
    }
}

/// Item to item over sets: how many hold both, over the root of the product of how many hold each.
fn cosine(sets: &BTreeMap<String, BTreeSet<String>>, item: &str) -> Scores {
    let (mut each, mut both) = (Scores::new(), Scores::new());
    for set in sets.values() {
        for other in set {
            *each.entry(other.clone()).or_default() += 1.0;
            if set.contains(item) && other != item {
                *both.entry(other.clone()).or_default() += 1.0;
            }
        }
    }
    both.into_iter().map(|(other, count)| (other.clone(), count / (each[item] * each[&other]).sqrt())).collect()
}

/// Runs the job over a shop's files.
fn read_all(shop: &Path, data: &Path) -> Finished {
    let job = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/mall");
    let set = ["logs", "changes"].map(|name| format!("sources.{name}.path={}", shop.join(name).display()));
    Finished::run(&job, data, &set)
}

fn scored(items: &Value) -> Vec<(String, f64)> {
    let item = |item: &Value| (item["id"].as_str().unwrap().to_owned(), item["score"].as_f64().unwrap());
    items.as_array().unwrap().iter().map(item).collect()
}

/// A path gives all that the loop gives, with its scores, the highest first and equals by their texts.
fn assert_path(run: &Finished, path: &str, object: &str, expected: &Scores) {
    let found = scored(&run.ask(&format!("/v1/similar/{path}/{object}?n=1000"), None)["neighbours"]);
    let ordered = |pair: &[(String, f64)]| pair[0].1 > pair[1].1 || (pair[0].1 == pair[1].1 && pair[0].0 < pair[1].0);
    assert!(found.windows(2).all(ordered), "{path} from {object}: {found:?}");
    let scores: Scores = found.into_iter().collect();
    assert!(scores.keys().eq(expected.keys()), "{path} from {object}: {scores:?}, not {expected:?}");
    for (item, score) in expected {
        assert!((scores[item] - score).abs() < NEAR * score.max(1.0), "{path} from {object} to {item}: {score}");
    }
}

/// A list holds what may be shown, with its scores and in their order, no more than `most` of one value of `cap`; and
/// nothing that is left out scores higher, unless its value is used up.
fn assert_list(
    facts: &Facts,
    user: &str,
    items: &[&Value],
    scores: &Scores,
    (cap, most, wanted): (&str, usize, usize),
) {
    let list = scored(&items.iter().copied().cloned().collect());
    let mut used = BTreeMap::<String, usize>::new();
    for (place, (item, score)) in list.iter().enumerate() {
        assert!((scores[item] - score).abs() < NEAR * score.max(1.0), "{item} scores {}, not {score}", scores[item]);
        assert!(place == 0 || list[place - 1].1 >= *score, "{list:?}");
        assert!(facts.may_be_shown(user, item), "{item} is shown to {user}");
        *used.entry(facts.products[item][cap].to_string()).or_default() += 1;
    }
    assert!(used.values().all(|used| *used <= most), "{used:?}");
    let least = if list.len() < wanted { 0.0 } else { list.last().unwrap().1 };
    for (item, score) in scores.iter().filter(|(item, _)| facts.may_be_shown(user, item)) {
        let stands = list.iter().any(|(listed, _)| listed == item);
        let used_up = used.get(&facts.products[item][cap].to_string()) == Some(&most);
        assert!(stands || used_up || *score < least + NEAR * score.max(1.0), "{item} scores {score}: {list:?}");
    }
}

fn of_origin<'a>(answer: &'a Value, origin: &str) -> Vec<&'a Value> {
    answer["items"].as_array().unwrap().iter().filter(|item| item["origin"] == origin).collect()
}

#[test]
fn lists_are_what_loops_over_the_answer_key_give() {
    let (shop, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let settings = Settings { seed: 4, days: 2, users: 300, products: 60, orders_per_day: 60, ..Settings::default() };
    let mut key = Answers::create(&shop.path().join("answers"), true).unwrap();
    Mall::new(&settings).run(&mut Files::create(shop.path(), 1, 4).unwrap(), Some(&mut key)).unwrap();
    key.write().unwrap();
    let facts = Facts::of(shop.path());
    let run = read_all(shop.path(), data.path());
    let before = assert_all(&facts, &run);
    drop(run);
    assert_eq!(assert_all(&facts, &read_all(shop.path(), data.path())), before, "after a kill");
}

/// Compares everything, and gives the lists of the home page.
fn assert_all(facts: &Facts, run: &Finished) -> Vec<Value> {
    let viewers = facts.viewers();
    for item in facts.products.keys() {
        assert_path(run, "bought_together", item, &cosine(&facts.orders, item));
        assert_path(run, "viewed_together", item, &cosine(&viewers, item));
    }
    assert_path(run, "popular_here", "everywhere", &facts.popular());

    let users: Vec<&String> = facts.viewed.keys().filter(|user| facts.bought.contains_key(*user)).take(20).collect();
    assert_eq!(users.len(), 20);
    let mut homes = Vec::new();
    for (user, item) in users.into_iter().zip(facts.products.keys().cycle()) {
        assert_path(run, "for_you", user, &facts.for_you(user));
        let seen = json!({ "items": [item] });
        let detail = run.ask(&format!("/v1/recommend/detail/{user}"), Some(&seen));
        let mut scores = facts.detail(item);
        scores.remove(item);
        assert_list(facts, user, &of_origin(&detail, "ranked"), &scores, ("trademark", 4, 6));
        let home = run.ask(&format!("/v1/recommend/home/{user}"), None);
        assert_eq!(home["items"].as_array().unwrap().len(), 10, "{home}");
        for (item, score) in scored(&home["items"]) {
            assert!(facts.may_be_shown(user, &item), "{item} is shown to {user}");
            let why = run.ask(&format!("/v1/explain/home/{user}/{item}"), None);
            let parts: i64 = why["parts"].as_array().unwrap().iter().map(|part| part["units"].as_i64().unwrap()).sum();
            assert_eq!((Some(parts), why["score"].as_f64()), (why["units"].as_i64(), Some(score)), "{why}");
        }
        homes.push(home);
    }
    let nobody = run.ask("/v1/recommend/home/nobody", None);
    let filled = of_origin(&nobody, "fallback popular_here");
    assert_eq!(filled.len(), 10, "{nobody}");
    assert_list(facts, "nobody", &filled, &facts.popular(), ("category3", 3, 10));
    homes
}
