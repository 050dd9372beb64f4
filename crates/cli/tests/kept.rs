//! Recommendations that are answered from Redis, on the real binary and a real Redis: at rest another process answers each
//! question as the run does, whatever was changed, killed or forgotten before, and goes on when the run is gone.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use proxima_servers::{Service, free_ports};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{PATIENCE, Shop};

const JOB: &str = r#"[job]
name = "shop"
[epoch]
interval = "10ms"
[checkpoint]
every = "150ms"
[sources.clicks]
kind = "http"
[sources.items]
kind = "http"
[sources.customers]
kind = "http"
[objects.item]
from = "SELECT item AS id, category, price, stock, since FROM items"
[objects.customer]
from = "SELECT customer AS id, country FROM customers"
[relations.viewed]
from = "SELECT customer AS subject, item AS object, at AS time FROM clicks"
subject = "customer"
object = "item"
[relations.bought]
from = "SELECT customer AS subject, item AS object FROM clicks WHERE action = 'buy'"
subject = "customer"
object = "item"
[relations.sold_in]
from = "SELECT item AS subject, country AS object, at AS time FROM sold"
subject = "item"
object = "country"
[forget]
requests = true

[paths.lately]
hop = "viewed"
select = { recent = 5, half_life = "10 days" }
[paths.also]
left = { hop = "viewed", reverse = true }
right = { hop = "viewed" }
merger = "cosine"
top = 20
[paths.for_you]
left = "lately"
right = "also"
merger = "sum"
[paths.popular]
hop = "sold_in"
reverse = true

[recommendations.plain]
from = { for_you = 3, lately = 1 }
drop = ["bought"]
fallback = ["popular"]
begin = { country = "DE" }
output = { sink = "lists", every = "50ms" }
[recommendations.ruled]
from = { for_you = 1 }
require = ["stock"]
at_most = { category = 2 }
pin = { item-07 = 2, unheard = 4 }
drop = ["bought", "viewed"]
fallback = ["popular"]
begin = { country = "FR" }
output = { sink = "lists", every = "50ms" }
[recommendations.ruled.boost.cups]
attribute = "category"
is = "cups"
by = 0.3
[recommendations.ruled.bury.dear]
attribute = "price"
at_least = 7
by = 0.1
[recommendations.basket]
to = "customer"
from = { also = 1 }
number = 4
output = { sink = "lists", every = "50ms" }
[recommendations.elsewhere]
from = { for_you = 1 }
[recommendations.home]
split = { plain = 50, ruled = 50 }
"#;

const VIEWS: &str = "CREATE TABLE clicks (customer STRING, item STRING, action STRING, at TIMESTAMP(3))
  WITH (source = 'clicks', format = 'json');
CREATE TABLE items (item STRING, category STRING, price DECIMAL(10, 2), stock BOOLEAN, since TIMESTAMP(3),
  PRIMARY KEY (item) NOT ENFORCED) WITH (source = 'items', format = 'json');
CREATE TABLE customers (customer STRING, country STRING, PRIMARY KEY (customer) NOT ENFORCED)
  WITH (source = 'customers', format = 'json');
CREATE VIEW sold AS SELECT c.country, e.item, e.at FROM clicks e JOIN customers c ON c.customer = e.customer
  WHERE e.action = 'buy';
";

const ITEMS: usize = 14;
const CUSTOMERS: usize = 9;

fn sink(service: &Service, layout: &str) -> String {
    format!(
        "[sinks.lists]\nkind = \"redis\"\naddresses = [\"{}\"]\nlayout = \"{layout}\"\npattern = \"shop:{{table}}:{{id}}\"\n\
         timeout = \"1s\"\n",
        service.address()
    )
}

