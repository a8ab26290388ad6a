//! OCSP responses of the node and of its peers (global configuration and trust §16).
