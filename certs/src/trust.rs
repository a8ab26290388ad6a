//! Whom to believe: finding the CA, building and checking the path (global configuration and trust §15).
