//! A job that changes between two runs, on the real binary: what touches no state goes on, what does is named with what
//! would be lost, and with `--restart-changed` only that begins anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const JOB: &str = "[job]
name = \"shop\"
[sources.orders]
kind = \"file\"
path = \"orders\"
[sources.clicks]
kind = \"file\"
path = \"clicks\"
[sinks.index]
kind = \"index\"
[relations.bought]
from = \"SELECT customer AS subject, code AS object FROM orders\"
[paths.of_customer]
hop = \"bought\"
[paths.together]
kind = \"pairs\"
relation = \"bought\"
";
const TABLES: &str = "CREATE TABLE orders (id BIGINT, customer STRING, code STRING, price DECIMAL(10, 2),
    PRIMARY KEY (id) NOT ENFORCED) WITH (source = 'orders', format = 'maxwell', table = 'shop.orders');
CREATE TABLE clicks (code STRING, visitor STRING) WITH (source = 'clicks', format = 'json');
";
const SALES: &str =
    "CREATE TABLE sales (code STRING, sold BIGINT, PRIMARY KEY (code) NOT ENFORCED) WITH (sink = 'index');
INSERT INTO sales SELECT code, count(*) FROM orders GROUP BY code;
";
const REVENUE: &str = "CREATE TABLE revenue (customer STRING, paid DECIMAL(20, 2), PRIMARY KEY (customer) NOT ENFORCED)
  WITH (sink = 'index');
INSERT INTO revenue SELECT customer, sum(price) FROM orders GROUP BY customer;
";
const SEEN: &str = "CREATE TABLE seen (code STRING, n BIGINT, PRIMARY KEY (code) NOT ENFORCED) WITH (sink = 'index');
INSERT INTO seen SELECT code, count(*) FROM clicks GROUP BY code;
";

/// A shop whose job can be written anew between runs.
struct Shop(TempDir);

impl Shop {
    /// A shop that has run over three orders and two clicks.
    fn settled(views: &[&str]) -> Self {
        let shop = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(shop.0.path().join("shop/orders")).unwrap();
        fs::create_dir_all(shop.0.path().join("shop/clicks")).unwrap();
        shop.define(JOB, views);
        shop.write(
            "orders/1.json",
            &[order(1, "ann", "a", "1.50"), order(2, "ann", "b", "2.00"), order(3, "bob", "a", "4.00")],
        );
        shop.write("clicks/1.json", &[json!({"code": "a", "visitor": "ann"}), json!({"code": "b", "visitor": "bob"})]);
        shop.run(&[]);
        shop
    }

    fn define(&self, job: &str, views: &[&str]) {
        fs::write(self.0.path().join("shop/job.toml"), job).unwrap();
        fs::write(self.0.path().join("shop/views.sql"), [&[TABLES], views].concat().concat()).unwrap();
    }

    fn write(&self, name: &str, records: &[Value]) {
        let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
        fs::write(self.0.path().join("shop").join(name), lines).unwrap();
    }

    /// More orders and clicks: the second order is now for `a`, and `cid` orders `b`.
    fn go_on(&self) {
        let moved = json!({"database": "shop", "table": "orders", "type": "update", "ts": 2,
            "data": {"id": 2, "customer": "ann", "code": "a", "price": "2.00"}, "old": {"code": "b"}});
        self.write("orders/2.json", &[moved, order(4, "cid", "b", "8.00")]);
        self.write("clicks/2.json", &[json!({"code": "a", "visitor": "cid"})]);
    }

    fn proxima(&self, args: &[&str], fail: &str) -> (bool, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null()).env("PROXIMA_FAIL", fail);
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    fn try_run(&self, args: &[&str]) -> (bool, String) {
        let run = [&["run", "shop", "--until-end", "--workers", "2", "--listen", "127.0.0.1:0"], args].concat();
        let (done, _, said) = self.proxima(&run, "");
        (done, said)
    }

    fn run(&self, args: &[&str]) -> String {
        let (done, said) = self.try_run(args);
        assert!(done, "{said}");
        said
    }

    /// What the run says that is refused.
    fn refused(&self) -> String {
        let (done, said) = self.try_run(&[]);
        assert!(!done && said.contains("the job is not the one that its checkpoint was made by"), "{said}");
        said
    }

