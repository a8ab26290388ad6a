//! The message log: append-only segments, one committer, Merkle leaves (docs/message-log.md).
