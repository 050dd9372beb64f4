//! The words of the command line.

use crate::generate::GenerateArgs;
use crate::job::Overlay;
use crate::job::check::is_address;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  proxima run examples/retail                  read, compute, serve on 127.0.0.1:8080
  proxima run examples/retail --until-end      exit when all is read and written
  proxima run shop --connect shop/cluster.toml the same job with other addresses
  proxima run shop --set sources.orders.path=/data/2011 --set epoch.interval=20ms
  proxima check shop                           every problem of a job at once
  proxima explain shop                         the operators that a job becomes
  proxima explain shop for_you                 how a path is computed, and why so
  proxima status shop                          how its run goes
  proxima search shop daily '{\"sort\": [{\"day\": \"desc\"}], \"size\": 3}'
  proxima similar shop bought_together 85123A -n 5
  proxima serve shop                           answer from its lists in Redis, without its run
  proxima evaluate shop --relation viewed --from 2011-06-01 --svg figures.svg
  proxima generate mall --out /tmp/mall --days 3     input for examples/mall, and what it must answer

Exit codes:
  0    done
  1    the run failed, or an answer could not be given
  2    the command line, the job or a request is wrong
  3    no such index, path or object, or the server cannot be reached
  130  interrupted before the end, or a second time while stopping

A job is a folder with job.toml and views.sql. Results are kept in .proxima/NAME of the
current folder, or in --data. RUST_LOG=info (or debug) says more on standard error.";

/// Turns changes and clicks into live numbers and live recommendations: SQL views and paths over streams, kept exactly,
/// searchable while they change.
#[derive(Debug, Parser)]
#[command(name = "proxima", version, after_help = EXAMPLES, max_term_width = 120)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs a job: reads its sources, keeps its views and paths, serves them over HTTP.
    Run(RunArgs),
    /// Checks a job and prints all of its problems at once, each with its file, line and key.
    Check(JobArgs),
    /// Prints the operators that a job becomes, or how one of its paths is computed and why.
    Explain(ExplainArgs),
    /// Shows how a run goes: sources with lag and rate, sinks, checkpoints, state, and what anything waits for.
    Status(StatusArgs),
    /// Searches an index of a job, in the words of Elasticsearch's _search.
    Search(SearchArgs),
    /// Lists the objects that a path finds nearest to an object.
    Similar(SimilarArgs),
    /// Answers from the lists that a job keeps in Redis: beside its run or without it, as often as needed.
    Serve(ServeArgs),
    /// Replays a job and judges its paths by what came next: HR, MRR, NDCG, recall and coverage.
    Evaluate(EvaluateArgs),
    /// Generates input from a seed, for benchmarks and trials.
    Generate(GenerateArgs),
}

/// Which job, and what is laid over it.
#[derive(Args, Clone, Debug)]
pub struct JobArgs {
    /// The job's folder.
    pub job: PathBuf,
    /// Lays this file over job.toml: tables key by key, anything else replaced. May be given more than once.
    #[arg(long, value_name = "FILE")]
    pub connect: Vec<PathBuf>,
    /// Sets one value of the job, such as epoch.lag=8 or sources.orders.path=/data/new. May be given more than once;
    /// stands above all files.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl JobArgs {
    /// What is laid over the job, for commands that read its inputs.
    #[must_use]
    pub fn overlay(&self) -> Overlay {
        Overlay { connect: self.connect.clone(), set: self.set.clone(), ..Overlay::default() }
    }
}

/// `proxima run`
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Which job.
    #[command(flatten)]
    pub job: JobArgs,
    /// Threads that compute [default: one a core].
    #[arg(long, value_name = "N", value_parser = workers)]
    pub workers: Option<usize>,
    /// Where results are kept [default: .proxima/NAME in the current folder].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where to serve, above the job's own [http] listen; port 0 takes any free one.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub listen: Option<String>,
    /// Exit when every bounded source is read and every result is written.
    #[arg(long)]
    pub until_end: bool,
    /// Drop what earlier runs have left and read every source from its beginning. Without it a run goes on from the
    /// last checkpoint.
    #[arg(long)]
    pub fresh: bool,
    /// Where the job has changed since the last checkpoint: begin the results anew that have changed, from here on, drop
    /// those that are gone, and go on with the others. Without it such a job is refused, with what would be lost.
    #[arg(long, conflicts_with = "fresh")]
    pub restart_changed: bool,
}

/// `proxima explain`
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// Which job.
    #[command(flatten)]
    pub job: JobArgs,
    /// A path; without one the operators are shown.
    pub path: Option<String>,
}

