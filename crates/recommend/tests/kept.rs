//! Answers are kept while nothing changes, and only those that would be the same again.

use proxima_graph::{Attribute, AttributeKind, ObjectId, Value, Version};
use proxima_recommend::{
    AskError, Candidate, Feed, Is, Recommendation, Recommender, Request, Service, Shop, Split, Start,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// A shop of one item, whose score is how often it was asked.
#[derive(Default)]
struct Counting {
    asked: AtomicU64,
    at_rest: Mutex<Option<Version>>,
}

impl Shop for Counting {
    fn item(&self, _text: &str) -> Option<ObjectId> {
        Some(ObjectId(1))
    }

    fn text(&self, _item: ObjectId) -> Option<Arc<str>> {
        Some(self.asked.load(Relaxed).to_string().into())
    }

    fn candidates(&self, _path: &str, _start: &str, _n: usize) -> Vec<Candidate> {
        self.asked.fetch_add(1, Relaxed);
        vec![Candidate { item: ObjectId(1), score: 1.0 }]
    }

    fn related(&self, _relation: &str, _subject: &str) -> Vec<ObjectId> {
        Vec::new()
    }

    fn subject_attribute(&self, _subject: &str, _attribute: &str) -> Value {
        Value::Null
    }

    fn item_attribute(&self, _item: ObjectId, _attribute: &str) -> Value {
        Value::Int(1)
    }

    fn at_rest(&self) -> Option<Version> {
        *self.at_rest.lock().expect("nobody panics with it")
    }

    fn rank(&self, _model: &str, _request: &Request<'_>, items: &[ObjectId]) -> Vec<i64> {
        self.asked.fetch_add(1, Relaxed);
        vec![0; items.len()]
    }

    fn rank_parts(&self, _model: &str, _request: &Request<'_>, _item: ObjectId) -> Vec<(String, i64)> {
        Vec::new()
    }
}

/// The recommendations `one`, `two` and, by a model, `ranked`; and the split `daily`, which deals everybody to `one`.
fn service(shop: &Arc<Counting>) -> Service {
    struct Shared(Arc<Counting>);
    impl proxima_recommend::Asks for Shared {
        fn ask(&self, work: &mut dyn FnMut(&dyn Shop)) -> Result<(), proxima_event::StoreError> {
            work(&*self.0);
            Ok(())
        }

        fn at_rest(&self) -> Option<Version> {
            Shop::at_rest(&*self.0)
        }
    }
    let recommender = |name: &str, model: Option<&str>| {
        let from = vec![Feed { path: "p".into(), start: Start::Subject, share: 1.0, candidates: 10 }];
        let model = model.map(str::to_owned);
        let attribute = |name: &str, kind| vec![Attribute { name: name.to_owned(), kind }];
        let item_attributes = attribute("price", AttributeKind::Float);
        let subject_attributes = attribute("country", AttributeKind::Text);
        let spec = Recommendation {
            name: name.into(),
            from,
            model,
            number: 10,
            item_attributes,
            subject_attributes,
            ..Recommendation::default()
        };
        (name.to_owned(), Recommender { spec, shop: Arc::new(Shared(Arc::clone(shop))) })
    };
    let all = [recommender("one", None), recommender("two", None), recommender("ranked", Some("m"))];
    let split = Split::new("daily", vec![("one".into(), 1.0), ("two".into(), 0.0)]).expect("some share is above zero");
    Service::new(BTreeMap::from(all), BTreeMap::from([("daily".to_owned(), split)]))
}

#[test]
fn an_answer_is_given_again_until_something_changes() {
    let shop = Arc::new(Counting::default());
    let service = service(&shop);
    let ask = |name: &str, request: Request<'_>| {
        let before = shop.asked.load(Relaxed);
        let found = service.recommend(name, &request).unwrap();
        (found.variant.clone(), shop.asked.load(Relaxed) > before)
    };
    let plain = Request { subject: "ann", ..Request::default() };
    let (made, again) = (|variant: &str| (variant.to_owned(), true), |variant: &str| (variant.to_owned(), false));
    assert_eq!([ask("daily", plain), ask("daily", plain)], [made("one"), made("one")], "all may change");

    let version = Version { changes: 1, forgotten: 0 };
    *shop.at_rest.lock().unwrap() = Some(version);
    assert_eq!([ask("daily", plain), ask("daily", plain)], [made("one"), again("one")]);
    for other in [
        Request { subject: "bob", ..plain },
        Request { number: Some(3), ..plain },
        Request { seen: &["x".into()], ..plain },
        Request { candidates: Some(&["x".into()]), ..plain },
        Request { filters: &[("price".into(), Is::Positive)], ..plain },
        Request { attributes: &[("country".into(), Value::Text("uk".into()))], ..plain },
    ] {
        assert_eq!(ask("daily", other), made("one"), "{other:?}");
    }
    for (other, reason) in [
        (
            Request { filters: &[("prize".into(), Is::Positive)], ..plain },
            "no attribute \"prize\" of items; there are: price",
        ),
        (
            Request { attributes: &[("county".into(), Value::Int(1))], ..plain },
            "no attribute \"county\" of the object; there are: country",
        ),
        (
            Request { filters: &[("price".into(), Is::Equal(Value::Text("5".into())))], ..plain },
            "attribute \"price\" of items is a number",
        ),
        (
            Request { attributes: &[("country".into(), Value::Int(1))], ..plain },
            "attribute \"country\" of the object is a text",
        ),
    ] {
        let refused = service.recommend("daily", &other).unwrap_err();
        assert!(matches!(&refused, AskError::Refused(told) if told == reason), "{refused:?}");
    }
    assert_eq!(
        [ask("one", plain), ask("ranked", plain), ask("ranked", plain)],
        [made("one"), made("ranked"), made("ranked")]
    );

    service.switch("daily", &[("two".into(), 1.0)]).unwrap();
    assert_eq!([ask("daily", plain), ask("daily", plain)], [made("two"), again("two")], "shares were changed");

    *shop.at_rest.lock().unwrap() = Some(Version { changes: 2, ..version });
    assert_eq!([ask("daily", plain), ask("daily", plain)], [made("two"), again("two")], "the graph has changed");
}
