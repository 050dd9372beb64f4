//! `[recommendations.NAME] output`: what is kept for it, and what is said of a wrong one.

use super::*;
use proxima_graph::{Direction, KindId, RelationId};
use std::time::Duration;

const VIEWS: &str = "CREATE TABLE orders (customer STRING, code STRING, country STRING)
  WITH (source = 'orders', format = 'csv');
";

const PARTS: &str = r#"
[job]
name = "shop"
[sources.orders]
kind = "file"
path = "orders"
[sinks.redis]
kind = "redis"
addresses = ["127.0.0.1:6379"]
[sinks.second]
kind = "redis"
addresses = ["127.0.0.1:6379"]
[objects.customer]
from = "SELECT customer AS id, country FROM orders"
[relations.bought]
from = "SELECT customer AS subject, code AS object FROM orders"
subject = "customer"
object = "product"
[relations.sold_in]
from = "SELECT code AS subject, country AS object FROM orders"
subject = "product"
object = "country"
[paths.again]
hop = "bought"
[paths.few]
hop = "bought"
top = 7
[paths.popular]
hop = "sold_in"
reverse = true
[paths.kept]
hop = "bought"
output = { sink = "redis", n = 50, every = "2s" }
"#;

#[test]
fn what_a_recommendation_is_made_of_is_kept() {
    let job = r#"
[recommendations.home]
from = { again = 1, few = 1 }
drop = ["bought"]
fallback = ["popular"]
begin = { country = "DE" }
number = 60
output = { sink = "redis", every = "100ms" }
[recommendations.short]
from = { kept = 1, again = 1 }
candidates = 50
output = { sink = "redis" }
"#;
    let folder = folder(&format!("{PARTS}{job}"), VIEWS);
    let plan = load(folder.path(), &overlay(&[])).unwrap_or_else(|problems| panic!("{problems}"));
    let output = |n, every_ms, kept| {
        let every = Duration::from_millis(every_ms);
        OutputPlan { sink: Some("redis".to_owned()), n, every, kept }
    };
    let expected = [
        ("again", output(200, 100, Kept::Path)),
        ("attributes.customer", output(usize::MAX, 100, Kept::Attributes(KindId(0)))),
        ("few", output(7, 100, Kept::Path)),
        ("kept", output(50, 1_000, Kept::Path)),
        ("popular", output(240, 100, Kept::Path)),
        ("related.bought", output(usize::MAX, 100, Kept::Related(RelationId(0), Direction::Forward))),
    ];
    let expected: Vec<_> = expected.into_iter().map(|(name, output)| (name.to_owned(), output)).collect();
    assert_eq!(plan.outputs.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn what_cannot_be_kept_is_told() {
    let job = r#"
[paths.mine]
hop = "bought"
output = true
[recommendations.long]
from = { kept = 1 }
output = { sink = "redis" }
[recommendations.other]
from = { again = 1 }
output = { sink = "second" }
[recommendations.nowhere]
from = { again = 1 }
output = { every = "1s" }
[recommendations.here]
from = { mine = 1 }
output = { sink = "redis" }
"#;
    let told = told(&folder(&format!("{PARTS}{job}"), VIEWS), &Overlay::default());
    let told: Vec<&str> = told.iter().map(|problem| problem.split_once(": ").expect("a place").1).collect();
    let expected = [
        "recommendations.long.output: lists of path \"kept\" are shorter than the 200 candidates that are asked for; write \
         n = 200 there, or leave n out",
        "recommendations.other.output.sink: other recommendations are kept in \"redis\"; one process answers them all: name \
         the same sink",
        "recommendations.nowhere.output.sink: this key is missing; name a sink of kind redis: output = { sink = \"lists\" }",
        "recommendations.here.output: the lists of path \"mine\" are kept elsewhere; write output = { sink = \"redis\" } \
         there, or leave it out",
    ];
    assert_eq!(told, expected);
}
