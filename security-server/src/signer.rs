//! Signs messages in batches.
