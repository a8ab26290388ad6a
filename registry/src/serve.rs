//! Serves the published configuration (global configuration and trust §3).
