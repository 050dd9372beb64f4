//! Connectors in the job file: what is made of their keys, and what is said of wrong ones.

use super::*;

#[test]
fn a_connect_file_puts_a_cluster_in_the_place_of_the_index() {
    let views = VIEWS.replace("sink = 'index'", "sink = 'index', index = 'codes_{code}'");
    let folder = folder(GOOD, &views);
    let (connect, password) = (folder.path().join("cluster.toml"), folder.path().join("password"));
    fs::write(&password, "s3cret\n").expect("written");
    let sink = r#"
[sinks.index]
kind = "opensearch"
addresses = ["http://one:9200", "http://two:9200"]
user = "proxima"
password_file = "password"
bulk_bytes = "1 MiB"
refresh = "wait_for"
"#;
    fs::write(&connect, sink).expect("written");
    let overlay = Overlay { connect: vec![connect], ..overlay(&[]) };
    let plan = load(folder.path(), &overlay).unwrap_or_else(|problems| panic!("{problems}"));
    let SinkKind::Elastic(elastic) = &plan.sinks["index"] else { panic!("{:?}", plan.sinks) };
    assert_eq!(elastic.cluster.addresses, ["http://one:9200", "http://two:9200"]);
    let login = proxima_elastic::Login::Basic { user: "proxima".into(), password: "s3cret".into() };
    assert_eq!((&elastic.cluster.login, elastic.cluster.bulk_bytes), (&login, 1 << 20));
    assert!(!format!("{plan:?}").contains("s3cret"));
}

