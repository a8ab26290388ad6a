//! Certificate profiles: which member a signing certificate names (global configuration and trust §14).
