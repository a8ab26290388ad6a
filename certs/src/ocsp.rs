//! OCSP requests and responses (global configuration and trust §16).
