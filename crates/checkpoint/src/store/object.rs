//! An object store as a store: S3 and what speaks its language.

use super::{Listed, Put, Store, StoreError};
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt, PutMode, PutPayload};
use std::fmt;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// How to reach an object store. What is not given is taken from the environment (`AWS_ACCESS_KEY_ID`,
/// `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT`, …).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ObjectStoreConfig {
    /// The server's address, for stores that are not Amazon's: `http://127.0.0.1:9000`.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The access key.
    pub access_key: Option<String>,
    /// Its secret.
    pub secret_key: Option<String>,
}

impl fmt::Debug for ObjectStoreConfig {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, region, .. } = self;
        f.debug_struct("ObjectStoreConfig").field("endpoint", endpoint).field("region", region).finish_non_exhaustive()
    }
}

/// Objects below a prefix of an object store.
pub struct ObjectStore {
    inner: Arc<dyn object_store::ObjectStore>,
    prefix: String,
    /// What the store is called in messages.
    place: String,
    runtime: Runtime,
}

impl ObjectStore {
    /// Opens `s3://bucket/prefix`. Nothing is asked of the server yet.
    ///
    /// # Errors
    /// When the address or the configuration cannot be understood.
    pub fn open(address: &str, config: &ObjectStoreConfig) -> Result<Self, StoreError> {
        let refused = |reason: String| StoreError { tried: "open", place: address.to_owned(), reason, lasting: true };
        let place = address
            .strip_prefix("s3://")
            .ok_or_else(|| refused("the address must begin with s3:// or file://, or be a path".into()))?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        if let Some(region) = &config.region {
            builder = builder.with_region(region);
        }
        if let Some(key) = &config.access_key {
            builder = builder.with_access_key_id(key);
        }
        if let Some(secret) = &config.secret_key {
            builder = builder.with_secret_access_key(secret);
        }
        let inner = builder.build().map_err(|error| refused(error.to_string()))?;
        Self::new(Arc::new(inner), prefix, address)
    }

    /// Objects below `prefix` of any object store that has put-if-absent; `place` names it in messages.
    ///
    /// # Errors
    /// When no thread can be started for it.
    pub fn new(
        inner: Arc<dyn object_store::ObjectStore>,
        prefix: &str,
        place: impl Into<String>,
    ) -> Result<Self, StoreError> {
        let place = place.into();
        // One thread drives all calls, so that several threads of the protocol may wait for answers at once.
        let built = Builder::new_multi_thread().worker_threads(1).thread_name("checkpoint-store").enable_all().build();
        let runtime = built.map_err(|error| StoreError {
            tried: "start a thread for",
            place: place.clone(),
            reason: error.to_string(),
            lasting: true,
        })?;
        Ok(Self { inner, prefix: prefix.trim_matches('/').to_owned(), place, runtime })
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.prefix))
    }

    fn failed(&self, tried: &'static str, name: &str, error: &Error) -> StoreError {
        let (lasting, advice) = match error {
            Error::PermissionDenied { .. } => (true, " (the key must have the right to read, write, list and delete)"),
            Error::Unauthenticated { .. } => (true, " (the access key or its secret is wrong)"),
            Error::NotImplemented { .. } | Error::NotSupported { .. } => {
                (true, " (the store must be able to put if absent: If-None-Match)")
            }
            Error::InvalidPath { .. } | Error::UnknownConfigurationKey { .. } => (true, ""),
            _ => (false, ""),
        };
        let place = format!("{}/{name}", self.place.trim_end_matches('/'));
        StoreError { tried, place, reason: format!("{error}{advice}"), lasting }
    }

    async fn read(&self, name: &str) -> Result<Option<Bytes>, Error> {
        match self.inner.get(&self.path(name)).await {
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
            Ok(found) => found.bytes().await.map(Some),
        }
    }
}

impl Store for ObjectStore {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let payload = PutPayload::from(bytes.to_vec());
        let written = self.runtime.block_on(self.inner.put(&self.path(name), payload));
        written.map(|_| ()).map_err(|error| self.failed("write", name, &error))
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        let payload = PutPayload::from(bytes.to_vec());
        let path = self.path(name);
        let put = self.inner.put_opts(&path, payload, PutMode::Create.into());
        match self.runtime.block_on(put) {
            Ok(_) => Ok(Put::Done),
            // A first call may have been answered by silence and repeated below us: then what is there is our own.
            Err(Error::AlreadyExists { .. }) => {
                let own = self.get(name)?.is_some_and(|there| there == bytes);
                Ok(if own { Put::Done } else { Put::Exists })
            }
            Err(error) => Err(self.failed("write", name, &error)),
        }
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let read = self.runtime.block_on(self.read(name));
        read.map(|found| found.map(Into::into)).map_err(|error| self.failed("read", name, &error))
    }

    fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        match self.runtime.block_on(self.inner.head(&self.path(name))) {
            Ok(found) => Ok(Some(found.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("look at", name, &error)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let below = self.path(prefix);
        let found = self.runtime.block_on(self.inner.list(Some(&below)).try_collect::<Vec<_>>());
        let found = found.map_err(|error| self.failed("list", prefix, &error))?;
        let skipped = if self.prefix.is_empty() { 0 } else { self.prefix.len() + 1 };
        let name = |path: &Path| path.as_ref().get(skipped..).unwrap_or_default().to_owned();
        let mut listed: Vec<_> =
            found.iter().map(|object| Listed { name: name(&object.location), bytes: object.size }).collect();
        listed.sort();
        Ok(listed)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        match self.runtime.block_on(self.inner.delete(&self.path(name))) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete", name, &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    fn store(prefix: &str) -> ObjectStore {
        ObjectStore::new(Arc::new(InMemory::new()), prefix, "memory").unwrap()
    }

    #[test]
    fn does_what_a_folder_does() {
        for prefix in ["", "jobs/mall/"] {
            let store = store(prefix);
            assert_eq!(store.put_if_absent("log/1.json", b"mine").unwrap(), Put::Done);
            assert_eq!(store.put_if_absent("log/1.json", b"theirs").unwrap(), Put::Exists);
            assert_eq!(store.put_if_absent("log/1.json", b"mine").unwrap(), Put::Done);
            store.put("log/2.json", b"two").unwrap();
            store.put("other/3", b"three").unwrap();
            let names: Vec<_> = store.list("log/").unwrap().into_iter().map(|listed| listed.name).collect();
            assert_eq!(names, ["log/1.json", "log/2.json"]);
            assert_eq!(store.size("other/3").unwrap(), Some(5));
            store.delete("other/3").unwrap();
            store.delete("other/3").unwrap();
            assert_eq!((store.get("other/3").unwrap(), store.size("other/3").unwrap()), (None, None));
            assert!(store.append("cuts/1").unwrap().is_none());
        }
    }

    #[test]
    fn never_prints_keys() {
        let secret_key = Some("hush".to_owned());
        let config = ObjectStoreConfig { access_key: Some("me".to_owned()), secret_key, ..Default::default() };
        assert!(!format!("{config:?}").contains("hush"));
        let error = ObjectStore::open("gs://bucket", &config).err().unwrap();
        assert_eq!(
            error.to_string(),
            "cannot open gs://bucket: the address must begin with s3:// or file://, or be a path"
        );
    }
}
