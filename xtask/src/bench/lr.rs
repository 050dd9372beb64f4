//! The benchmark `lr`: learning alone, beside Vowpal Wabbit's default over the same file in the same order.
//!
//! Vowpal Wabbit comes from PyPI into a virtual environment among the build's files. Where it cannot be had, its figures
//! are missing from the JSON.

use crate::project::{cargo, must, root, shown, target};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Copies of the file over which Vowpal Wabbit's speed is taken: about half a million examples.
const COPIES: &str = "16";

pub(super) fn run() -> Result<()> {
    let ours = last_line(&mut cargo(["bench", "--quiet", "--package", "proxima-model", "--bench", "lr"]))?;
    let theirs = vowpal_wabbit().unwrap_or_else(|error| {
        eprintln!("Vowpal Wabbit could not be run: {error:#}");
        Value::Null
    });
    let better = ours["progressive_log_loss"].as_f64().zip(theirs["log_loss"].as_f64()).map(|(ours, vw)| ours <= vw);
    let mut figures = json!({ "bench": "lr", "vowpal_wabbit": theirs, "as_good_as_vowpal_wabbit": better });
    for (name, figure) in ours.as_object().context("the benchmark ends with an object")? {
        figures[name] = figure.clone();
    }
    println!("{figures}");
    ensure!(better != Some(false), "the log loss is above that of Vowpal Wabbit");
    Ok(())
}

fn vowpal_wabbit() -> Result<Value> {
    let python = environment()?;
    let folder = target().join("bench-input");
    std::fs::create_dir_all(&folder)?;
    let examples = folder.join("ctr.vw");
    write_examples(&examples)?;
    let script = root().join("xtask/src/bench/vw.py");
    last_line(Command::new(python).arg(script).arg(examples).arg(COPIES))
}

/// A Python that has Vowpal Wabbit; made once.
fn environment() -> Result<PathBuf> {
    let folder = target().join("vowpalwabbit");
    let python = folder.join("bin/python");
    let has_it = |python: &Path| {
        let import = Command::new(python).args(["-c", "import vowpalwabbit"]).output();
        import.is_ok_and(|output| output.status.success())
    };
    if !has_it(&python) {
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&folder);
        must(make)?;
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "vowpalwabbit"]);
        must(install)?;
    }
    Ok(python)
}

/// The example's samples in Vowpal Wabbit's words: labels of −1 and 1, one namespace.
fn write_examples(path: &Path) -> Result<()> {
    let samples = root().join("examples/ctr/samples.csv.gz");
    let output = Command::new("gzip").args(["--decompress", "--stdout"]).arg(&samples).output()?;
    ensure!(output.status.success(), "cannot read {}", samples.display());
    let text = String::from_utf8(output.stdout)?;
    let mut out = std::io::BufWriter::new(std::fs::File::create(path)?);
    for line in text.lines().skip(1) {
        let mut fields = line.splitn(3, ',').skip(1);
        let (label, features) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        writeln!(out, "{} |f {features}", if label == "1" { "1" } else { "-1" })?;
    }
    out.flush()?;
    Ok(())
}

/// Runs a command and reads the JSON on the last line that it prints; the other lines are shown.
fn last_line(command: &mut Command) -> Result<Value> {
    eprintln!("$ {}", shown(command));
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{} failed: {}", shown(command), output.status);
    let mut lines: Vec<&str> = text.lines().collect();
    let last = lines.pop().unwrap_or_default();
    lines.iter().for_each(|line| println!("{line}"));
    serde_json::from_str(last).with_context(|| format!("{} did not end with JSON: {last}", shown(command)))
}
