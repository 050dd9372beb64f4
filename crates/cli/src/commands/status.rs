//! `proxima status`: how a run goes, as a page.

use super::{data_path, load_job, print};
use crate::args::StatusArgs;
use crate::client::{Ask, serves};
use crate::data::DataFolder;
use crate::failure::Failure;
use crate::job::{HttpPlan, Overlay};
use crate::page::page;
use anyhow::anyhow;
use proxima_serve::Status;

/// Shows how a run goes.
pub(super) fn status(args: &StatusArgs) -> Result<(), Failure> {
    let url = place(args)?;
    let answer = Ask::get("/v1/status").send(&url);
    let answer = answer.map_err(|error| Failure::NotFound(format!("cannot reach {url}: {error}")))?;
    let unknown = |why: String| Failure::Run(anyhow!("{url} does not tell a status: {why}"));
    if answer.status != 200 {
        return Err(unknown(format!("HTTP status {}", answer.status)));
    }
    let status: Status = serde_json::from_str(&answer.body).map_err(|error| unknown(error.to_string()))?;
    print(&page(&status))
}

/// The server that was given; else the one that the job's data folder names; else the usual one.
fn place(args: &StatusArgs) -> Result<String, Failure> {
    if let Some(url) = &args.place.server {
        return Ok(url.clone());
    }
    let Some(job) = &args.job else { return Ok(HttpPlan::default().listen) };
    let overlay = Overlay { connect: args.connect.clone(), without_inputs: true, ..Overlay::default() };
    let plan = load_job(job, &overlay)?;
    let folder = data_path(&plan, args.place.data.as_deref());
    let server = DataFolder::existing(&folder).server().filter(|server| serves(&server.address, &plan.name));
    let gone = || {
        let (name, folder) = (&plan.name, folder.display());
        let message = format!("job \"{name}\" does not run: {folder} names no server that answers for it");
        Failure::NotFound(format!("{message}; name its folder with --data, or the server with --server"))
    };
    Ok(server.ok_or_else(gone)?.address)
}
