//! `proxima search` and `proxima similar`: questions to a running server, or else to where the results rest: the data
//! folder, or Redis.

use super::{data_path, load_job, print};
use crate::args::{JobArgs, PlaceArgs, SearchArgs, SimilarArgs};
use crate::client::{Ask, encode, serves};
use crate::data::DataFolder;
use crate::failure::Failure;
use crate::job::{JobPlan, Kept, Overlay};
use crate::stores;
use anyhow::{Context, anyhow};
use proxima_serve::{Answer, AppState};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

/// Searches an index.
pub(super) fn search(args: &SearchArgs) -> Result<(), Failure> {
    let plan = job(&args.job)?;
    let ask = Ask::post(format!("/v1/indexes/{}/_search?pretty", encode(&args.index)), body(&args.body)?);
    let open = |folder: &Path| Ok(stores::index_only(&results(folder)?, &args.index)?);
    show(answer(&plan, &args.place, &ask, open)?)
}

/// Lists the objects nearest to one.
pub(super) fn similar(args: &SimilarArgs) -> Result<(), Failure> {
    let plan = job(&args.job)?;
    let (path, id) = (encode(&args.path), encode(&args.id));
    let ask = Ask::get(format!("/v1/similar/{path}/{id}?n={}&pretty", args.n));
    let known = plan.paths.get(&args.path);
    let output = plan.outputs.get(&args.path).filter(|output| output.kept == Kept::Path);
    let open = |folder: &Path| match output {
        // Only now it is known that a password is needed.
        Some(output) if output.sink.is_some() => Ok(stores::remote_only(&job_with(&args.job, true)?)),
        Some(_) => Ok(stores::lists_only(&results(folder)?, &args.path)?),
        None if plan.walks.get(&args.path).is_some() => {
            results(folder)?;
            Err(Failure::Run(anyhow!("path \"{}\" is evaluated by a running job alone; run it first", args.path)))
        }
        None => match known {
            Some(path) => Ok(stores::path_only(&results(folder)?, &args.path, path)?),
            None => {
                let lists = plan.paths.keys().chain(plan.outputs.keys()).map(String::as_str);
                let known: BTreeSet<&str> = lists.chain(plan.walks.iter().map(|(name, _)| name)).collect();
                let known = known.into_iter().collect::<Vec<_>>().join(", ");
                let known = if known.is_empty() { "there is none".to_owned() } else { format!("there are: {known}") };
                Err(Failure::NotFound(format!("no path is named \"{}\"; {known}", args.path)))
            }
        },
    };
    show(answer(&plan, &args.place, &ask, open)?)
}

/// The job as far as questions need it: its inputs may be gone.
fn job(args: &JobArgs) -> Result<JobPlan, Failure> {
    job_with(args, false)
}

/// The same, with what opens the stores of its lists.
fn job_with(args: &JobArgs, lists: bool) -> Result<JobPlan, Failure> {
    load_job(&args.job, &Overlay { without_inputs: true, lists, ..args.overlay() })
}

/// The data folder, if there is one.
fn results(folder: &Path) -> Result<DataFolder, Failure> {
    if folder.exists() {
        return Ok(DataFolder::existing(folder));
    }
    let folder = folder.display();
    let message = format!("the job has no results in {folder}; run it first, or name its folder with --data");
    Err(Failure::NotFound(message))
}

/// The request: itself, the content of `@FILE`, or standard input for `-`.
fn body(written: &str) -> Result<String, Failure> {
    if let Some(path) = written.strip_prefix('@') {
        return std::fs::read_to_string(path).map_err(|error| Failure::Usage(format!("cannot read {path}: {error}")));
    }
    if written == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    Ok(written.to_owned())
}

/// Asks the server that was given; else the one that the data folder names, if it lives; else where the results rest.
fn answer(
    plan: &JobPlan,
    place: &PlaceArgs,
    ask: &Ask,
    open: impl FnOnce(&Path) -> Result<AppState, Failure>,
) -> Result<Answer, Failure> {
    if let Some(url) = &place.server {
        return ask.send(url).map_err(|error| Failure::NotFound(format!("cannot reach {url}: {error}")));
    }
    let folder = data_path(plan, place.data.as_deref());
    if let Some(server) = DataFolder::existing(&folder).server().filter(|server| serves(&server.address, &plan.name)) {
        let address = server.address;
        return ask.send(&address).with_context(|| format!("cannot ask {address}")).map_err(Failure::Run);
    }
    let asked = proxima_serve::ask(open(&folder)?, ask.method, &ask.path, ask.body.clone());
    asked.map_err(|error| Failure::Run(error.into()))
}

fn show(answer: Answer) -> Result<(), Failure> {
    let message = || match serde_json::from_str::<Value>(&answer.body) {
        Ok(error) => error["error"]["message"].as_str().unwrap_or(&answer.body).to_owned(),
        Err(_) => format!("HTTP status {}: {}", answer.status, answer.body),
    };
    match answer.status {
        200 => print(&answer.body),
        404 => Err(Failure::NotFound(message())),
        400 | 413 => Err(Failure::Usage(message())),
        _ => Err(Failure::Run(anyhow!(message()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_itself_or_a_file() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), "{\"size\": 1}").expect("writable");
        let from_file = body(&format!("@{}", file.path().display())).expect("the file is there");
        assert_eq!(from_file, "{\"size\": 1}");
        assert_eq!(body("{}").expect("it is there"), "{}");
        assert_eq!(body("@no/such/file").expect_err("it is not there").code(), 2);
    }

    #[test]
    fn refusals_have_their_codes() {
        let code = |status, text: &str| show(Answer { status, body: text.to_owned() }).expect_err("refused").code();
        assert_eq!(code(404, "{\"error\":{\"message\":\"no index\"}}"), 3);
        assert_eq!(code(400, "{}"), 2);
        assert_eq!(code(429, ""), 1);
        assert_eq!(code(500, "<html>"), 1);
    }
}
