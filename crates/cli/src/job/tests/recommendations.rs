//! Recommendations of whole jobs: what a good one becomes, and what is said of bad ones.

use super::*;
use proxima_graph::Value;
use proxima_recommend::{Is, Start};

const VIEWS: &str = "CREATE TABLE orders (customer STRING, code STRING, price DOUBLE, country STRING)
  WITH (source = 'orders', format = 'csv');
";

const PARTS: &str = r#"
[job]
name = "shop"
[sources.orders]
kind = "file"
path = "orders"
[objects.customer]
from = "SELECT customer AS id, max(country) AS country FROM orders GROUP BY customer"
[objects.product]
from = "SELECT code AS id, max(price) AS price, max(country) AS origin FROM orders GROUP BY code"
[relations.bought]
from = "SELECT customer AS subject, code AS object FROM orders"
subject = "customer"
object = "product"
[relations.sells]
from = "SELECT country AS subject, code AS object FROM orders"
subject = "country"
object = "product"
[paths.again]
hop = "bought"
[paths.like]
left = { hop = "bought", reverse = true }
right = { hop = "bought" }
merger = "cosine"
[paths.popular]
hop = "sells"
"#;

#[test]
fn a_recommendation_is_read() {
    let job = r#"
[recommendations.home]
from = { again = 2, like = 1 }
drop = ["bought"]
require = "price"
at_most = { price = 2 }
pin = { a = 1 }
fallback = ["popular", "again"]
begin = { country = "uk" }
[recommendations.home.bury.dear]
attribute = "price"
is = 5
by = 0.5
[recommendations.home.bury.number]
attribute = "origin"
is = "22"
by = 0.5
[recommendations.start]
split = { home = 1 }
"#;
    let folder = folder(&format!("{PARTS}{job}"), VIEWS);
    let set = overlay(&["recommendations.home.number=7"]);
    let plan = load(folder.path(), &set).unwrap_or_else(|problems| panic!("{problems}"));
    let home = &plan.recommendations.plain["home"];
    assert_eq!(plan.catalogue[home.subject].name, "customer");
    assert_eq!((home.spec.number, home.spec.from.len(), home.spec.rules.pin[0].place), (7, 2, 1));
    assert_eq!(home.spec.from.iter().map(|from| from.start).collect::<Vec<_>>(), [Start::Subject, Start::Seen]);
    let boost = &home.spec.rules.boost[0];
    assert_eq!((boost.is.clone(), boost.by), (Is::Equal(Value::Int(5)), -0.5));
    let text = Is::Equal(Value::Text("22".into()));
    assert_eq!(home.spec.rules.boost[1].is, text, "a text that looks like a number is one where texts are");
    let fallback = &home.spec.fallback;
    assert_eq!((fallback[0].by.as_deref(), fallback[0].at.as_deref()), (Some("country"), Some("uk")));
    assert!(fallback[1].own && !fallback[0].own);
    assert_eq!(plan.recommendations.splits["start"].of("ann"), "home");
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
}

#[test]
fn pins_go_by_their_places_and_conditions_by_types() {
    let job = r#"
[recommendations.home]
from = { again = 1 }
pin = { a = 2, b = 1 }
"#;
    let plan = load(folder(&format!("{PARTS}{job}"), VIEWS).path(), &overlay(&[]));
    let plan = plan.unwrap_or_else(|problems| panic!("{problems}"));
    let pins = &plan.recommendations.plain["home"].spec.rules.pin;
    assert_eq!(pins.iter().map(|pin| (pin.item.as_str(), pin.place)).collect::<Vec<_>>(), [("b", 1), ("a", 2)]);

    let job = r#"
[recommendations.home]
from = { again = 1 }
number = 1001
require = ["origin"]
[recommendations.home.boost.far]
attribute = "origin"
at_least = 3
by = 0.5
[recommendations.home.bury.odd]
attribute = "price"
is = "odd"
by = 0.5
"#;
    let told = told(&folder(&format!("{PARTS}{job}"), VIEWS), &overlay(&[]));
    let has = |text: &str| assert!(told.iter().any(|line| line.contains(text)), "{text} is not in {told:#?}");
    has("recommendations.home.number: 1001 items are too many; write 1 to 1000");
    has("recommendations.home.require: attribute \"origin\" is neither a number nor true or false: it has to be true");
    has("recommendations.home.boost.far.attribute: attribute \"origin\" is a text: this never holds");
    has("recommendations.home.bury.odd.attribute: attribute \"price\" is a number: this never holds");
}

