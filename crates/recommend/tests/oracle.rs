//! Random shops and recommendations against the definition, written once more without any of the crate's steps; and
//! explanations, whose parts sum to the scores.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use proxima_graph::{ObjectId, Value};
use proxima_recommend::{
    Boost, Candidate, Cap, Fallback, Feed, Is, Origin, Pin, Recommendation, Request, Require, Rules, Shop, Start, UNIT,
    explain, recommend,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const ITEMS: usize = 30;
const CATEGORIES: [&str; 3] = ["toys", "tea", "garden"];

/// A shop in maps.
#[derive(Default)]
struct Maps {
    paths: BTreeMap<(String, String), Vec<Candidate>>,
    bought: BTreeMap<String, BTreeSet<ObjectId>>,
    items: BTreeMap<ObjectId, BTreeMap<&'static str, Value>>,
    country: BTreeMap<String, Value>,
}

impl Shop for Maps {
    fn item(&self, text: &str) -> Option<ObjectId> {
        let number: u32 = text.strip_prefix('i')?.parse().ok()?;
        (number < ITEMS as u32).then_some(ObjectId(number))
    }

    fn text(&self, item: ObjectId) -> Option<Arc<str>> {
        (item.0 < ITEMS as u32).then(|| text(item.0 as usize))
    }

    fn candidates(&self, path: &str, start: &str, n: usize) -> Vec<Candidate> {
        let found = self.paths.get(&(path.to_owned(), start.to_owned()));
        // In another order than that of their scores.
        let found = found.map(|found| &found[..n.min(found.len())]);
        found.unwrap_or_default().iter().rev().copied().collect()
    }

    fn related(&self, relation: &str, subject: &str) -> Vec<ObjectId> {
        assert_eq!(relation, "bought");
        self.bought.get(subject).into_iter().flatten().copied().collect()
    }

    fn subject_attribute(&self, subject: &str, attribute: &str) -> Value {
        assert_eq!(attribute, "country");
        self.country.get(subject).cloned().unwrap_or(Value::Null)
    }

    fn item_attribute(&self, item: ObjectId, attribute: &str) -> Value {
        self.items.get(&item).and_then(|item| item.get(attribute).cloned()).unwrap_or(Value::Null)
    }

    fn rank(&self, model: &str, request: &Request<'_>, items: &[ObjectId]) -> Vec<i64> {
        items.iter().map(|&item| self.rank_parts(model, request, item).iter().map(|(_, units)| units).sum()).collect()
    }

    fn rank_parts(&self, _model: &str, _request: &Request<'_>, item: ObjectId) -> Vec<(String, i64)> {
        let number = if item.0 < ITEMS as u32 { i64::from(item.0) } else { 0 };
        vec![("number".into(), number * 7919 % 1_000), ("bias".into(), -500)]
    }
}

fn text(number: usize) -> Arc<str> {
    format!("i{number}").into()
}

impl Maps {
    /// The number of a text; one that nothing has where the shop does not know it.
    fn number(&self, text: &str) -> ObjectId {
        self.item(text).unwrap_or(ObjectId(u32::MAX))
    }
}

fn candidates(rng: &mut ChaCha8Rng) -> Vec<Candidate> {
    let mut found = Vec::new();
    for number in 0..ITEMS {
        if rng.random_range(0..3) == 0 {
            found.push(Candidate { item: ObjectId(number as u32), score: f64::from(rng.random_range(1..9)) / 4.0 });
        }
    }
    found.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then_with(|| text(a.item.0 as usize).cmp(&text(b.item.0 as usize)))
    });
    found
}

fn shop(rng: &mut ChaCha8Rng) -> Maps {
    let mut shop = Maps::default();
    for path in ["for_you", "similar", "popular"] {
        for start in ["ann", "i1", "i2", "uk", "all"] {
            shop.paths.insert((path.into(), start.into()), candidates(rng));
        }
    }
    shop.bought.insert(
        "ann".into(),
        (0..ITEMS).filter(|_| rng.random_range(0..6) == 0).map(|number| ObjectId(number as u32)).collect(),
    );
    shop.country.insert("ann".into(), Value::Text("uk".into()));
    for number in 0..ITEMS {
        let mut attributes = BTreeMap::from([("stock", Value::Int(rng.random_range(0..4)))]);
        if rng.random_range(0..5) > 0 {
            attributes.insert("category", Value::Text(CATEGORIES[rng.random_range(0..3)].into()));
        }
        shop.items.insert(ObjectId(number as u32), attributes);
    }
    shop
}

