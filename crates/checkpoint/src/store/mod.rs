//! Where checkpoints rest: named, whole objects, in a folder, an object store or a table of rows.
//!
//! The protocol asks little of a store: an object appears whole under its name, [`Store::put_if_absent`] lets one of
//! several writers win, and what was acknowledged is there for every reader from then on.

mod local;
mod object;
mod patient;
mod retry;
pub mod rows;

pub use local::LocalStore;
pub use object::{ObjectStore, ObjectStoreConfig};
pub use patient::Patient;
pub use retry::Retry;

use std::sync::Arc;
use thiserror::Error;

/// Opens the store at an address: `s3://bucket/prefix`, `file:///path`, or the path of a folder.
///
/// # Errors
/// When the folder cannot be made, or the address cannot be understood.
pub fn open(address: &str, config: &ObjectStoreConfig) -> Result<Arc<dyn Store>, StoreError> {
    match address.split_once("://") {
        None => Ok(Arc::new(LocalStore::open(address)?)),
        Some(("file", path)) => Ok(Arc::new(LocalStore::open(path)?)),
        Some(_) => Ok(Arc::new(ObjectStore::open(address, config)?)),
    }
}

/// Keeps named objects. Calls block until the answer is known.
///
/// A call that fails may have had its effect, or have it later: callers must be able to live with either.
pub trait Store: Send + Sync {
    /// Writes an object, in place of one that has the name. Durable on return.
    ///
    /// # Errors
    /// When the outside failed; the object may be there all the same.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// The same with an object of some parts, one behind the other. Where the store can do that they are not copied to one
    /// place first.
    ///
    /// # Errors
    /// When the outside failed; the object may be there all the same.
    fn put_parts(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        self.put(name, &parts.concat())
    }

    /// Writes an object unless there is one of this name. Durable on return.
    ///
    /// `bytes` must be unlike those of any other writer (hold a nonce): an object of the same bytes is taken for the
    /// writer's own, whose first answer was lost.
    ///
    /// # Errors
    /// When the outside failed; the object may be there all the same, or appear later.
    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put, StoreError>;

    /// Reads a whole object; `None` when there is none.
    ///
    /// # Errors
    /// When the outside failed.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// How many bytes an object has; `None` when there is none.
    ///
    /// # Errors
    /// When the outside failed.
    fn size(&self, name: &str) -> Result<Option<u64>, StoreError>;

    /// All objects whose names begin with `prefix` (which ends in `/`), sorted by name.
    ///
    /// # Errors
    /// When the outside failed.
    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError>;

    /// Deletes an object. That there is none is no error.
    ///
    /// # Errors
    /// When the outside failed; the object may be gone all the same.
    fn delete(&self, name: &str) -> Result<(), StoreError>;

    /// A new object that grows, where the store can do that; `None` where objects are written whole.
    ///
    /// # Errors
    /// When the outside failed, or there is an object of this name.
    fn append(&self, _name: &str) -> Result<Option<Box<dyn Append>>, StoreError> {
        Ok(None)
    }
}

/// An object that grows.
pub trait Append: Send {
    /// Adds bytes at the end. Durable on return.
    ///
    /// # Errors
    /// When the outside failed. The object may end in a part of the bytes, so nothing more may be added to it.
    fn add(&mut self, bytes: &[u8]) -> Result<(), StoreError>;
}

/// What became of [`Store::put_if_absent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object is there with the bytes given.
    Done,
    /// There is another one of this name.
    Exists,
}

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its whole name.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A store could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("cannot {tried} {place}: {reason}")]
pub struct StoreError {
    /// What was tried, as a verb: "write", "list".
    pub tried: &'static str,
    /// The object with its folder or bucket.
    pub place: String,
    /// The cause, in words, and what can be done about it where that is known.
    pub reason: String,
    /// Whether trying again is of no use: a wrong password, a missing right.
    pub lasting: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_which_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoints");
        let config = ObjectStoreConfig::default();
        open(path.to_str().unwrap(), &config).unwrap().put("log/1", b"x").unwrap();
        let same = open(&format!("file://{}", path.display()), &config).unwrap();
        assert_eq!(same.get("log/1").unwrap().unwrap(), b"x");
        let error = open("hdfs://here", &config).err().unwrap();
        assert!(error.to_string().starts_with("cannot open hdfs://here: the address must begin with s3://"), "{error}");
    }
}
