//! Time-stamp requests and tokens (signatures and evidence §3).