fn spec(rng: &mut ChaCha8Rng) -> Recommendation {
    let mut coin = |of: u32| rng.random_range(0..of) == 0;
    let feed = |path: &str, start, share| Feed { path: path.into(), start, share, candidates: 8 };
    let mut from = vec![feed("for_you", Start::Subject, 3.0)];
    if coin(2) {
        from.push(feed("similar", Start::Seen, 1.0));
    }
    let toys = Is::Equal(Value::Text("toys".into()));
    let boost = |by| Boost { name: "toys".into(), attribute: "category".into(), is: toys.clone(), by };
    let rules = Rules {
        drop: if coin(2) { vec!["bought".into()] } else { vec![] },
        require: if coin(2) { vec![Require { attribute: "stock".into(), is: Is::Positive }] } else { vec![] },
        at_most: if coin(2) { vec![Cap { attribute: "category".into(), most: 2 }] } else { vec![] },
        boost: if coin(2) { vec![boost(0.3), boost(-0.1)] } else { vec![] },
        pin: if coin(2) { vec![Pin { item: "i3".into(), place: 2 }] } else { vec![] },
        min_score: coin(3).then_some(0.2),
    };
    let popular = |by: Option<&str>, at: Option<&str>| Fallback {
        path: "popular".into(),
        own: false,
        by: by.map(Into::into),
        at: at.map(Into::into),
    };
    let fallback = if coin(3) { vec![] } else { vec![popular(Some("country"), None), popular(None, Some("all"))] };
    let model = coin(4).then(|| "clicks".to_owned());
    let own_kind = coin(2);
    Recommendation {
        name: "home".into(),
        own_kind,
        from,
        model,
        rules,
        fallback,
        number: 10,
        ..Recommendation::default()
    }
}

/// The items of the answer by the definition: who is shown, with its units.
fn naive(shop: &Maps, spec: &Recommendation, request: &Request<'_>) -> Vec<(Arc<str>, i64)> {
    let shares: f64 = spec.from.iter().map(|from| from.share).sum();
    let mut parts: BTreeMap<Arc<str>, BTreeMap<usize, f64>> = BTreeMap::new();
    for (path, from) in spec.from.iter().enumerate() {
        let starts: Vec<&str> = match from.start {
            Start::Subject => vec![request.subject],
            Start::Seen => request.seen.iter().map(|item| &**item).collect(),
        };
        let mut sums: BTreeMap<Arc<str>, f64> = BTreeMap::new();
        for start in starts {
            for found in shop.candidates(&from.path, start, from.candidates) {
                *sums.entry(text(found.item.0 as usize)).or_default() += found.score;
            }
        }
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by(|a, b| b.1.total_cmp(&a.1));
        sums.truncate(from.candidates);
        let highest = sums.first().map_or(1.0, |(_, score)| *score);
        for (item, score) in sums {
            parts.entry(item).or_default().insert(path, from.share / shares * (score / highest));
        }
    }
    if let Some(wanted) = request.candidates {
        parts.retain(|item, _| wanted.contains(item));
        for item in wanted {
            parts.entry(Arc::clone(item)).or_default();
        }
    }
    let units = |number: f64| (number * UNIT).round() as i64;
    let score = |item: &Arc<str>, parts: &BTreeMap<usize, f64>| {
        let base = match &spec.model {
            Some(model) => shop.rank(model, request, &[shop.number(item)])[0],
            None => parts.values().map(|part| units(*part)).sum(),
        };
        let holds = |boost: &&Boost| boost.is.holds(&shop.item_attribute(shop.number(item), &boost.attribute));
        base + spec.rules.boost.iter().filter(holds).map(|boost| units(boost.by)).sum::<i64>()
    };
    let scores: BTreeMap<Arc<str>, i64> =
        parts.iter().map(|(item, parts)| (Arc::clone(item), score(item, parts))).collect();
    let admits = |item: &str| {
        let is_itself = spec.own_kind && request.subject == item;
        !is_itself
            && !request.seen.iter().any(|seen| **seen == *item)
            && !spec
                .rules
                .drop
                .iter()
                .any(|relation| shop.related(relation, request.subject).contains(&shop.number(item)))
            && spec
                .rules
                .require
                .iter()
                .all(|require| require.is.holds(&shop.item_attribute(shop.number(item), &require.attribute)))
            && request
                .filters
                .iter()
                .all(|(attribute, is)| is.holds(&shop.item_attribute(shop.number(item), attribute)))
    };
    let mut order: Vec<(Arc<str>, i64)> = scores
        .iter()
        .filter(|(_, units_of)| spec.rules.min_score.is_none_or(|least| **units_of >= units(least)))
        .map(|(item, units)| (Arc::clone(item), *units))
        .collect();
    order.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    if request.candidates.is_none() {
        for fallback in &spec.fallback {
            let country = fallback.by.as_ref().and_then(|_| match shop.country.get(request.subject) {
                Some(Value::Text(country)) => Some(country.to_string()),
                _ => None,
            });
            let starts = country.into_iter().chain(fallback.at.clone());
            let found = starts.map(|start| shop.candidates(&fallback.path, &start, usize::MAX));
            let found = found.into_iter().find(|found| !found.is_empty()).unwrap_or_default().into_iter().rev();
            let found = found.map(|found| (text(found.item.0 as usize), units(found.score)));
            // What was scored too low stays out.
            let is_low = |item: &Arc<str>| {
                spec.rules.min_score.is_some_and(|least| scores.get(item).is_some_and(|&own| own < units(least)))
            };
            order.extend(found.filter(|(item, _)| !is_low(item)));
        }
    }
    let number = request.number.unwrap_or(spec.number);
    let mut list: Vec<Option<(Arc<str>, i64)>> = vec![None; number];
    let mut shown: Vec<Arc<str>> = Vec::new();
    let fits = |shown: &[Arc<str>], item: &str| {
        spec.rules.at_most.iter().all(|cap| match shop.item_attribute(shop.number(item), &cap.attribute) {
            Value::Null => true,
            value => {
                let alike = |other: &&Arc<str>| shop.item_attribute(shop.number(other), &cap.attribute) == value;
                shown.iter().filter(alike).count() < cap.most
            }
        })
    };
    for pin in &spec.rules.pin {
        let wanted = request.candidates.is_none() || scores.contains_key(pin.item.as_str());
        if wanted && admits(&pin.item) && pin.place <= number && fits(&shown, &pin.item) {
            list[pin.place - 1] = Some((pin.item.as_str().into(), scores.get(pin.item.as_str()).copied().unwrap_or(0)));
            shown.push(pin.item.as_str().into());
        }
    }
    for (item, units) in order {
        let free = list.iter().position(Option::is_none);
        if let Some(free) = free
            && admits(&item)
            && !shown.contains(&item)
            && fits(&shown, &item)
        {
            list[free] = Some((Arc::clone(&item), units));
            shown.push(item);
        }
    }
    list.into_iter().flatten().collect()
}

