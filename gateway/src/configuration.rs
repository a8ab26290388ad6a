//! The configuration client: keeps the global configuration current (global configuration and trust §5, §9).
