//! The least HTTP that asks our own server: one request a connection, answers with a length.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// Asks `address` for `path`, with a JSON body or without, and gives the JSON answer. It must be a success.
pub(crate) fn ask(address: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let (head, answer) =
        exchange(address, &request(address, path, body)).with_context(|| format!("cannot ask for {path}"))?;
    let first = head.lines().next().unwrap_or_default();
    ensure!(first.split(' ').nth(1) == Some("200"), "{path} was answered with {first}: {answer}");
    serde_json::from_str(&answer).with_context(|| format!("{path} was answered with what is no JSON: {answer}"))
}

fn request(address: &str, path: &str, body: Option<&Value>) -> String {
    let Some(body) = body.map(Value::to_string) else {
        return format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    };
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The head and the body of the answer.
fn exchange(address: &str, request: &str) -> Result<(String, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no body")?;
    Ok((head.to_owned(), body.to_owned()))
}
