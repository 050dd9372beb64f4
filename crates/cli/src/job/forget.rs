//! `[forget]`: who the graph shall forget, by a query, by requests over HTTP, or by both.

use super::fields::{Fields, Located};
use super::http_source::RawHttpSource;
use super::raw::{RawSource, SourceWord};
use super::secret::RawSecret;
use super::sql::{Purpose, Query};
use super::tree::Text;

/// The name of the query that says what is forgotten.
pub const QUERY: &str = "forget";
/// The source, the table and the query of requests.
pub const REQUESTS: &str = "forget_requests";
/// The table that requests fill: `request` tells one from the others.
const TABLE: &str = "CREATE TABLE forget_requests (kind STRING, id STRING, request STRING)
    WITH (source = 'forget_requests', format = 'json');\n";

/// The part as it was written.
#[derive(Debug)]
pub struct RawForget {
    from: Option<Located<Text>>,
    requests: Option<Requests>,
}

/// What `requests = true` stands for.
#[derive(Debug)]
struct Requests {
    /// Where it is written, and the query of its table.
    query: Located<Text>,
    /// A log that nobody posts to but the route.
    source: Option<RawSource>,
}

impl RawForget {
    /// Reads the part.
    pub fn read(mut fields: Fields<'_>) -> Self {
        let place = fields.place.clone();
        let (from, asked) = (fields.text("from"), fields.boolean("requests"));
        let token = RawSecret::read(&mut fields, "token_env", "token_file");
        fields.finish();
        let asked = asked.filter(|asked| asked.value);
        let requests = asked.map(|Located { place: written, key, .. }| {
            let kind = Located { value: SourceWord::Http, place: written.clone(), key: key.clone() };
            let http = Some(RawHttpSource::of_token(token));
            let source = Some(RawSource { place, kind: Some(kind), path: None, follow: None, kafka: None, http });
            let text = format!("SELECT kind, id, request FROM {REQUESTS}");
            Requests { query: Located { value: Text { text, first: None }, place: written, key }, source }
        });
        Self { from, requests }
    }

    /// The source of requests, once.
    pub fn take_source(&mut self) -> Option<(String, RawSource)> {
        Some((REQUESTS.to_owned(), self.requests.as_mut()?.source.take()?))
    }

    /// The queries.
    pub fn queries<'a>(&'a self) -> impl Iterator<Item = Query<'a>> {
        let query = |name: &str, purpose, written: &'a Located<Text>| Query {
            name: name.to_owned(),
            purpose,
            sql: &written.value,
            place: &written.place,
        };
        let from = self.from.iter().map(move |from| query(QUERY, Purpose::Forget, from));
        let requests = self.requests.iter();
        from.chain(requests.map(move |requests| query(REQUESTS, Purpose::ForgetRequests, &requests.query)))
    }

    /// Where `requests = true` is written, if it is.
    pub fn requested(&self) -> Option<&Located<Text>> {
        self.requests.as_ref().map(|requests| &requests.query)
    }

    /// The job's SQL with the table of requests, if there are any. What is wrong with the rest stays where it is.
    pub fn add_table(&self, sql: String) -> String {
        match self.requests {
            Some(_) => format!("{sql}\n;\n{TABLE}"),
            None => sql,
        }
    }
}
