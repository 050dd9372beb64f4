//! `proxima evaluate` against figures worked out naively from the same rows.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::process::{Command, Output};
use tempfile::TempDir;

const JOB: &str = "[job]
name = \"shop\"
[sources.views]
kind = \"file\"
path = \"views.csv\"
[sinks.nowhere]
kind = \"discard\"
[relations.viewed]
from = \"SELECT who AS subject, what AS object, at AS time FROM views\"
subject = \"user\"
object = \"item\"
[paths.again]
hop = \"viewed\"
[paths.also]
left = { hop = \"viewed\", reverse = true }
right = { hop = \"viewed\" }
merger = \"count\"
[recommendations.repeat]
from = { again = 1 }
[recommendations.other]
from = { again_also = 1 }
drop = [\"viewed\"]
[recommendations.home]
split = { repeat = 50, other = 50 }
[paths.again_also]
left = \"again\"
right = \"also\"
merger = \"sum\"
";

const VIEWS: &str =
    "CREATE TABLE views (who STRING, what STRING, at TIMESTAMP(3)) WITH (source = 'views', format = 'csv');
CREATE TABLE counts (what STRING, n BIGINT, PRIMARY KEY (what) NOT ENFORCED) WITH (sink = 'nowhere');
INSERT INTO counts SELECT what, count(*) AS n FROM views GROUP BY what;
";

/// What a job has beside that when a model ranks.
const MODEL: &str = "[sources.items]
kind = \"file\"
path = \"items.csv\"
[sources.shows]
kind = \"file\"
path = \"shows.csv\"
[objects.item]
from = \"SELECT what AS id, kind FROM items\"
[models.clicks]
from = \"SELECT at, clicked, kind FROM shows\"
label = \"clicked\"
time = \"at\"
learner = \"sgd\"
rate = 0.5
bias = false
features = { kind = { kind = \"category\" } }
[recommendations.best]
from = { again = 1 }
model = \"clicks\"
[recommendations.dealt]
split = { repeat = 50, best = 50 }
";

const MODEL_VIEWS: &str = "CREATE TABLE items (what STRING, kind STRING) WITH (source = 'items', format = 'csv');
CREATE TABLE shows (at TIMESTAMP(3), clicked BOOLEAN, kind STRING) WITH (source = 'shows', format = 'csv');
";

const KINDS: [&str; 3] = ["toys", "tea", "garden"];

const K: usize = 3;

/// Who viewed what, a row for each minute.
fn rows(seed: u64) -> Vec<(String, String)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pick = |most: u32| rng.next_u32() % most;
    (0..240).map(|_| (format!("u{}", pick(12)), format!("i{}", pick(4) * pick(5)))).collect()
}

fn job(rows: &[(String, String)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut minutes: Vec<_> = rows.iter().enumerate().collect();
    // The file need not be in the order of time.
    minutes.reverse();
    let mut csv = String::from("who,what,at\n");
    for (minute, (who, what)) in minutes {
        writeln!(csv, "{who},{what},2026-01-01 {:02}:{:02}:00", minute / 60, minute % 60).unwrap();
    }
    fs::create_dir(folder.path().join("shop")).unwrap();
    for (name, text) in [("job.toml", JOB), ("views.sql", VIEWS), ("views.csv", &csv)] {
        fs::write(folder.path().join("shop").join(name), text).unwrap();
    }
    folder
}

fn evaluate(folder: &TempDir, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
    command.args(["evaluate", "shop", "--relation", "viewed", "-k", "3"]).args(args);
    command.current_dir(folder.path()).output().unwrap()
}

fn figures(folder: &TempDir, args: &[&str]) -> Value {
    let output = evaluate(folder, &[args, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The first of what was counted, equals by their texts.
fn most<'a>(items: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut counts = BTreeMap::<&String, u32>::new();
    items.for_each(|item| *counts.entry(item).or_default() += 1);
    let mut order: Vec<_> = counts.into_iter().collect();
    order.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    order.into_iter().map(|(item, _)| item.clone()).take(K).collect()
}

/// Of a subject in the rows so far.
fn again(rows: &[(String, String)], who: &str) -> Vec<String> {
    most(rows.iter().filter(|row| row.0 == who).map(|row| &row.1))
}

/// Sums over questions: how many, hits, reciprocal ranks, and what was ever shown.
#[derive(Default)]
struct Naive {
    asked: u64,
    hits: u64,
    ranks: f64,
    shown: BTreeSet<String>,
}

impl Naive {
    fn judge(&mut self, list: &[String], wanted: &[String]) {
        self.asked += 1;
        if let Some(place) = list.iter().position(|item| wanted.contains(item)) {
            self.hits += 1;
            self.ranks += 1.0 / (place + 1) as f64;
        }
        self.shown.extend(list.iter().cloned());
    }

    fn equals(&self, found: &Value, items: usize) {
        assert_eq!(found["asked"], self.asked);
        let near = |name: &str, wanted: f64| {
            let found = found[name].as_f64().unwrap();
            assert!((found - wanted).abs() < 1e-12, "{name}: {found}, not {wanted}");
        };
        near("hit_rate", self.hits as f64 / self.asked as f64);
        near("mrr", self.ranks / self.asked as f64);
        near("coverage", self.shown.len() as f64 / items as f64);
    }
}

#[test]
fn what_comes_next_is_asked_before_it_is_known() {
    for seed in 0..3 {
        let rows = rows(seed);
        let items = rows.iter().map(|row| &row.1).collect::<BTreeSet<_>>().len();
        let folder = job(&rows);
        for (from, args) in [(0, &[][..]), (90, &["--from", "2026-01-01T01:30:00"])] {
            let (mut naive, mut popular) = (Naive::default(), Naive::default());
            for (place, (who, what)) in rows.iter().enumerate().skip(from) {
                let before = &rows[..place];
                if before.iter().any(|row| row.0 == *who) {
                    naive.judge(&again(before, who), std::slice::from_ref(what));
                    popular.judge(&most(before.iter().map(|row| &row.1)), std::slice::from_ref(what));
                }
            }
            let found = figures(&folder, args);
            naive.equals(&found["variants"]["again"], items);
            popular.equals(&found["variants"]["popularity"], items);
            let variants = &found["variants"];
            assert_eq!(variants["repeat"], variants["again"], "a recommendation that only takes over a path's list");
            let hits = |name: &str| variants[name]["hit_rate"].as_f64().unwrap();
            let (least, most) = (hits("repeat").min(hits("other")), hits("repeat").max(hits("other")));
            assert!((least..=most).contains(&hits("home")) && hits("home") != most, "it deals both: {variants}");
            assert!(variants["also"].is_null(), "it leads from items");
        }
    }
}

fn users(rows: &[(String, String)]) -> BTreeSet<&String> {
    rows.iter().map(|row| &row.0).collect()
}

/// The newest `n` objects of each user that has more.
fn held_out(rows: &[(String, String)], n: usize) -> BTreeMap<String, Vec<String>> {
    let mut held = BTreeMap::new();
    for user in users(rows) {
        let mut newest = Vec::new();
        for (_, what) in rows.iter().rev().filter(|row| row.0 == *user) {
            if !newest.contains(what) {
                newest.push(what.clone());
            }
        }
        if newest.len() > n {
            held.insert(user.clone(), newest[..n].to_vec());
        }
    }
    held
}

#[test]
fn what_is_held_out_is_not_known() {
    let rows = rows(7);
    let folder = job(&rows);
    let (held, mut known) = (held_out(&rows, 2), Vec::new());
    known.extend(rows.iter().filter(|(who, what)| held.get(who).is_none_or(|held| !held.contains(what))).cloned());
    let (mut naive, mut popular) = (Naive::default(), Naive::default());
    for (who, wanted) in &held {
        naive.judge(&again(&known, who), wanted);
        popular.judge(&most(known.iter().map(|row| &row.1)), wanted);
    }
    let items = known.iter().map(|row| &row.1).collect::<BTreeSet<_>>().len();
    let found = figures(&folder, &["--hold-out", "2", "--svg", "figures.svg"]);
    naive.equals(&found["variants"]["again"], items);
    popular.equals(&found["variants"]["popularity"], items);
    assert_eq!(found["variants"]["again"]["hit_rate"], 0.0, "what is held out was taken from the user's rows");
    assert!(fs::read_to_string(folder.path().join("figures.svg")).unwrap().starts_with("<svg "));
    assert!(!folder.path().join(".proxima").exists(), "nothing is written");
}

/// One event in two relations: neither may tell of it before it is asked for.
#[test]
fn another_relation_does_not_tell_the_answer() {
    let rows: Vec<(String, String)> = (0..6).map(|day| ("ann".to_owned(), format!("i{day}"))).collect();
    let folder = job(&rows);
    for name in ["acted", "zacted"] {
        let more = format!(
            "[relations.{name}]\nfrom = \"SELECT who AS subject, what AS object, at AS time FROM views\"\n\
             subject = \"user\"\nobject = \"item\"\n[paths.last]\nhop = \"{name}\"\nselect = {{ recent = 1 }}\n"
        );
        fs::write(folder.path().join("shop/job.toml"), format!("{JOB}{more}")).unwrap();
        for args in [&[][..], &["--hold-out", "1"]] {
            let found = figures(&folder, &[&["--path", "last"], args].concat());
            let last = &found["variants"]["last"];
            assert!(last["asked"].as_u64() > Some(0) && last["hit_rate"] == 0.0, "{name} {args:?}: {found}");
        }
    }
}

/// What is held out is known by no relation between the same kinds, whichever way it leads; other kinds may have the same texts.
#[test]
fn what_is_held_out_goes_by_kinds_and_both_ways() {
    let rows: Vec<(String, String)> = (0..6).map(|day| ("ann".to_owned(), format!("i{day}"))).collect();
    let folder = job(&rows);
    let relation = |name: &str, (from, subject): (&str, &str), (to, object): (&str, &str)| {
        let query = format!("SELECT {from} AS subject, {to} AS object, at AS time FROM views");
        format!("[relations.{name}]\nfrom = \"{query}\"\nsubject = \"{subject}\"\nobject = \"{object}\"\n")
    };
    let told_of_users = relation("told", ("what", "item"), ("who", "user"))
        + "[paths.last]\nhop = \"told\"\nreverse = true\nselect = { recent = 1 }\n";
    // From a user to pages, and from each page to the item of its name.
    let told_of_pages = relation("told", ("who", "user"), ("what", "page"))
        + &relation("shown", ("what", "page"), ("what", "item"))
        + "[paths.last]\nleft = { hop = \"told\", select = { recent = 1 } }\nright = { hop = \"shown\" }\nmerger = \"sum\"\n";
    for (more, hits) in [(told_of_users, 0.0), (told_of_pages, 1.0)] {
        fs::write(folder.path().join("shop/job.toml"), format!("{JOB}{more}")).unwrap();
        let found = figures(&folder, &["--path", "last", "--hold-out", "1"]);
        assert_eq!(found["variants"]["last"]["hit_rate"], hits, "{more}: {found}");
    }
}

/// The kind of what an item's name ends with.
fn kind_of(item: &str) -> &'static str {
    KINDS[item[1..].parse::<usize>().unwrap() % 3]
}

/// A show: its time in seconds, whether it was clicked, and the kind of what was shown.
type Show = (usize, bool, &'static str);

/// The same job with a model. What is liked changes in the middle; every other show is at the time of a row.
fn ranked(rows: &[(String, String)], time: &str) -> (TempDir, Vec<Show>) {
    let folder = job(rows);
    let shop = folder.path().join("shop");
    let shows: Vec<Show> = (0..rows.len())
        .map(|minute| {
            let kind = KINDS[minute * 7 % 11 % 3];
            (minute * 60 + minute % 2 * 30, (kind == "tea") == (minute < rows.len() / 2), kind)
        })
        .collect();
    let items: BTreeSet<_> = rows.iter().map(|row| &row.1).collect();
    let items: String = items.iter().map(|item| format!("{item},{}\n", kind_of(item))).collect();
    let lines = shows.iter().map(|(at, clicked, kind)| {
        format!("2026-01-01 {:02}:{:02}:{:02},{clicked},{kind}\n", at / 3600, at / 60 % 60, at % 60)
    });
    let model = MODEL.replace("time = \"at\"\n", time);
    fs::write(shop.join("job.toml"), format!("{JOB}{model}")).unwrap();
    fs::write(shop.join("views.sql"), format!("{VIEWS}{MODEL_VIEWS}")).unwrap();
    fs::write(shop.join("items.csv"), format!("what,kind\n{items}")).unwrap();
    fs::write(shop.join("shows.csv"), format!("at,clicked,kind\n{}", lines.collect::<String>())).unwrap();
    (folder, shows)
}

/// What gradient descent makes of shows: the weight of each kind.
fn learned<'a>(shows: impl Iterator<Item = &'a Show>) -> BTreeMap<&'static str, f64> {
    let mut weights = BTreeMap::new();
    for (_, clicked, kind) in shows {
        let weight = weights.entry(*kind).or_insert(0.0);
        let probability = 1.0 / (1.0 + f64::exp(-*weight));
        *weight -= 0.5 * (probability - f64::from(u8::from(*clicked)));
    }
    weights
}

#[test]
fn a_model_ranks_by_what_it_had_learned_before() {
    let rows = rows(3);
    let items = rows.iter().map(|row| &row.1).collect::<BTreeSet<_>>().len();
    for (time, wait_s) in [("time = \"at\"\n", 0), ("time = \"at\"\nwait = \"20 minutes\"\n", 1_200)] {
        let (folder, shows) = ranked(&rows, time);
        let mut naive = Naive::default();
        for (place, (who, what)) in rows.iter().enumerate() {
            let seen: BTreeSet<_> = rows[..place].iter().filter(|row| row.0 == *who).map(|row| row.1.clone()).collect();
            if seen.is_empty() {
                continue;
            }
            let weights = learned(shows.iter().filter(|show| show.0 + wait_s < place * 60));
            let mut list: Vec<_> = seen.into_iter().collect();
            let weight = |item: &String| weights.get(kind_of(item)).copied().unwrap_or(0.0);
            list.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
            list.truncate(K);
            naive.judge(&list, std::slice::from_ref(what));
        }
        let found = figures(&folder, &[]);
        naive.equals(&found["variants"]["best"], items);
        assert_ne!(found["variants"]["best"], found["variants"]["repeat"], "the model matters");
        assert!(found["variants"]["dealt"].is_object());
        assert_eq!(found["left_out"], serde_json::json!({}));
    }
}

/// A model has learned what it had before the first row that is held out of a subject: no sample tells it of these rows.
#[test]
fn a_model_has_learned_nothing_of_what_is_held_out() {
    let rows = rows(3);
    let far = "[recommendations.far]\nfrom = { again_also = 1 }\nmodel = \"clicks\"\n";
    for (time, wait_s) in [("time = \"at\"\n", 0), ("time = \"at\"\nwait = \"20 minutes\"\n", 1_200)] {
        let (folder, shows) = ranked(&rows, time);
        let job = folder.path().join("shop/job.toml");
        fs::write(&job, format!("{}{far}", fs::read_to_string(&job).unwrap())).unwrap();
        let held = held_out(&rows, 2);
        let known: Vec<_> =
            rows.iter().filter(|(who, what)| held.get(who).is_none_or(|held| !held.contains(what))).collect();
        let mut naive = Naive::default();
        for (who, wanted) in &held {
            let first = rows.iter().position(|row| row.0 == *who && wanted.contains(&row.1)).unwrap();
            let weights = learned(shows.iter().filter(|show| show.0 + wait_s < first * 60));
            let viewed = |who: &String, what: &String| known.iter().any(|row| row.0 == *who && row.1 == *what);
            let seen: BTreeSet<&String> = known.iter().filter(|row| row.0 == *who).map(|row| &row.1).collect();
            let meets = |one: &String| {
                seen.iter().any(|seen| {
                    *seen != one && users(&rows).into_iter().any(|user| viewed(user, one) && viewed(user, seen))
                })
            };
            let mut list: Vec<String> =
                known.iter().map(|row| row.1.clone()).collect::<BTreeSet<_>>().into_iter().collect();
            list.retain(meets);
            let weight = |item: &String| weights.get(kind_of(item)).copied().unwrap_or(0.0);
            list.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
            list.truncate(K);
            naive.judge(&list, wanted);
        }
        let items = known.iter().map(|row| &row.1).collect::<BTreeSet<_>>().len();
        let found = figures(&folder, &["--hold-out", "2"]);
        naive.equals(&found["variants"]["far"], items);
        assert!(naive.hits > 0 && found["variants"]["dealt"].is_object(), "{found}");
        assert_eq!(found["left_out"], serde_json::json!({}));
    }
}

#[test]
fn what_a_model_ranks_is_left_out_where_nobody_knows_what_it_had_learned() {
    let rows = &rows(3)[..60];
    let reason = "it has no time, so that nobody knows when it had learned what";
    for args in [&["--hold-out", "2"][..], &[]] {
        let (folder, _) = ranked(rows, "");
        let found = figures(&folder, args);
        assert!(found["variants"]["repeat"].is_object() && found["variants"]["best"].is_null(), "{found}");
        assert_eq!(found["left_out"]["best"], format!("ranked by model \"clicks\": {reason}"));
        assert_eq!(found["left_out"]["dealt"], format!("deals best, ranked by model \"clicks\": {reason}"));
        let table = evaluate(&folder, &[args, &["--recommendation", "best"]].concat());
        let table = String::from_utf8(table.stdout).unwrap();
        assert!(table.ends_with(&format!("left out: best, ranked by model \"clicks\": {reason}\n")), "{table}");
    }
}

#[test]
fn what_cannot_be_judged_is_told() {
    let folder = job(&rows(1)[..5]);
    let told = |args: &[&str], code: i32| {
        let output = evaluate(&folder, args);
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(
        told(&["--path", "also"], 3).contains("no path \"also\" leads from user to item; there are: again, again_also")
    );
    let unknown = told(&["--recommendation", "away"], 3);
    assert!(
        unknown.contains("no recommendation \"away\" gives item to user; there are: other, repeat, home"),
        "{unknown}"
    );
    assert!(told(&["--from", "soon"], 2).contains("write 2011-06-01"));
    assert!(told(&["--set", "sources.views.follow=true"], 1).contains("goes on reading views"));
    let table = evaluate(&folder, &["--path", "again"]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.lines().next().unwrap().contains("HR@3") && table.contains("popularity"), "{table}");
}
