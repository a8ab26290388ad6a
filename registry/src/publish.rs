//! Signs and publishes the global configuration (global configuration and trust §10).
