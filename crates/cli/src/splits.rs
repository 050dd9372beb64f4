//! The shares of splits that were changed while a run served, kept in the data folder for the next one.
//!
//! What is kept also says which shares the job had when they were changed: when those of the job are others now, somebody
//! has changed the job since, and its shares hold.

use crate::data::replace;
use anyhow::{Context, Result};
use proxima_recommend::{Keep, Split};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Variants with their shares, in the order of the job.
type Shares = Vec<(String, f64)>;

/// What is kept of a split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Changed {
    /// The shares of the job.
    job: Shares,
    /// Those that hold in place of them.
    now: Shares,
}

/// The splits of a job with the shares that hold, and what keeps those that are changed from now on.
///
/// # Errors
/// When the file cannot be read, or not be rid of shares that hold no more.
pub fn restore(path: PathBuf, job: &BTreeMap<String, Split>) -> Result<(BTreeMap<String, Split>, Keep)> {
    let mut changed = read(&path)?;
    let kept = changed.len();
    changed.retain(|name, changed| job.get(name).is_some_and(|split| split.variants() == changed.job));
    if changed.len() < kept {
        // Else they came back with the job's earlier shares.
        write(&path, &changed)?;
    }
    let splits = job.iter().map(|(name, split)| {
        let now = changed.get(name).and_then(|changed| Split::new(name, changed.now.clone()));
        (name.clone(), now.unwrap_or_else(|| split.clone()))
    });
    let splits = splits.collect();
    let of_job: BTreeMap<String, Shares> =
        job.iter().map(|(name, split)| (name.clone(), split.variants().to_vec())).collect();
    let changed = Mutex::new(changed);
    let keep = move |name: &str, now: &[(String, f64)]| {
        let mut changed = changed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = changed.clone();
        let job = of_job.get(name).cloned().unwrap_or_default();
        next.insert(name.to_owned(), Changed { job, now: now.to_vec() });
        write(&path, &next).map_err(|error| format!("{error:#}"))?;
        *changed = next;
        Ok(())
    };
    Ok((splits, Box::new(keep)))
}

fn read(path: &Path) -> Result<BTreeMap<String, Changed>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is damaged; remove it to have the shares of the job", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn write(path: &Path, changed: &BTreeMap<String, Changed>) -> Result<()> {
    replace(path, &serde_json::to_vec_pretty(changed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(shares: &[(&str, f64)]) -> BTreeMap<String, Split> {
        let shares = shares.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect();
        BTreeMap::from([("home".to_owned(), Split::new("home", shares).unwrap())])
    }

    #[test]
    fn changed_shares_hold_until_the_job_says_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("splits.json");
        let (even, shifted) = (split(&[("a", 50.0), ("b", 50.0)]), split(&[("a", 10.0), ("b", 90.0)]));
        let (first, keep) = restore(path.clone(), &even).unwrap();
        assert_eq!(first, even);
        keep("home", shifted["home"].variants()).unwrap();
        assert_eq!(restore(path.clone(), &even).unwrap().0, shifted);
        let third = split(&[("a", 30.0), ("b", 70.0)]);
        assert_eq!(restore(path.clone(), &third).unwrap().0, third, "the job was changed since");
        assert_eq!(restore(path.clone(), &even).unwrap().0, even, "and is what it was");
        fs::write(&path, "{").unwrap();
        let error = restore(path, &even).err().unwrap().to_string();
        assert!(error.contains("splits.json is damaged; remove it"), "{error}");
    }
}