/// Where to ask.
#[derive(Args, Clone, Debug)]
pub struct PlaceArgs {
    /// Ask the server at this address instead of looking for one that runs the job.
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Where results are kept [default: .proxima/NAME in the current folder].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// `proxima status`
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// The job's folder. Without it, and without --server, the server on 127.0.0.1:8080 is asked.
    pub job: Option<PathBuf>,
    /// Lays this file over job.toml, as the run does. May be given more than once.
    #[arg(long, value_name = "FILE")]
    pub connect: Vec<PathBuf>,
    /// Where to ask.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `proxima search`
#[derive(Args, Clone, Debug)]
pub struct SearchArgs {
    /// Which job.
    #[command(flatten)]
    pub job: JobArgs,
    /// The index: the name of a target in views.sql.
    pub index: String,
    /// The request as JSON; @FILE reads it from a file, - from standard input. Without it everything is found.
    #[arg(default_value = "{}")]
    pub body: String,
    /// Where to ask.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `proxima similar`
#[derive(Args, Clone, Debug)]
pub struct SimilarArgs {
    /// Which job.
    #[command(flatten)]
    pub job: JobArgs,
    /// The path's name.
    pub path: String,
    /// The object's id.
    pub id: String,
    /// How many neighbours.
    #[arg(short, default_value_t = 10, value_name = "N")]
    pub n: usize,
    /// Where to ask.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `proxima serve`
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Which job.
    #[command(flatten)]
    pub job: JobArgs,
    /// Where to serve, above the job's own [http] listen; port 0 takes any free one.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub listen: Option<String>,
}

/// `proxima evaluate`
#[derive(Args, Clone, Debug)]
pub struct EvaluateArgs {
    /// Which job. Its sources are read to their end; nothing is written.
    #[command(flatten)]
    pub job: JobArgs,
    /// The relation whose rows are to be foretold; it needs a time.
    #[arg(long, value_name = "NAME")]
    pub relation: String,
    /// A path to judge. May be given more than once [default: all paths and recommendations that lead from the relation's
    /// subjects to its objects].
    #[arg(long, value_name = "NAME")]
    pub path: Vec<String>,
    /// A recommendation to judge, or a split over some. May be given more than once.
    #[arg(long, value_name = "NAME")]
    pub recommendation: Vec<String>,
    /// How much of each list counts.
    #[arg(short, default_value_t = 20, value_name = "N", value_parser = list_length)]
    pub k: usize,
    /// Ask only before rows from this time on, such as 2011-06-01 or 2011-06-01T12:00:00; earlier ones are learned from.
    #[arg(long, value_name = "TIME", conflicts_with = "hold_out")]
    pub from: Option<String>,
    /// Keep the newest N objects of each subject back and ask for them once, in the end, instead of before each row.
    #[arg(long, value_name = "N", value_parser = list_length)]
    pub hold_out: Option<usize>,
    /// Draw the figures into this file.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Print JSON in place of a table.
    #[arg(long)]
    pub json: bool,
}

fn list_length(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(length @ 1..=10_000) => Ok(length),
        _ => Err("write a number from 1 to 10000".to_owned()),
    }
}

fn workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(workers @ 1..=256) => Ok(workers),
        _ => Err("write a number from 1 to 256".to_owned()),
    }
}

fn address(text: &str) -> Result<String, String> {
    is_address(text).then(|| text.to_owned()).ok_or_else(|| "write host:port, such as 127.0.0.1:8080".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        let words = std::iter::once("proxima").chain(line.split_whitespace());
        Cli::try_parse_from(words).map(|cli| cli.command)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_takes_overlays_in_order() {
        let line = "run shop --set a.b=1 --connect x.toml --set c=d=e --connect y.toml --workers 2 --until-end";
        let Ok(Command::Run(run)) = parse(line) else { panic!("{line} is right") };
        assert_eq!(run.job.connect, [PathBuf::from("x.toml"), PathBuf::from("y.toml")]);
        assert_eq!(run.job.set, ["a.b=1", "c=d=e"]);
        assert_eq!((run.workers, run.until_end, run.listen), (Some(2), true, None));
    }

    #[test]
    fn questions_have_defaults() {
        let Ok(Command::Search(search)) = parse("search shop daily") else { panic!("a body is not needed") };
        assert_eq!(search.body, "{}");
        let Ok(Command::Search(search)) = parse("search shop daily - --server http://h:1") else {
            panic!("- is a body")
        };
        assert_eq!((search.body.as_str(), search.place.server.as_deref()), ("-", Some("http://h:1")));
        let Ok(Command::Similar(similar)) = parse("similar shop together 85123A") else { panic!("n is not needed") };
        assert_eq!(similar.n, 10);
        let Ok(Command::Serve(serve)) = parse("serve shop --listen 127.0.0.1:0") else { panic!("a job is enough") };
        assert_eq!(serve.listen.as_deref(), Some("127.0.0.1:0"));
    }

    #[test]
    fn wrong_words_end_with_code_2() {
        let lines =
            ["", "runn shop", "run", "run shop --workers 0", "run shop --workers many", "run shop --listen 8080"];
        for line in lines {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}: {error}");
        }
        assert_eq!(parse("--help").expect_err("help is no command").kind(), ErrorKind::DisplayHelp);
    }

    #[test]
    fn help_shows_examples_and_exit_codes() {
        let help = Cli::command().render_help().to_string();
        for text in ["proxima run examples/retail", "Exit codes:", "130", "RUST_LOG", "similar"] {
            assert!(help.contains(text), "{text} is not in\n{help}");
        }
    }
}
