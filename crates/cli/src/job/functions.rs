//! `[functions.NAME]`: functions that paths name as their formulas, from modules beside the job.

use super::fields::{Fields, Located};
use super::problem::{Place, Problem};
use super::tree::Text;
use crate::functions;
use proxima_graph::path::Functions;
use std::path::Path;

/// A function as it was written.
#[derive(Debug)]
pub struct RawFunction {
    /// Where its header stands.
    pub place: Place,
    /// `wasm`
    pub wasm: Option<Located<Text>>,
    /// `fuel`
    pub fuel: Option<Located<u64>>,
    /// `memory`
    pub memory: Option<Located<u64>>,
}

impl RawFunction {
    /// Reads the function's keys.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            place: fields.place.clone(),
            wasm: fields.required_text("wasm", "name a file, relative to the job's folder"),
            fuel: fields.number("fuel", 1),
            memory: fields.size("memory"),
        }
    }
}

/// Those that this binary has, and those of the job's modules.
pub fn check(folder: &Path, raw: &[(String, RawFunction)], problems: &mut Vec<Problem>) -> Functions {
    let mut known = functions::offered();
    for (name, function) in raw {
        let key = format!("functions.{name}");
        if known.contains_key(name) {
            let problem =
                Problem::error(&function.place, key, format!("this binary has a function \"{name}\" already"));
            problems.push(problem.advise("call it something else"));
        } else if let Some(wasm) = &function.wasm {
            match load(&folder.join(&wasm.value.text), function) {
                Ok(function) => drop(known.insert(name.clone(), function)),
                Err((message, advice)) => problems.push(wasm.error(message).advise(advice)),
            }
        }
    }
    known
}

/// What is wrong, and what to do about it.
type Wrong = (String, &'static str);

#[cfg(feature = "wasm")]
fn load(path: &Path, function: &RawFunction) -> Result<std::sync::Arc<dyn proxima_graph::path::Function>, Wrong> {
    use proxima_wasm::{Limits, Module};

    let advice = "docs/paths.md says what a module exports";
    let default = Limits::default();
    let limits = Limits {
        fuel: function.fuel.as_ref().map_or(default.fuel, |fuel| fuel.value),
        memory: function
            .memory
            .as_ref()
            .map_or(default.memory, |memory| usize::try_from(memory.value).unwrap_or(usize::MAX)),
    };
    let bytes = std::fs::read(path).map_err(|error| {
        (format!("cannot read {}: {error}", path.display()), "the path is relative to the job's folder")
    })?;
    let module = Module::load(&bytes, limits).map_err(|error| (format!("{}: {error}", path.display()), advice))?;
    Ok(std::sync::Arc::new(module))
}

#[cfg(not(feature = "wasm"))]
fn load(_: &Path, _: &RawFunction) -> Result<std::sync::Arc<dyn proxima_graph::path::Function>, Wrong> {
    let message = "this binary was built without WebAssembly".to_owned();
    Err((message, "build it with: cargo build --release --features wasm"))
}
