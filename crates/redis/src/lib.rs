//! The Redis sink, and offsets kept in Redis.
