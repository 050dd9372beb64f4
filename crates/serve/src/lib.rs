//! The HTTP interface over result stores and run status.