#[test]
fn what_is_wrong_with_a_recommendation_is_told() {
    let job = r#"
[recommendations.home]
from = { again = 2, popular = 1 }
model = "clicks"
drop = ["bougth"]
require = ["stock"]
at_most = { price = 0.5 }
fallback = ["popular", "none"]
min_scor = 1
pin = { a = 1, b = 1 }
[recommendations.home.boost.cheap]
attribute = "price"
[recommendations.none]
from = { agian = 1 }
[recommendations.empty]
from = { }
[recommendations.basket]
to = "custmer"
from = { like = -1, again = 1 }
[recommendations.start]
split = { home = -1, hoem = 1 }
"#;
    let told = told(&folder(&format!("{PARTS}{job}"), VIEWS), &overlay(&[]));
    let has = |text: &str| assert!(told.iter().any(|line| line.contains(text)), "{text} is not in {told:#?}");
    has("recommendations.home.from: path \"popular\" leads from country to product; all paths lead to product");
    has("recommendations.home.model: the job has no model \"clicks\"");
    has("recommendations.home.drop: no relation \"bougth\" leads from customer to product; did you mean \"bought\"?");
    has("recommendations.home.require: product has no attribute \"stock\"");
    has("recommendations.home.at_most: 0.5 does not fit; write a whole number of at least 0");
    has("recommendations.home.fallback: no path of hops and jumps \"none\" leads to product");
    has("recommendations.home.min_scor: unknown key; did you mean \"min_score\"?");
    has("recommendations.home.pin: \"a\" and \"b\" are both pinned to place 1; give each a place of its own");
    has("recommendations.home.boost.cheap.by: there is nothing to add");
    has("recommendations.none.from: the job has no path of hops and jumps \"agian\"; did you mean \"again\"?");
    has("recommendations.empty.from: no path is named; write from = { PATH = 1 }");
    has("recommendations.basket.to: the job has no kind of objects \"custmer\"; did you mean \"customer\"?");
    has("recommendations.basket.from: the share of \"like\" is -1; a share is a number above 0");
    has("recommendations.start.split: the job has no recommendation \"hoem\" that is no split; did you mean \"home\"?");
    has("recommendations.start.split: these are no shares");
}

