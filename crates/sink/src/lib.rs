//! Where results land: the embedded search index and the key-value store.
