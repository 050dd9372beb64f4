//! The state protocol: what a checkpoint is, how it is committed, found again and swept away.