/// What is wrong in one place hides nothing elsewhere, and what depends on it is not blamed.
#[test]
fn everything_is_told_at_once() {
    let job = r#"
[objects.country]
from = "SELECT contry AS id, country AS name FROM orders"
[relations.sells_at]
from = "SELECT country AS subject, code AS object, prize AS weight FROM orders"
subject = "country"
object = "product"
[paths.sold_at]
hop = "sells_at"
[paths.over_it]
left = "again"
right = { hop = "sells_at", reverse = true }
merger = "sum"
[paths.lost]
hop = "bougth"
[paths.odd]
hop = "bought"
decay = "slow"
[recommendations.home]
from = { again = 2, lost = 1, odd = 1 }
require = ["stock"]
fallback = ["popular", "sold_at"]
begin = { country = "uk" }
[recommendations.where]
to = "customer"
from = { over_it = 1 }
require = ["flag"]
[recommendations.pages]
from = { like = 1 }
fallback = ["popular"]
begin = { county = "uk", country = "uk" }
[judges.where]
by = "bought"
[queries.sales]
index = "sales"
body = "{}"
"#;
    let views = "CREATE TABLE sales (code STRING, n BIGINT, PRIMARY KEY (code) NOT ENFORCED) WITH (sink = 'index');
INSERT INTO sales SELECT cod, count(*) FROM orders GROUP BY code;
";
    let sinks = "[sinks.index]\nkind = \"index\"\n";
    let told = told(&folder(&format!("{PARTS}{sinks}{job}"), &format!("{VIEWS}{views}")), &overlay(&[]));
    assert_eq!(
        told,
        [
            "job.toml:31:16: objects.country.from: there is no column contry; did you mean orders.country?",
            "job.toml:33:52: relations.sells_at.from: there is no column prize; did you mean orders.price?",
            "job.toml:43:7: paths.lost.hop: there is no relation \"bougth\"; relations here: bought, sells, sells_at",
            "job.toml:46:9: paths.odd.decay: \"slow\" is not a number",
            "job.toml:49:11: recommendations.home.require: product has no attribute \"stock\"; known here: \"price\" or \"origin\"",
            "job.toml:59:20: recommendations.pages.begin.county: no fallback path begins at \"county\"; did you mean \"country\"?",
            "views.sql:4:26: there is no column cod; did you mean orders.code?",
        ]
    );
}

#[test]
fn keys_of_paths_that_mean_nothing_there_are_told() {
    let job = r#"
[paths.odd]
left = { hop = "bought", select = { seed = 5 } }
right = { hop = "bought", reverse = true }
merger = { kind = "cosine", alpha = 2, recent = 4 }
"#;
    let told = told(&folder(&format!("{PARTS}{job}"), VIEWS), &overlay(&[]));
    let has = |text: &str| assert!(told.iter().any(|line| line.contains(text)), "{text} is not in {told:#?}");
    has("paths.odd.left.select.seed: a seed without a sample; add sample = n, or leave the seed out");
    has("paths.odd.merger.alpha: unknown key");
    has("paths.odd.merger.recent: unknown key");
}

/// They were told only by the run.
#[test]
fn features_that_are_no_attributes_are_told() {
    let more = r#"
[models.clicks]
from = "SELECT 1 AS clicked, price, code, country AS town, country FROM orders"
label = "clicked"
[models.clicks.features]
price = { kind = "number" }
code = { kind = "category" }
town = { kind = "category" }
country = { kind = "category" }
[recommendations.home]
from = { again = 1 }
model = "clicks"
[recommendations.like]
from = { like = 1 }
to = "product"
model = "clicks"
"#;
    let told = told(&folder(&format!("{PARTS}{more}"), VIEWS), &Overlay::default());
    let line = |place: &str, name: &str, column: &str, of: &str| {
        format!(
            "job.toml:{place}: recommendations.{name}.model: model \"clicks\": a feature reads \"{column}\", which is no \
             attribute of {of}; select it in the query of the objects, or leave the feature out"
        )
    };
    let both = "product or customer";
    assert_eq!(
        told,
        [
            line("38:9", "home", "code", both),
            line("38:9", "home", "town", both),
            line("42:9", "like", "code", "product"),
            line("42:9", "like", "country", "product"),
            line("42:9", "like", "town", "product"),
        ]
    );
}

#[test]
fn judges_that_do_not_fit_are_told() {
    let more = r#"
[recommendations.start]
from = { again = 1 }
[judges.start]
by = "sells"
[judges.stop]
by = "bought"
[judges.home]
by = "seen"
"#;
    let told = told(&folder(&format!("{PARTS}{more}"), VIEWS), &Overlay::default());
    assert_eq!(
        told,
        [
            "job.toml:31:6: judges.start.by: relation \"sells\" leads from country to product; name one from customer to \
             product",
            "job.toml:32:9: judges.stop: there is no recommendation \"stop\"; known here: \"start\"",
            "job.toml:35:6: judges.home.by: there is no relation \"seen\"; known here: \"bought\" or \"sells\"",
        ]
    );
}
