//! Certificate requests (global configuration and trust §14.3).
