//! Whole jobs: what a good one becomes, and what is said of bad ones.

mod connectors;
mod kept;
mod models;
mod outputs;
mod recommendations;

use super::*;
use proxima_graph::{HOT_ABOVE, KindId, Merger, PathKind};
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

const GOOD: &str = r#"
[job]
name = "retail"
zone = "Europe/London"
[epoch]
interval = "20ms"
[sources.orders]
kind = "file"
path = "orders"
[sinks.index]
kind = "index"
[relations.bought]
from = "SELECT customer AS subject, code AS object FROM orders"
[objects.product]
from = "SELECT code AS id, description FROM orders"
[paths.together]
kind = "pairs"
relation = "bought"
merger = "cosine"
object = "product"
"#;

/// The job with its path as a jump.
fn walked() -> String {
    let pairs = "kind = \"pairs\"\nrelation = \"bought\"\nmerger = \"cosine\"\nobject = \"product\"\n";
    assert!(GOOD.contains(pairs));
    let jump =
        "left = { hop = \"bought\", reverse = true }\nright = { hop = \"bought\" }\nmerger = \"cosine\"\ntop = 9\n";
    GOOD.replace(pairs, jump)
}

const VIEWS: &str = "CREATE TABLE orders (customer STRING, code STRING, description STRING)
  WITH (source = 'orders', format = 'csv');
CREATE TABLE codes (code STRING, PRIMARY KEY (code) NOT ENFORCED) WITH (sink = 'index');
INSERT INTO codes SELECT DISTINCT code FROM orders;
";

fn folder(job: &str, views: &str) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("job.toml"), job).expect("written");
    fs::write(folder.path().join("views.sql"), views).expect("written");
    fs::create_dir(folder.path().join("orders")).expect("made");
    folder
}

fn overlay(set: &[&str]) -> Overlay {
    Overlay { set: set.iter().map(|&text| text.to_owned()).collect(), ..Overlay::default() }
}

/// The problems of a job as lines, with the folder's own name taken out.
fn told(folder: &TempDir, overlay: &Overlay) -> Vec<String> {
    let problems = load(folder.path(), overlay).expect_err("the job is bad");
    let root = format!("{}/", folder.path().display());
    problems.to_string().lines().map(|line| line.replace(&root, "")).collect()
}

