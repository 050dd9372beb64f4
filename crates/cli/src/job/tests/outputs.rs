//! `[paths.NAME] output`: what becomes of it, and what is said of a wrong one.

use super::*;
use std::time::Duration;

const VIEWS: &str = "CREATE TABLE orders (customer STRING, code STRING)
  WITH (source = 'orders', format = 'csv');
CREATE TABLE codes (code STRING, PRIMARY KEY (code) NOT ENFORCED) WITH (sink = 'redis', index = 'like');
INSERT INTO codes SELECT code FROM orders GROUP BY code;
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
[sinks.other]
kind = "index"
[relations.bought]
from = "SELECT customer AS subject, code AS object FROM orders"
subject = "customer"
object = "product"
"#;

#[test]
fn an_output_is_read() {
    let job = r#"
[paths.again]
hop = "bought"
output = true
[paths.few]
hop = "bought"
top = 7
output = { sink = "redis", every = "20ms" }
[paths.none]
hop = "bought"
output = false
"#;
    let folder = folder(&format!("{PARTS}{job}"), VIEWS);
    let plan = load(folder.path(), &overlay(&[])).unwrap_or_else(|problems| panic!("{problems}"));
    let every = Duration::from_secs(1);
    assert_eq!(plan.outputs["again"], OutputPlan { sink: None, n: 100, every, kept: Kept::Path });
    let every = Duration::from_millis(20);
    assert_eq!(plan.outputs["few"], OutputPlan { sink: Some("redis".into()), n: 7, every, kept: Kept::Path });
    assert_eq!(plan.outputs.len(), 2);
}

/// Who only asks needs no password, unless what is asked for is behind it.
#[test]
fn a_password_is_looked_up_where_lists_are_read() {
    let parts = PARTS.replace("[sinks.other]", "password_file = \"gone\"\n[sinks.other]");
    let ask = |lists| Overlay { without_inputs: true, lists, ..Overlay::default() };
    let with_lists = folder(&format!("{parts}[paths.few]\nhop = \"bought\"\noutput = {{ sink = \"redis\" }}\n"), VIEWS);
    load(with_lists.path(), &ask(false)).unwrap_or_else(|problems| panic!("{problems}"));
    let told = told(&with_lists, &ask(true));
    assert!(
        told.len() == 1 && told[0].starts_with("job.toml:10:17: sinks.redis.password_file: cannot read"),
        "{told:?}"
    );
    let without = folder(&format!("{parts}[paths.few]\nhop = \"bought\"\n"), VIEWS);
    load(without.path(), &ask(true)).unwrap_or_else(|problems| panic!("{problems}"));
}

#[test]
fn what_is_wrong_with_an_output_is_told() {
    let job = r#"
[paths.again]
hop = "bought"
output = { sink = "other", n = 0 }
[paths.few]
hop = "bought"
output = { sink = "reddis", often = true }
[paths.like]
hop = "bought"
output = { sink = "redis" }
[paths.most]
hop = "bought"
output = 5
"#;
    let told = told(&folder(&format!("{PARTS}{job}"), VIEWS), &Overlay::default());
    let told: Vec<&str> = told.iter().map(|problem| problem.split_once(": ").expect("a place").1).collect();
    let expected = [
        "paths.again.output.sink: sink \"other\" does not take lists; name a sink of kind redis, or leave this key out: then \
         lists are in the data folder",
        "paths.again.output.n: 0 is not a whole number of at least 1",
        "paths.few.output.sink: the job has no sink \"reddis\"; did you mean \"redis\"?",
        "paths.few.output.often: unknown key; known here: \"sink\", \"n\" or \"every\"",
        "paths.like.output: table codes writes to \"like\" of this sink as well; give the table another index = '…'",
        "paths.most.output: 5 is not true or false",
    ];
    assert_eq!(told, expected);
}