#[test]
fn what_is_wrong_with_a_cluster_is_told() {
    let sinks = r#"[sinks.index]
kind = "elasticsearch"
addresses = ["localhost:9200"]
user = "proxima"
refresh = "sometimes"
replicas = -1
[sinks.keyed]
kind = "opensearch"
addresses = "https://search:9200"
api_key_env = "PROXIMA_TEST_NO_SUCH_VARIABLE"
[sinks.nowhere]
kind = "elasticsearch"
"#;
    let job = GOOD.replace("[sinks.index]\nkind = \"index\"\n", sinks);
    let views = VIEWS.replace("sink = 'index'", "sink = 'index', index = 'codes_{day}'");
    let told = told(&folder(&job, &views), &Overlay::default());
    let expected = [
        "job.toml:12:13: sinks.index.addresses: sink index cannot use localhost:9200: write http://host:9200 or \
         https://host:9200",
        r#"job.toml:13:8: sinks.index.user: a user without a password; name it with password_env = "…" or password_file = "…""#,
        r#"job.toml:14:11: sinks.index.refresh: unknown refresh "sometimes"; known here: "interval", "wait_for" or "none""#,
        "job.toml:15:12: sinks.index.replicas: -1 is not a whole number of at least 0",
        "job.toml:19:15: sinks.keyed.api_key_env: environment variable PROXIMA_TEST_NO_SUCH_VARIABLE is not set",
        r#"job.toml:20:8: sinks.nowhere.addresses: this key is missing; write addresses = ["http://host:9200"]"#,
        "views.sql:3:1: table codes: the index's name codes_{day} has a column day, which the target does not have",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_connect_file_puts_topics_in_the_place_of_files() {
    let folder = folder(GOOD, &VIEWS.replace("csv", "json"));
    let (connect, password) = (folder.path().join("cluster.toml"), folder.path().join("password"));
    fs::write(&password, "s3cret\n").expect("written");
    let parts = r#"
[sources.orders]
kind = "kafka"
brokers = "one:9092,two:9092"
topics = ["orders", "returns"]
start = "2026-11-21T08:00:00+08:00"
until = "end"
group = "shop"
isolation = "read_uncommitted"
fetch_bytes = "8 MiB"
lost_offsets = "skip"
security = { user = "proxima", password_file = "password", mechanism = "PLAIN", ca_file = "ca.pem" }
properties = { "socket.keepalive.enable" = true, "statistics.interval.ms" = 1000 }
[sinks.index]
kind = "kafka"
brokers = "one:9092"
transactions = true
"#;
    fs::write(&connect, parts).expect("written");
    let overlay = Overlay { connect: vec![connect], ..overlay(&[]) };
    let plan = load(folder.path(), &overlay).unwrap_or_else(|problems| panic!("{problems}"));
    let SourcePlan::Kafka(orders) = &plan.sources["orders"] else { panic!("{:?}", plan.sources) };
    let names = proxima_kafka::Topics::Names(vec!["orders".into(), "returns".into()]);
    assert_eq!((&orders.topics, orders.start), (&names, proxima_kafka::Start::Timestamp(1_795_219_200_000)));
    assert_eq!((orders.group.as_str(), orders.fetch_bytes, orders.until_end), ("shop", 8 << 20, true));
    assert_eq!(orders.connection.properties["statistics.interval.ms"], "1000");
    let security = &orders.connection.security;
    assert_eq!(security.login.as_ref().map(|login| login.password.as_str()), Some("s3cret"));
    assert_eq!(security.tls.as_ref().and_then(|tls| tls.ca_file.clone()), Some(folder.path().join("ca.pem")));
    assert!(!plan.follows() && !format!("{plan:?}").contains("s3cret"));
    let SinkKind::Kafka(sink) = &plan.sinks["index"] else { panic!("{:?}", plan.sinks) };
    let target = &plan.views.targets[0];
    let config = sink.target(&plan.name, &target.index, &target.schema, &target.key);
    assert_eq!((config.topic.as_str(), config.transactional_id.as_deref()), ("codes", Some("proxima-retail-codes")));
}

#[test]
fn what_is_wrong_with_topics_is_told() {
    let sources = r#"[sources.orders]
kind = "kafka"
brokers = "one"
topics = "orders"
start = "yesterday"
fetch_bytes = "1 KiB"
security = { user = "proxima" }
properties = { "group.id" = "x" }
[sources.all]
kind = "kafka"
pattern = "ods_("
"#;
    let job = GOOD.replace("[sources.orders]\nkind = \"file\"\npath = \"orders\"\n", sources);
    let told = told(&folder(&job, VIEWS), &Overlay::default());
    let expected = [
        r#"job.toml:9:11: sources.orders.brokers: "one" is no list of addresses; write host:port, several separated by commas"#,
        r#"job.toml:11:9: sources.orders.start: "yesterday" is not "earliest", "latest" or a time such as "2026-11-21T08:00:00+08:00""#,
        r#"job.toml:12:15: sources.orders.fetch_bytes: out of bounds; write 1 MiB or more; the default is 64 MiB"#,
        r#"job.toml:13:21: sources.orders.security.user: a user without a password; name it with password_env = "…" or password_file = "…""#,
        r#"job.toml:14:29: sources.orders.properties.group.id: this property cannot be set; what a job promises rests on it; look for a key of its own"#,
        r#"job.toml:15:10: sources.all.brokers: this key is missing; write brokers = "host:9092", several separated by commas"#,
        r#"job.toml:17:11: sources.all.pattern: no regular expression: unclosed group"#,
        r#"views.sql:1:1: table orders reads source "orders" as csv, but messages have no header; write the topic's messages as JSON"#,
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_sink_of_redis_is_read() {
    let sinks = r#"[sinks.index]
kind = "redis"
addresses = ["one:26379", "two:26379"]
mode = "sentinel"
master = "mall"
username = "shop"
password_file = "password"
database = 2
wait_replicas = 1
layout = "json"
pattern = "dim:{table}:{id}"
tombstone_ttl = "2 hours"
"#;
    let folder = folder(&GOOD.replace("[sinks.index]\nkind = \"index\"\n", sinks), VIEWS);
    fs::write(folder.path().join("password"), "s3cret\n").expect("written");
    let plan = load(folder.path(), &Overlay::default()).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(!format!("{plan:?}").contains("s3cret"));
    let SinkKind::Redis(redis) = &plan.sinks["index"] else { panic!("{:?}", plan.sinks) };
    let mode = proxima_redis::Mode::Sentinel { master: "mall".into(), password: None };
    let password = Some(proxima_redis::Secret::new("s3cret"));
    assert_eq!((&redis.servers.mode, &redis.servers.password), (&mode, &password));
    assert_eq!((redis.servers.database, redis.servers.wait_replicas), (2, 1));
    let target = redis.target("codes", &[0]);
    assert_eq!(target.tombstone_ttl, Duration::from_secs(7200));
    assert_eq!(target.pattern.key("codes", "17"), "dim:codes:17");
}

#[test]
fn what_is_wrong_with_a_sink_of_redis_is_told() {
    let sinks = r#"[sinks.index]
kind = "redis"
addresses = "localhost"
mode = "sentinel"
pattern = "dim:{id}"
ca_file = "job.toml"
password_env = "PROXIMA_TEST_NO_SUCH_VARIABLE"
[sinks.slots]
kind = "redis"
addresses = "localhost:1"
mode = "cluster"
database = 1
layout = "jsom"
[sinks.named]
kind = "redis"
addresses = "localhost:1"
master = "mall"
"#;
    let job = GOOD.replace("[sinks.index]\nkind = \"index\"\n", sinks);
    let told = told(&folder(&job, VIEWS), &Overlay::default());
    let expected = [
        r#"job.toml:12:13: sinks.index.addresses: "localhost" is not an address; write host:port, such as "127.0.0.1:6379""#,
        r#"job.toml:13:8: sinks.index.mode: Sentinels are asked for a master by its name; write master = "mymaster""#,
        r#"job.toml:14:11: sinks.index.pattern: a key pattern holds {table}; write pattern = "dim:{table}:{id}""#,
        "job.toml:21:12: sinks.slots.database: a cluster has database 0 alone; leave this key out",
        r#"job.toml:22:10: sinks.slots.layout: unknown layout "jsom"; did you mean "json"?"#,
        r#"job.toml:26:10: sinks.named.master: only Sentinels know a master; write mode = "sentinel""#,
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_row_in_redis_has_its_version_beside_its_columns() {
    let sink = "[sinks.index]\nkind = \"redis\"\naddresses = \"localhost:1\"\n";
    let job = GOOD.replace("[sinks.index]\nkind = \"index\"\n", sink);
    let views = VIEWS.replace("(code STRING, PRIMARY", "(code STRING, _version STRING, PRIMARY");
    let views = views.replace("DISTINCT code FROM orders", "code, max(description) FROM orders GROUP BY code");
    let told = told(&folder(&job, &views), &Overlay::default());
    assert!(told[0].contains("a column cannot be named _version"), "{told:?}");
    let kept = GOOD.replace("kind = \"index\"", "kind = \"discard\"");
    load(folder(&kept, &views).path(), &Overlay::default()).unwrap_or_else(|problems| panic!("{problems}"));
}

#[test]
fn a_source_over_http_is_read() {
    let source = "[sources.orders]\nkind = \"http\"\ntoken_file = \"token\"\norigins = [\"https://shop.example\"]\nbacklog_bytes = \"1 MiB\"\n";
    let job = GOOD.replace("[sources.orders]\nkind = \"file\"\npath = \"orders\"\n", source);
    let good = folder(&job, &VIEWS.replace("csv", "json"));
    fs::write(good.path().join("token"), "s3cret\n").expect("written");
    let plan = load(good.path(), &Overlay::default()).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(plan.follows() && !format!("{plan:?}").contains("s3cret"));
    let SourcePlan::Http(http) = &plan.sources["orders"] else { panic!("{:?}", plan.sources) };
    assert_eq!((http.token.as_deref(), http.origins.len()), (Some("s3cret"), 1));
    assert_eq!(http.log("orders", "x".into()).backlog_bytes, 1 << 20);

    let bad = job.replace("https://shop.example", "shop.example/").replace("token_file", "token_env");
    let told = told(&folder(&bad, &VIEWS.replace("csv", "json")), &Overlay::default());
    let expected = [
        "job.toml:9:13: sources.orders.token_env: environment variable token is not set",
        r#"job.toml:10:11: sources.orders.origins: "shop.example/" is no origin; write it as browsers do: "https://shop.example", without a path"#,
    ];
    // Without a token the rest is not looked at.
    assert_eq!(told, expected[..told.len()]);
}

/// The good job with other sinks, and the sink `index` among them.
fn with_sinks(sinks: &str) -> Vec<String> {
    told(&folder(&GOOD.replace("[sinks.index]\nkind = \"index\"\n", sinks), VIEWS), &Overlay::default())
}

/// The good job with another source `orders`.
fn with_source(source: &str, format: &str) -> Vec<String> {
    let job = GOOD.replace("[sources.orders]\nkind = \"file\"\npath = \"orders\"\n", source);
    told(&folder(&job, &VIEWS.replace("csv", format)), &Overlay::default())
}

#[test]
fn what_is_wrong_with_a_login_is_told_alike() {
    let told = with_sinks(
        r#"[sinks.index]
kind = "elasticsearch"
addresses = ["http://search:9200"]
password_file = "password"
[sinks.both]
kind = "elasticsearch"
addresses = ["http://search:9200"]
user = "proxima"
password_file = "password"
api_key_env = "KEY"
[sinks.topics]
kind = "kafka"
brokers = "one:9092"
security = { password_env = "A", password_file = "b" }
[sinks.twice]
kind = "kafka"
brokers = "one:9092"
security = { user = "proxima", password_env = "A", password_file = "b" }
[sinks.lost]
kind = "redis"
addresses = "one:6379"
password_file = "no/such/file"
"#,
    );
    let expected = [
        r#"job.toml:13:17: sinks.index.password_file: a password without a user; write user = "…""#,
        "job.toml:19:15: sinks.both.api_key_env: a login is either user and password or an API key; write user with \
         password_env, or api_key_env alone",
        r#"job.toml:23:29: sinks.topics.security.password_env: a password without a user; write user = "…""#,
        "job.toml:27:47: sinks.twice.security.password_env: a secret is in one place; leave one of both keys out",
        "job.toml:31:17: sinks.lost.password_file: cannot read no/such/file: No such file or directory (os error 2)",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_is_wrong_with_certificates_is_told() {
    let told = with_sinks(
        r#"[sinks.index]
kind = "redis"
addresses = "one:6379"
tls = true
ca_file = "ca.pem"
cert_file = "job.toml"
"#,
    );
    let expected = [
        "job.toml:14:11: sinks.index.ca_file: cannot read ca.pem: No such file or directory (os error 2)",
        "job.toml:15:13: sinks.index.cert_file: a certificate and its key belong together; write both files",
    ];
    assert_eq!(told, expected);
}

#[test]
fn topics_are_named_or_matched() {
    let told = with_source(
        "[sources.orders]\nkind = \"kafka\"\nbrokers = \"one:9092\"\ntopics = [\"a\"]\npattern = \"b\"\nuntil = \"now\"\n",
        "json",
    );
    let expected = [
        "job.toml:11:11: sources.orders.pattern: topics are named or matched; leave topics or pattern out",
        r#"job.toml:12:9: sources.orders.until: unknown until "now"; known here: "end""#,
    ];
    assert_eq!(told, expected);
}

#[test]
fn clients_post_json() {
    let told = with_source("[sources.orders]\nkind = \"http\"\nlog_bytes = \"much\"\n", "csv");
    let expected = [
        r#"job.toml:9:13: sources.orders.log_bytes: "much" is not a size such as "64 KiB" or "1 MiB""#,
        "views.sql:1:1: table orders reads source \"orders\" as csv, but clients post JSON; write format = 'json'",
    ];
    assert_eq!(told, expected);
}

#[test]
fn offsets_go_to_redis_alone() {
    let told = with_sinks("[checkpoint]\noffsets = \"index\"\n[sinks.index]\nkind = \"index\"\n");
    let expected = [
        "job.toml:11:11: checkpoint.offsets: sink \"index\" keeps no offsets; name a sink of kind \"redis\", or leave \
         this key out",
    ];
    assert_eq!(told, expected);
}