#[test]
fn a_good_job_leaves_nothing_to_guess() {
    let folder = folder(GOOD, VIEWS);
    let plan = load(folder.path(), &Overlay::default()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(plan.name, "retail");
    assert_eq!(plan.zone, chrono_tz::Europe::London);
    assert_eq!(plan.epoch, EpochPlan { interval: Duration::from_millis(20), records: 262_144, lag: 4 });
    let orders = SourcePlan::File { path: folder.path().join("orders"), follow: false };
    assert_eq!(plan.sources["orders"], orders);
    assert_eq!(plan.sinks["index"], SinkKind::Index);
    assert_eq!(plan.relations["bought"].query, "relations.bought");
    let kinds: Vec<&str> = plan.catalogue.kinds.iter().map(|kind| kind.name.as_str()).collect();
    assert_eq!(kinds, ["product", "bought.subject", "bought.object"]);
    assert_eq!(plan.catalogue.kinds[0].attributes[0].name, "description");
    assert_eq!(
        plan.paths["together"],
        PathPlan {
            kind: PathKind::Pairs,
            relation: "bought".into(),
            merger: Merger::Cosine,
            object: Some("product".into()),
            publish: Duration::from_secs(1),
            hot_above: HOT_ABOVE,
        }
    );
    assert_eq!(plan.rejected_keep, 100_000);
    assert_eq!(plan.http, HttpPlan::default());
    assert_eq!(plan.warnings, []);
}

#[test]
fn every_problem_is_told_at_once() {
    let bad = r#"
[job]
name = "my job"
zone = "Europe/Londn"
colour = "red"
[epoch]
interval = "soon"
records = 0
lag = 1
[sources.orders]
kind = "file"
paht = "orders"
[sources.clicks]
kind = "carrier-pigeon"
coop = 7
[sources.lines]
kind = "file"
path = "nowhere/*.csv"
follow = "yes"
[sinks.index]
kind = "indexx"
[relations.bought]
form = "SELECT 1"
[paths.together]
kind = "pairs"
relation = "bougt"
object = "product"
[paths."a b"]
kind = "pairs"
relation = "bought"
[rejected]
keep = -1
[http]
listen = "8080"
body_limit = "1 Mouse"
[htpp]
"#;
    let told = told(&folder(bad, VIEWS), &Overlay::default());
    let expected = [
        r#"job.toml:3:8: job.name: "my job" is no name; use letters, digits, _ and -, at most 64 of them"#,
        r#"job.toml:4:8: job.zone: unknown time zone "Europe/Londn"; did you mean "Europe/London"?"#,
        r#"job.toml:5:1: job.colour: unknown key; known here: "name" or "zone""#,
        r#"job.toml:7:12: epoch.interval: "soon" is not a duration such as "50ms", "1s" or "7 days""#,
        "job.toml:8:11: epoch.records: 0 is not a whole number of at least 1",
        "job.toml:9:7: epoch.lag: 1 is not a whole number of at least 2",
        "job.toml:10:10: sources.orders.path: this key is missing; name a file, a folder or a glob",
        r#"job.toml:12:1: sources.orders.paht: unknown key; did you mean "path"?"#,
        r#"job.toml:14:8: sources.clicks.kind: unknown kind "carrier-pigeon"; known here: "file", "kafka" or "http""#,
        "job.toml:18:8: sources.lines.path: there is no file nowhere/*.csv; name a file, a folder or a glob, relative to \
         the file this is written in",
        r#"job.toml:19:10: sources.lines.follow: "yes" is not true or false"#,
        r#"job.toml:21:8: sinks.index.kind: unknown kind "indexx"; did you mean "index"?"#,
        "job.toml:22:12: relations.bought.from: this key is missing; write from = \"SELECT … AS subject, … AS object \
         FROM …\"",
        r#"job.toml:23:1: relations.bought.form: unknown key; did you mean "from"?"#,
        r#"job.toml:26:12: paths.together.relation: the job has no relation "bougt"; did you mean "bought"?"#,
        r#"job.toml:27:10: paths.together.object: the job has no object "product"; there is none here"#,
        r#"job.toml:28:8: paths.a b: "a b" is no name; use letters, digits, _ and -, at most 64 of them"#,
        "job.toml:32:8: rejected.keep: -1 is not a whole number of at least 0",
        r#"job.toml:34:10: http.listen: "8080" is not an address; write host:port, such as "127.0.0.1:8080""#,
        r#"job.toml:35:14: http.body_limit: "1 Mouse" is not a size such as "64 KiB" or "1 MiB""#,
        r#"job.toml:36:2: htpp: unknown key; did you mean "http"?"#,
    ];
    let told: Vec<_> = told.iter().filter(|line| line.starts_with("job.toml")).collect();
    assert_eq!(told, expected);
}

const WALKS: &str = r#"
[relations.viewed]
from = "SELECT customer AS subject, code AS object, description AS action FROM orders"
subject = "user"
object = "product"
[paths.recent]
hop = "viewed"
decay = 0.9
select = { scores = { view = 1, buy = 5.5 }, by = "action", top = 50 }
[paths.also]
left = { hop = "viewed", reverse = true, select = { sql = "weight * 2" } }
right = { hop = "viewed" }
merger = { kind = "swing", alpha = 0.5 }
idf = true
[paths.for_you]
left = "recent"
right = "also"
merger = "sum"
top = 20
"#;

#[test]
fn paths_of_hops_and_jumps_become_a_plan() {
    let job = format!("{GOOD}{}", WALKS.replace("\"weight * 2\"", "\"weight * 2\", sample = 100"));
    let plan = load(folder(&job, VIEWS).path(), &Overlay::default()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(plan.warnings, []);
    let described = plan.walks.get("for_you").expect("it is there").describe(&plan.catalogue);
    let expected = "\
for_you: user -> product, jump by sum; top 20
  requested: a part is more than one hop
  left  recent: user -> product, hop viewed; scores by action; top 50; decay 0.9
  right also: product -> product, jump by swing (alpha 0.5, weighed true); idf
    requested: merger \"swing\" is no sum over the objects in the middle
    left  product -> user, hop viewed, reverse; score CAST(weight * 2 AS Float64); sample of 100, seed 0
    right user -> product, hop viewed
";
    assert_eq!(described, expected);
}

#[test]
fn everything_that_is_wrong_with_paths_is_told_where_it_stands() {
    let bad = r#"
[paths.a]
hop = "seen"
[paths.b]
left = { hop = "viewed", select = { recent = 5, scores = { view = 1 }, by = "act" } }
right = "nowhere"
merger = "sum"
[paths.c]
left = { hop = "viewed", reverse = true, select = { sql = "wait" } }
right = "recent"
merger = { sql = "dot * 2" }
"#;
    let plain = told(&folder(&format!("{GOOD}{WALKS}{bad}"), VIEWS), &Overlay::default());
    let advice = "relations here: bought, viewed";
    let expected = [
        "job.toml:33:1: paths.also.merger: \"swing\" looks at all pairs of objects in the middle, and their number has \
         no bound; give left a recent, top or sample of at most 2000",
        &format!("job.toml:42:7: paths.a.hop: there is no relation \"seen\"; {advice}"),
        "job.toml:44:77: paths.b.left.select.by: relation \"viewed\" has no attribute \"act\"; attributes here: action",
        "job.toml:44:46: paths.b.left.select.recent: relation \"viewed\" has no times; add a column time of type \
         TIMESTAMP to its query",
        "job.toml:45:9: paths.b.right: there is no path \"nowhere\"; paths here: a, also, b, c, for_you, recent",
    ];
    for line in expected {
        assert!(plain.iter().any(|told| told == line), "{line}\n{plain:#?}");
    }
    assert!(plain.iter().any(|told| told.contains("paths.c.left.select.sql: ") && told.contains("wait")), "{plain:#?}");
    let misread = "[paths.d]\nhop = 7\nselect = { half_life = \"soon\", colour = 1 }\ndecay = \"fast\"\n";
    let misread = told(&folder(&format!("{GOOD}{misread}"), VIEWS), &Overlay::default());
    assert_eq!(
        misread,
        [
            "job.toml:22:7: paths.d.hop: 7 is not a string",
            "job.toml:23:24: paths.d.select.half_life: \"soon\" is not a duration such as \"50ms\", \"1s\" or \"7 days\"",
            "job.toml:23:32: paths.d.select.colour: unknown key; known here: \"scores\", \"by\", \"sql\", \"function\", \
             \"half_life\", \"recent\", \"top\", \"sample\", \"seed\", \"position\", \"share\" or \"power\"",
            "job.toml:24:9: paths.d.decay: \"fast\" is not a number",
        ]
    );
}

#[test]
fn a_missing_folder_says_what_a_job_is() {
    let problems = load(Path::new("no/such/job"), &Overlay::default()).expect_err("there is none").to_string();
    assert!(problems.starts_with("no/such/job/job.toml: cannot read: "), "{problems}");
    assert!(problems.ends_with("; a job is a folder with job.toml and views.sql"), "{problems}");
}

#[test]
fn a_key_written_twice_is_told() {
    let told = told(&folder("[job]\nname = \"a\"\nname = \"b\"\n", VIEWS), &Overlay::default());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("job.toml:3:1: not TOML: duplicate key"), "{}", told[0]);
}

#[test]
fn later_files_and_overrides_win() {
    let folder = folder(GOOD, VIEWS);
    let connect = folder.path().join("cluster.toml");
    fs::write(&connect, "[epoch]\nlag = 6\nrecords = 10\n[sources.orders]\nfollow = true\n").expect("written");
    let overlay = Overlay { connect: vec![connect], ..overlay(&["epoch.records=20", "job.zone=UTC"]) };
    let plan = load(folder.path(), &overlay).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(plan.epoch, EpochPlan { interval: Duration::from_millis(20), records: 20, lag: 6 });
    assert_eq!(plan.zone, chrono_tz::UTC);
    assert_eq!(plan.sources["orders"], SourcePlan::File { path: folder.path().join("orders"), follow: true });
}

#[test]
fn problems_name_the_file_or_override_they_come_from() {
    let folder = folder(GOOD, VIEWS);
    let connect = folder.path().join("cluster.toml");
    fs::write(&connect, "[epoch]\nlagg = 6\n").expect("written");
    let set = overlay(&["epoch.recods=20", "sources.order.path=x", "epoch.lag=many"]);
    let told = told(&folder, &Overlay { connect: vec![connect], ..set });
    assert_eq!(
        told,
        [
            r#"cluster.toml:2:1: epoch.lagg: unknown key; did you mean "lag"?"#,
            r#"--set epoch.lag=many: epoch.lag: "many" is not a whole number of at least 2"#,
            r#"--set epoch.recods=20: epoch.recods: unknown key; did you mean "records"?"#,
            r#"--set sources.order.path=x: sources.order.path: the job has no sources.order; did you mean "orders"?"#,
        ]
    );
}

#[test]
fn an_override_names_a_folder_even_if_it_looks_like_a_number() {
    let folder = folder(GOOD, VIEWS);
    fs::create_dir(folder.path().join("2011")).expect("made");
    let plan = load(folder.path(), &overlay(&["sources.orders.path=2011"])).unwrap_or_else(|p| panic!("{p}"));
    assert_eq!(plan.sources["orders"], SourcePlan::File { path: folder.path().join("2011"), follow: false });
}

#[test]
fn what_is_wrong_with_the_sql_is_told_where_it_stands() {
    let job = r#"
[job]
name = "retail"
[sources.orders]
kind = "file"
path = "orders"
colour = "red"
[sinks.index]
kind = "index"
[relations.bought]
from = "SELECT customer AS subject, cod AS object FROM orders"
[objects.product]
from = """
SELECT code AS id,
  nothing
FROM orders"""
[paths.together]
kind = "pairs"
relation = "bought"
"#;
    let views = "CREATE TABLE orders (customer STRING, code STRING) WITH (source = 'orders', format = 'csv');
CREATE VIEW v AS
  SELECT now() FROM orders;
";
    let told = told(&folder(job, views), &Overlay::default());
    let places: Vec<&str> = told.iter().map(|line| line.split(": ").next().unwrap_or_default()).collect();
    assert_eq!(places[0], "job.toml:7:1", "{told:#?}");
    assert!(told[1].starts_with("job.toml:11:37: relations.bought.from: "), "{told:#?}");
    assert!(told[2].starts_with("job.toml:15:3: objects.product.from: "), "{told:#?}");
    assert!(told[3].starts_with("views.sql:3:10: "), "{told:#?}");
    assert_eq!(told.len(), 4, "{told:#?}");
}

#[test]
fn sql_and_job_file_must_agree() {
    let job = r#"
[job]
name = "retail"
[sources.orders]
kind = "file"
path = "orders"
[sinks.index]
kind = "index"
[relations.bought]
from = "SELECT customer AS buyer, code AS object FROM orders"
[objects.product]
from = "SELECT id, code FROM lines"
"#;
    let views = "CREATE TABLE orders (customer STRING, code STRING) WITH (source = 'ordrs', format = 'csv');
CREATE TABLE lines (id BIGINT, code STRING) WITH (source = 'orders', format = 'csv');
CREATE TABLE clicks (code STRING) WITH (source = 'orders', format = 'json');
CREATE TABLE a (code STRING, PRIMARY KEY (code) NOT ENFORCED) WITH (sink = 'idx', index = 'codes');
INSERT INTO a SELECT code FROM clicks;
CREATE TABLE b (code STRING, PRIMARY KEY (code) NOT ENFORCED) WITH (sink = 'index', index = 'codes');
INSERT INTO b SELECT code FROM orders;
CREATE TABLE c (code STRING, PRIMARY KEY (code) NOT ENFORCED) WITH (sink = 'index', index = '../c');
INSERT INTO c SELECT code FROM orders;
CREATE TABLE d (_id STRING, PRIMARY KEY (_id) NOT ENFORCED) WITH (sink = 'index');
INSERT INTO d SELECT code FROM orders;
";
    let told = told(&folder(job, views), &Overlay::default());
    let has = |text: &str| assert!(told.iter().any(|line| line.contains(text)), "{text} is not in {told:#?}");
    has("job.toml:10:8: relations.bought.from: the query has no column \"subject\"");
    has("job.toml:12:8: objects.product.from: column \"id\" is Int64, not text");
    has("views.sql:1:1: table orders reads source \"ordrs\", which the job does not have; did you mean \"orders\"?");
    has("views.sql:3:1: table clicks reads source \"orders\" as json, but table lines as csv; a source has one format");
    has("views.sql:4:1: table a writes to sink \"idx\", which the job does not have; known here: \"index\"");
    has("views.sql:6:1: table b writes to index \"codes\", but so does table a; give one of them another index = '…'");
    has("views.sql:8:1: table c: \"../c\" cannot name an index");
    has(
        "views.sql:10:1: table d: cannot index column \"_id\" of d: it is a name that search requests use for themselves",
    );
}

#[test]
fn a_relation_says_what_it_relates_and_what_it_forgets() {
    let with = |from: &str, keys: &str| {
        let found = "from = \"SELECT customer AS subject, code AS object FROM orders\"";
        assert!(GOOD.contains(found));
        walked()
            .replace(found, &format!("from = \"SELECT customer AS subject, code AS object{from} FROM orders\"\n{keys}"))
    };
    let views = VIEWS.replace("description STRING)", "description STRING, at TIMESTAMP(3), tags ARRAY<STRING>)");
    let keys = "subject = \"customer\"\nobject = \"product\"\nlifetime = \"30 days\"\nkeep = 200";
    let folder = folder(&with(", at AS time, description", keys), &views);
    let plan = load(folder.path(), &Overlay::default()).unwrap_or_else(|problems| panic!("{problems}"));
    let (relation, rules) = (&plan.catalogue.relations[0], plan.relations["bought"].rules);
    assert_eq!((rules.lifetime_us, rules.keep), (Some(2_592_000_000_000), Some(200)));
    assert_eq!((relation.subject, relation.object, relation.timed), (KindId(1), KindId(0), true));
    assert_eq!(relation.attributes[0].name, "description");

    let keys = "subject = \"a b\"\nlifetime = \"0s\"\nkeep = 5\nsigned = true";
    let told = told(&self::folder(&with(", at, tags", keys), &views), &overlay(&[]));
    let expected = [
        "job.toml:13:8: relations.bought.from: column \"tags\" is List",
        "job.toml:14:11: relations.bought.subject: \"a b\" is no name; use letters, digits, _ and -",
        "job.toml:15:12: relations.bought.lifetime: nothing would live; write a time such as \"30 days\"",
        "job.toml:15:12: relations.bought.lifetime: this goes by time; add a column to the query: … AS time",
        "job.toml:16:8: relations.bought.keep: the newest are kept, which goes by time; add a column to the query",
        "job.toml:17:10: relations.bought.signed: each row weighs one; leave it out, or add a column to the query",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for text in expected {
        assert!(told.iter().any(|line| line.starts_with(text)), "{text} is not in {told:#?}");
    }
}

#[test]
fn pairs_beside_the_graph_are_for_what_stays() {
    let place = "job.toml:17:8: paths.together.kind: pairs are counted beside the graph and for good: not for ";
    let jump = "write a jump: left = { hop = \"bought\", reverse = true }, right = { hop = \"bought\" }, merger = …";
    let from = "code AS object FROM orders\"\n";
    let views = VIEWS.replace("description STRING)", "description STRING, at TIMESTAMP(3))");
    for (keys, what) in [
        ("lifetime = \"1 day\"", "relation \"bought\", which has a lifetime"),
        ("keep = 5", "relation \"bought\", which keeps the newest"),
    ] {
        let job = GOOD.replace(from, &format!("code AS object, at AS time FROM orders\"\n{keys}\n"));
        let place = place.replace(":17:", ":18:");
        assert_eq!(told(&folder(&job, &views), &overlay(&[])), [format!("{place}{what}; {jump}")]);
    }
    let job = format!("{GOOD}[paths.seen]\nhop = \"bought\"\n[forget]\nrequests = true\n");
    assert_eq!(told(&folder(&job, VIEWS), &overlay(&[])), [format!("{place}a job that forgets objects; {jump}")]);
}

#[test]
fn who_is_forgotten_comes_from_a_query() {
    let with = |columns: &str| format!("{}[forget]\nfrom = \"SELECT {columns} FROM orders\"\n", walked());
    let good = folder(&with("'product' AS kind, code AS id"), VIEWS);
    let plan = load(good.path(), &Overlay::default()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(plan.forget, ["forget"]);
    let told = told(&folder(&with("code AS id"), VIEWS), &overlay(&[]));
    let expected = "job.toml:22:8: forget.from: the query gives id: write SELECT … AS kind, … AS id, in this order";
    assert_eq!(told, [expected]);
}

#[test]
fn who_is_forgotten_may_be_asked_for() {
    let with = |part: &str| format!("{}[forget]\nrequests = true\n{part}", walked());
    let path = "[paths.seen]\nhop = \"bought\"\n";
    let from = "from = \"SELECT 'product' AS kind, code AS id FROM orders\"\n";
    // The last statement need not end, and a line may end with a comment.
    let views = VIEWS.trim_end().trim_end_matches(';').to_owned() + " -- that is all";
    let good = folder(&with(&format!("{from}{path}")), &views);
    let plan = load(good.path(), &Overlay::default()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(plan.forget, ["forget", "forget_requests"]);
    assert!(plan.follows() && plan.sources.contains_key("forget_requests"));
    let alone = GOOD.split("[paths.together]").next().expect("the job has a path").to_owned();
    let told = told(&folder(&format!("{alone}[forget]\nrequests = true\n"), VIEWS), &overlay(&[]));
    let expected = "job.toml:17:12: forget.requests: nothing is kept that could be forgotten; relations are kept where a \
                    path of hops or a recommendation asks for them";
    assert_eq!(told, [expected]);
}

#[test]
fn parts_that_nothing_uses_are_warned_of() {
    let job = GOOD.split("[paths.together]").next().expect("the job has a path").to_owned()
        + "[sources.clicks]\nkind = \"file\"\npath = \"orders\"\n[sinks.none]\nkind = \"discard\"\n";
    let folder = folder(&job, VIEWS);
    let plan = load(folder.path(), &Overlay::default()).unwrap_or_else(|problems| panic!("{problems}"));
    let keys: Vec<&str> = plan.warnings.iter().map(|warning| warning.key.as_str()).collect();
    assert_eq!(keys, ["relations.bought", "objects.product", "sources.clicks", "sinks.none"]);
    assert!(plan.warnings[0].to_string().contains(": warning: relations.bought: no path goes along"));
}

#[test]
fn checkpoints_have_a_place() {
    let place = |at: &str| {
        let folder = folder(&format!("{GOOD}\n[checkpoint]\nat = \"{at}\"\n"), VIEWS);
        let plan = load(folder.path(), &Overlay::default()).unwrap_or_else(|problems| panic!("{problems}"));
        (plan.checkpoint.expect("there are checkpoints").at.expect("they have a place"), folder)
    };
    let (kept, folder_of_job) = place("kept");
    assert_eq!(kept, CheckpointPlace::Folder(folder_of_job.path().join("kept")));
    assert_eq!(place("s3://bucket/x").0, CheckpointPlace::ObjectStore("s3://bucket/x".to_owned()));
    let CheckpointPlace::HBase(address) = place("hbase://g:9090/proxima/shop").0 else { panic!("it is in HBase") };
    assert_eq!(address.to_string(), "hbase://g:9090/proxima/shop");
    for (at, told_of_it) in [
        ("hbase://g/proxima", "\"g\" has no port; write HOST:PORT of a Thrift2 gateway"),
        ("hbase://g:9090", "it names no table; write hbase://HOST:PORT/TABLE"),
        (
            "hdfs://here",
            "checkpoints cannot be kept at hdfs://; write a folder, s3://BUCKET/PREFIX or hbase://HOST:PORT/TABLE",
        ),
    ] {
        let folder = folder(&format!("{GOOD}\n[checkpoint]\nat = \"{at}\"\n"), VIEWS);
        let told = told(&folder, &Overlay::default()).join("\n");
        assert!(told.contains("checkpoint.at") && told.contains(told_of_it), "{told}");
    }
}

#[test]
fn a_body_has_a_bound_that_logs_have_room_for() {
    let of = |limit: &str| folder(&format!("{GOOD}[http]\nbody_limit = \"{limit}\"\n"), VIEWS);
    assert!(load(of("64 MiB").path(), &overlay(&[])).is_ok());
    let expected =
        "job.toml:22:14: http.body_limit: a body is held in memory and logged as one; write at most \"64 MiB\"";
    assert_eq!(told(&of("65 MiB"), &overlay(&[])), [expected]);
}
