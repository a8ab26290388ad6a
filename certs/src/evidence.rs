//! Verifying signatures of messages and evidence containers (signatures and evidence §5).
