//! Models in the job file: what is made of their keys, and what is said of wrong ones.

use super::*;
use proxima_model::LearnerSpec;

#[test]
fn a_model_is_read_with_its_features() {
    let model = r#"
[models.next]
from = "SELECT code, description, char_length(customer) AS length, customer = 'ann' AS ann FROM orders"
label = "ann"
order = "code"
learner = "ftrl"
l1 = 2
hash_bits = 12
[models.next.features.code]
kind = "category"
[models.next.features.length]
kind = "buckets"
bounds = [1, 2.5]
missing = 0
[models.next.features.both]
kind = "cross"
of = ["code", "length"]
"#;
    let folder = folder(&format!("{GOOD}{model}"), VIEWS);
    let set = overlay(&["models.next.batch=5"]);
    let plan = load(folder.path(), &set).unwrap_or_else(|problems| panic!("{problems}"));
    let model = &plan.models["next"];
    assert_eq!((model.label.as_str(), model.batch, model.slots(), model.wait_us), ("ann", 5, 4096, None));
    assert_eq!(model.learner, LearnerSpec::Ftrl { rate: 0.15, beta: 0.1, l1: 2.0, l2: 0.0 });
    assert_eq!(model.features.len(), 3);
}

#[test]
fn what_is_wrong_with_a_model_is_told() {
    let model = r#"
[models.next]
from = "SELECT code, description FROM orders"
label = "code"
time = "at"
wait = "1 minute"
learner = "sgd"
rate = -1
beta = 1
hash_bits = 40
[models.next.features.code]
kind = "number"
[models.next.features.description]
kind = "category"
missing = 5
[models.next.features.length]
kind = "buckets"
bounds = [2, 1]
[models.none]
from = "SELECT code FROM orders"
label = "code"
[models.late]
from = "SELECT description, 1 AS one FROM orders"
label = "one"
wait = "1s"
[models.late.features.one]
kind = "sparse"
"#;
    let told = told(&folder(&format!("{GOOD}{model}"), VIEWS), &overlay(&[]));
    let has = |text: &str| assert!(told.iter().any(|line| line.contains(text)), "{text} is not in {told:#?}");
    has("models.next.rate: -1 is not a number above 0");
    has("models.next.beta: learner \"sgd\" has no beta");
    has("models.next.hash_bits: 40 bits are too many; write 1 to 28; the default is 18");
    has("models.next.features.description.missing: \"5\" cannot stand for NULL");
    has("models.next.features.length.bounds: the bounds do not rise");
    has("models.none.features: the model has no features");
    has("models.late.wait: a sample that waits needs a time");
    has("models.late.features.one.column: column \"one\" is Int64, not text");
}
