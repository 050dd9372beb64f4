//! Connectors that read: files.