#[test]
fn answers_are_those_of_the_definition_and_explain_themselves() {
    let (mut ranked, mut filled) = (0, 0);
    for seed in 0..2_000 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (shop, spec) = (shop(&mut rng), spec(&mut rng));
        let seen = [text(1), text(2)];
        // Some of them are not known.
        let named: Vec<Arc<str>> = (0..ITEMS + 3).filter(|_| rng.random_range(0..3) == 0).map(text).collect();
        let filters = [("category".to_owned(), Is::Equal(Value::Text("tea".into())))];
        let request = Request {
            subject: ["ann", "ann", "i1", "nobody"][rng.random_range(0..4)],
            number: (rng.random_range(0..3) == 0).then(|| rng.random_range(0..6)),
            seen: &seen[..rng.random_range(0..3)],
            candidates: (rng.random_range(0..4) == 0).then_some(&named[..]),
            filters: &filters[..usize::from(rng.random_range(0..5) == 0)],
            attributes: &[],
        };
        let answer = recommend(&shop, &spec, &request);
        let found: Vec<_> = answer.items.iter().map(|item| (Arc::clone(&item.item), item.units)).collect();
        assert_eq!(found, naive(&shop, &spec, &request), "seed {seed}: {spec:?}");
        for shown in &answer.items {
            let (units, parts) = explain(&shop, &spec, &request, &shown.item).unwrap();
            assert_eq!(parts.iter().map(|part| part.units).sum::<i64>(), units, "seed {seed}");
            match shown.origin {
                Origin::Ranked => {
                    assert_eq!(units, shown.units, "seed {seed}, {}", shown.item);
                    ranked += 1;
                }
                Origin::Fallback(_) => filled += 1,
                Origin::Pinned => {}
            }
        }
    }
    assert!(ranked > 5_000 && filled > 1_000, "{ranked} items were ranked, {filled} filled up");
}

#[test]
fn who_is_not_known_gets_what_is_popular_where_the_question_says() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let shop = shop(&mut rng);
    let fallback = Fallback { path: "popular".into(), own: false, by: Some("country".into()), at: Some("all".into()) };
    let spec = Recommendation { fallback: vec![fallback], number: 3, ..Recommendation::default() };
    let first = |start: &str| {
        shop.candidates("popular", start, 3)
            .into_iter()
            .rev()
            .map(|found| text(found.item.0 as usize))
            .collect::<Vec<_>>()
    };
    let ask = |attributes: &[(String, Value)]| {
        let request = Request { subject: "nobody", attributes, ..Request::default() };
        recommend(&shop, &spec, &request).items.into_iter().map(|item| item.item).collect::<Vec<_>>()
    };
    assert_eq!(ask(&[]), first("all"));
    assert_eq!(ask(&[("country".into(), Value::Text("uk".into()))]), first("uk"));
    assert_eq!(ask(&[("country".into(), Value::Text("atlantis".into()))]), first("all"), "nothing is known of it");
}