    /// The documents of an index, as compact as can be.
    fn holds(&self, index: &str) -> Vec<String> {
        let (done, out, said) = self.proxima(&["search", "shop", index, r#"{"size": 100}"#], "");
        assert!(done, "{said}");
        let answer: Value = serde_json::from_str(&out).unwrap();
        let text = |hit: &Value| {
            let fields = hit["_source"].as_object().unwrap().values();
            fields.map(|value| value.to_string().replace('"', "")).collect::<Vec<_>>().join(" ")
        };
        let mut documents: Vec<_> = answer["hits"]["hits"].as_array().unwrap().iter().map(text).collect();
        documents.sort();
        documents
    }
}

fn order(id: i64, customer: &str, code: &str, price: &str) -> Value {
    json!({"database": "shop", "table": "orders", "type": "insert", "ts": 1,
        "data": {"id": id, "customer": customer, "code": code, "price": price}})
}

#[test]
fn what_touches_no_state_goes_on() {
    let shop = Shop::settled(&[SALES, REVENUE, SEEN]);
    let job = format!(
        "# another day\n{JOB}merger = \"jaccard\"\n[epoch]\ninterval = \"20ms\"\n[checkpoint]\nevery = \"2s\"\nkeep = 5\n\
         [http]\nlisten = \"127.0.0.1:0\"\nsearches = 3\n"
    );
    let sold =
        SALES.replace("SELECT code, count(*) FROM orders", "-- how many\nSELECT o.code,\n count(*) FROM orders o");
    shop.define(&job, &[SEEN, &sold, REVENUE]);
    shop.go_on();
    let said = shop.run(&[]);
    assert!(!said.contains("begins anew"), "{said}");
    assert_eq!(shop.holds("sales"), ["a 3", "b 1"]);
    assert_eq!(shop.holds("revenue"), ["ann 3.5", "bob 4.0", "cid 8.0"]);
    assert_eq!(shop.holds("seen"), ["a 2", "b 1"]);
}

#[test]
fn checkpoints_that_are_looked_for_elsewhere_are_not_lost() {
    let shop = Shop::settled(&[SALES]);
    let at = |place: &str| format!("{JOB}[checkpoint]\nat = \"{place}\"\n");
    shop.define(&at("kept"), &[SALES]);
    let (done, said) = shop.try_run(&[]);
    assert!(!done && said.contains("the last run kept its checkpoints in the data folder, and in "), "{said}");
    assert!(said.contains("there are none: put them there, or start anew with --fresh"), "{said}");
    // Where they were it goes on, and where they are put as well.
    shop.define(JOB, &[SALES]);
    shop.go_on();
    shop.run(&[]);
    fs::rename(shop.0.path().join(".proxima/shop/checkpoints"), shop.0.path().join("shop/kept")).unwrap();
    shop.define(&at("kept"), &[SALES]);
    shop.run(&[]);
    assert_eq!(shop.holds("sales"), ["a 3", "b 1"]);
    shop.define(&at("nowhere"), &[SALES]);
    let (done, said) = shop.try_run(&[]);
    assert!(!done && said.contains("shop/kept, and in "), "{said}");
    fs::remove_dir_all(shop.0.path().join("shop/kept")).unwrap();
    shop.define(&at("kept"), &[SALES]);
    let (done, said) = shop.try_run(&[]);
    assert!(!done && said.contains("the checkpoints of the last run are gone from "), "{said}");
    shop.run(&["--fresh"]);
    assert_eq!(shop.holds("sales"), ["a 3", "b 1"]);
}

#[test]
fn a_changed_job_is_refused_and_nothing_is_touched() {
    let shop = Shop::settled(&[SALES, REVENUE]);
    let changed = REVENUE.replace("sum(price)", "max(price)");
    shop.define(JOB, &[&changed, SEEN]);
    shop.go_on();
    let said = shop.refused();
    for line in [
        "changed: target revenue\n",
        "new: target seen\n",
        "gone: target sales\n",
        "goes on as it is: path together, relation bought\n",
        "begins empty, and knows only what comes from here on: target revenue\n",
        "begins anew, and reads clicks from the beginning: target seen\n",
        "is dropped with its state and embedded index; what servers hold of it stays: target sales\n",
        "--fresh ",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    shop.define(JOB, &[SALES, REVENUE]);
    shop.run(&[]);
    assert_eq!(shop.holds("sales"), ["a 3", "b 1"]);
}

#[test]
fn only_what_has_changed_begins_anew() {
    let shop = Shop::settled(&[SALES, REVENUE]);
    // It reads a column more of the same table, which must not disturb what goes on.
    let changed =
        SALES.replace("SELECT code, count(*) FROM orders", "SELECT code, count(*) FROM orders WHERE price > 0");
    let added =
        SALES.replace("sales", "clients").replace("SELECT code,", "SELECT customer,").replace("BY code", "BY customer");
    shop.define(JOB, &[&changed, REVENUE, &added]);
    shop.go_on();
    let said = shop.run(&["--restart-changed"]);
    assert!(said.contains("begins anew: target clients, target sales\n"), "{said}");
    assert_eq!(shop.holds("sales"), ["a 1", "b 1"], "one order was moved and one came: nothing is known of the others");
    assert_eq!(shop.holds("clients"), ["ann 1", "cid 1"]);
    assert_eq!(shop.holds("revenue"), ["ann 3.5", "bob 4.0", "cid 8.0"]);

    // It is settled now: what began later goes on beside what began first.
    shop.write("orders/3.json", &[order(5, "bob", "b", "0.25")]);
    shop.run(&[]);
    assert_eq!(shop.holds("sales"), ["a 1", "b 2"]);
    assert_eq!(shop.holds("revenue"), ["ann 3.5", "bob 4.25", "cid 8.0"]);

    shop.define(JOB, &[REVENUE, &added]);
    assert!(shop.refused().contains("gone: target sales\n"));
    shop.write("orders/4.json", &[order(6, "bob", "b", "0.50")]);
    shop.run(&["--restart-changed"]);
    assert_eq!(shop.holds("clients"), ["ann 1", "bob 2", "cid 1"]);
    assert_eq!(shop.holds("revenue"), ["ann 3.5", "bob 4.75", "cid 8.0"]);
    assert!(!shop.0.path().join(".proxima/shop/index/sales").exists());
}

#[test]
fn relations_begin_anew_together_with_their_paths() {
    let shop = Shop::settled(&[SALES]);
    let job = JOB.replace("AS object FROM orders\"", "AS object FROM orders WHERE price > 1\"");
    assert_ne!(job, JOB);
    let added = "[relations.clicked]\nfrom = \"SELECT visitor AS subject, code AS object FROM clicks\"\n";
    shop.define(&format!("{job}{added}"), &[SALES]);
    let said = shop.refused();
    assert!(said.contains("changed: path together, relation bought\n"), "{said}");
    assert!(said.contains("new: relation clicked\n") && said.contains("goes on as it is: target sales\n"), "{said}");
    shop.define(&format!("{JOB}{added}"), &[SALES]);
    let said = shop.refused();
    assert!(said.contains("shares its state with one of these: relation bought\n"), "{said}");
    assert!(said.contains("goes on as it is: path together, target sales\n"), "{said}");
    shop.go_on();
    shop.run(&["--restart-changed"]);
    assert_eq!(shop.holds("sales"), ["a 3", "b 1"]);
}

/// Who is forgotten is said by a query that is no result: it used to be lost when a part of the job began anew.
#[test]
fn what_is_forgotten_goes_on_with_the_graph() {
    let shop = Shop::settled(&[SALES]);
    let walked = JOB.replace("[paths.together]\nkind = \"pairs\"\nrelation = \"bought\"\n", "");
    let job = format!("{walked}[forget]\nfrom = \"SELECT 'bought.subject' AS kind, visitor AS id FROM clicks\"\n");
    shop.define(&job, &[SALES]);
    shop.run(&["--fresh"]);
    shop.define(&job, &[&SALES.replace("count(*)", "count(customer)")]);
    shop.go_on();
    let said = shop.run(&["--restart-changed"]);
    assert!(said.contains("begins anew: target sales\n"), "{said}");
}

#[test]
fn what_reads_a_source_of_its_own_is_exact() {
    let shop = Shop::settled(&[SALES]);
    // Nobody has read the clicks before: nothing is lost, and nobody need be asked.
    shop.define(JOB, &[SALES, SEEN]);
    let said = shop.run(&[]);
    assert!(said.contains("begins anew: target seen\n"), "{said}");
    assert_eq!(shop.holds("seen"), ["a 1", "b 1"]);

    let users = SEEN.replace("count(*)", "count(DISTINCT visitor)");
    shop.define(JOB, &[SALES, &users]);
    shop.write("clicks/2.json", &[json!({"code": "a", "visitor": "ann"}), json!({"code": "b", "visitor": "ann"})]);
    let said = shop.refused();
    assert!(said.contains("begins anew, and reads clicks from the beginning: target seen\n"), "{said}");
    shop.run(&["--restart-changed"]);
    assert_eq!(shop.holds("seen"), ["a 1", "b 2"]);
    assert_eq!(shop.holds("sales"), ["a 2", "b 1"]);
}

#[test]
fn a_job_that_was_changed_goes_on_so_though_nothing_came() {
    let shop = Shop::settled(&[SALES]);
    shop.define(JOB, &[SALES, REVENUE]);
    let said = shop.refused();
    assert!(said.contains("target revenue"), "{said}");
    shop.run(&["--restart-changed"]);
    // Nothing has come since, and nobody need be asked again.
    shop.run(&[]);
    shop.define(JOB, &[SALES]);
    shop.run(&["--restart-changed"]);
    shop.run(&[]);
    // What was dropped begins anew as anything new does.
    shop.define(JOB, &[SALES, REVENUE]);
    shop.refused();
    shop.run(&["--restart-changed"]);
    shop.go_on();
    shop.run(&[]);
    assert_eq!(shop.holds("sales"), ["a 3", "b 1"]);
}

#[test]
fn a_restart_that_comes_to_no_checkpoint_is_not_forgotten() {
    let shop = Shop::settled(&[SALES, REVENUE]);
    let changed = SALES.replace("count(*)", "count(DISTINCT customer)");
    shop.define(JOB, &[&changed, REVENUE]);
    shop.go_on();
    let run = ["run", "shop", "--until-end", "--workers", "2", "--listen", "127.0.0.1:0", "--restart-changed"];
    assert!(!shop.proxima(&run, "before-commit:1").0, "it was to die");
    shop.define(JOB, &[SALES, REVENUE]);
    let said = shop.refused();
    assert!(said.contains("was started anew by a run that came to no checkpoint: target sales\n"), "{said}");
    shop.define(JOB, &[&changed, REVENUE]);
    shop.run(&["--restart-changed"]);
    assert_eq!(shop.holds("sales"), ["a 1", "b 1"]);
    assert_eq!(shop.holds("revenue"), ["ann 3.5", "bob 4.0", "cid 8.0"]);
}