impl Shop {
    /// Posts rows to a source, once.
    fn post(&mut self, source: &str, rows: &[Value]) {
        let body: String = rows.iter().map(|row| format!("{row}\n")).collect();
        let key = body.bytes().fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into())).to_string();
        self.wait("an answer", |address| {
            let request = ureq::post(&format!("http://{address}/v1/ingest/{source}")).header("idempotency-key", &key);
            request.send(&body).ok()
        });
    }

    fn address(&mut self) -> String {
        self.wait("an address", |address| {
            ureq::get(&format!("http://{address}/readyz")).call().ok().map(|_| address.to_owned())
        })
    }

    /// `proxima serve`, in a process of its own.
    fn serve(&self) -> Served {
        let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
        command.args(["serve", "shop", "--listen", "127.0.0.1:0"]).current_dir(self.folder.path());
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("on http://").nth(1).and_then(|rest| rest.split(". Ask").next());
        Served { address: address.expect("it says where it serves").to_owned(), process }
    }

    /// Waits until another process answers each question as the run does, and gives the answers.
    fn wait_equal(&mut self, served: &Served, what: &str) -> Vec<(u16, Value)> {
        let (begin, questions) = (Instant::now(), questions());
        loop {
            let address = self.address();
            let asked = |address: &str| -> Vec<_> { questions.iter().map(|question| ask(address, question)).collect() };
            let (before, there, after) = (asked(&address), asked(&served.address), asked(&address));
            if before == there && before == after {
                return there;
            }
            let differ = questions.iter().zip(before.iter().zip(&there)).find(|(_, (run, there))| run != there);
            assert!(begin.elapsed() < PATIENCE, "{what}: {differ:#?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// `proxima serve`
struct Served {
    process: Child,
    address: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

type Question = (String, Option<Value>);

/// All that can be asked of a process without a run, for everybody and somebody else.
fn questions() -> Vec<Question> {
    let customers = (0..CUSTOMERS).map(|number| format!("ann-{number}")).chain(["nobody".to_owned()]);
    let of = |customer: String| {
        let get = |name: &str| (format!("/v1/recommend/{name}/{customer}"), None);
        let post = |name: &str, body| (format!("/v1/recommend/{name}/{customer}"), Some(body));
        let explain = |item: usize| (format!("/v1/explain/home/{customer}/item-{item:02}"), None);
        let told = [
            get("plain"),
            get("ruled"),
            get("home"),
            get("plain?n=3"),
            get("basket"),
            post("basket", json!({ "items": ["item-03", "item-05", "unheard"] })),
            post("ruled", json!({ "attributes": { "country": "UK" }, "filters": { "price": { "lte": 6 } } })),
            post("plain", json!({ "candidates": ["item-01", "item-02", "unheard"] })),
            post("plain", json!({ "items": ["item-01"], "n": 5 })),
            (format!("/v1/splits/home?{customer}"), None),
        ];
        told.into_iter().chain((0..ITEMS).map(explain)).collect::<Vec<_>>()
    };
    customers.flat_map(of).collect()
}

fn ask(address: &str, (route, body): &Question) -> (u16, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let url = format!("http://{address}{route}");
    let answer = match body {
        Some(body) => agent.post(&url).send_json(body),
        None => agent.get(&url).call(),
    };
    let mut answer = answer.unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap())
}

fn item(number: usize, stock: bool) -> Value {
    let category = ["cups", "lamps", "bags"][number % 3];
    let since = format!("2024-01-{:02} 00:00:00.123", 1 + number);
    json!({ "item": format!("item-{number:02}"), "category": category, "price": (135 * number + 10) as f64 / 100.0, "stock": stock, "since": since })
}

fn clicks(count: usize, seed: usize) -> Vec<Value> {
    let click = |event: usize| {
        let die = (event + 1) * (2 * seed + 7_919) % 104_729;
        let (customer, item) = (die % CUSTOMERS, die / 12 % ITEMS);
        let action = ["view", "view", "view", "buy"][die / 240 % 4];
        let (day, minute) = (1 + event * 27 / count, event % 60);
        json!({
            "customer": format!("ann-{customer}"), "item": format!("item-{item:02}"), "action": action,
            "at": format!("2024-{:02}-{day:02} 10:{minute:02}:00", 1 + seed),
        })
    };
    (0..count).map(click).collect()
}

fn statuses(answers: &[(u16, Value)], wanted: u16) -> usize {
    answers.iter().filter(|(status, _)| *status == wanted).count()
}

#[test]
#[ignore = "needs a Redis of its own: `cargo xtask test` runs it"]
fn recommendations_are_answered_from_redis_as_by_the_run() {
    for layout in ["json", "hash"] {
        let service = Service::own("redis", &[("REDIS_PORT", free_ports(1).to_string())]);
        let mut shop = Shop::start(&format!("{JOB}{}", sink(&service, layout)), VIEWS);
        let served = shop.serve();
        // Nothing is there yet.
        assert_eq!(ask(&served.address, &("/v1/recommend/plain/ann-1".into(), None)).1["items"], json!([]));
        let country = |number: usize| ["DE", "FR", "UK"][number % 3];
        let customers: Vec<_> = (0..CUSTOMERS - 1)
            .map(|number| json!({ "customer": format!("ann-{number}"), "country": country(number) }))
            .collect();
        shop.post("items", &(0..ITEMS).map(|number| item(number, number % 5 > 0)).collect::<Vec<_>>());
        shop.post("customers", &customers);
        shop.post("clicks", &clicks(120, 1));
        let first = shop.wait_equal(&served, "the beginning");
        assert!(statuses(&first, 200) > first.len() / 2, "{first:?}");
        let home = |answers: &[(u16, Value)]| answers[2].1["items"].as_array().unwrap().len();
        assert!(home(&first) >= 4, "{:?}", first[2]);

        // Stock, prices and purchases change, and a split is switched while the run is killed.
        shop.post("items", &[item(1, false), item(5, true), item(2, false)]);
        shop.post("clicks", &clicks(60, 2));
        shop.kill_and_go_on();
        let address = shop.address();
        let (status, shares) = ask(&address, &("/v1/splits/home".into(), Some(json!({ "plain": 10, "ruled": 90 }))));
        assert_eq!(status, 200, "{shares}");
        let second = shop.wait_equal(&served, "after a kill");
        assert_eq!(second[9].1["shares"], json!({ "plain": 10.0, "ruled": 90.0 }));
        assert_ne!(first, second);

        // What is forgotten is gone from Redis when it is answered so.
        let forgotten = shop.wait("an answer", |address| {
            let mut answer = ureq::delete(&format!("http://{address}/v1/objects/customer/ann-1")).call().ok()?;
            serde_json::from_str::<Value>(&answer.body_mut().read_to_string().ok()?).ok()
        });
        assert_eq!(forgotten["forgotten"], true, "{forgotten}");
        let keys = redis(&service, &["KEYS", "*:ann-1"]);
        assert_eq!(keys.trim(), "", "something is left");
        let third = shop.wait_equal(&served, "after somebody was forgotten");
        let of_ann = |answers: &[(u16, Value)]| answers[questions().len() / (CUSTOMERS + 1)].1.clone();
        assert_ne!(of_ann(&second), of_ann(&third));

        // The run is gone, and its data folder.
        let folder = shop.folder.path().join(".proxima");
        let away = shop.gone();
        fs::remove_dir_all(folder).unwrap();
        let again: Vec<_> = questions().iter().map(|question| ask(&served.address, question)).collect();
        assert_eq!(again, third);

        let refused = |route: &str, body: Option<Value>| {
            let (status, answer) = ask(&served.address, &(route.to_owned(), body));
            (status, answer["error"]["code"].as_str().unwrap_or_default().to_owned())
        };
        let not_here = (501, "recommendation_not_here".to_owned());
        assert_eq!(refused("/v1/recommend/elsewhere/ann-2", None), not_here);
        assert_eq!(refused("/v1/splits/home", Some(json!({ "plain": 1 }))), not_here);
        assert_eq!(refused("/v1/recommend/nothing/ann-2", None).0, 404);
        service.run(&["stop"]);
        for route in ["/v1/recommend/home/ann-2", "/v1/explain/plain/ann-2/item-01", "/v1/splits/home"] {
            let begin = Instant::now();
            assert_eq!(refused(route, None), (503, "store_exception".to_owned()));
            assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        }
        drop(away);
    }
}

fn redis(service: &Service, command: &[&str]) -> String {
    let (_, port) = service.address().split_once(':').unwrap();
    let output = Command::new("redis-cli").args(["-p", port, "--raw"]).args(command).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
