//! What the operator decides about how the instance is administered: settings of the configuration file.

/// Rules of administration (registry and administration §1.1, file settings).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rules {
    /// Approve registrations of certificates whose owner is a member, as they come from servers.
    pub approve_certificates: bool,
    /// Approve registrations of clients whose member and server exist, as they come from servers.
    pub approve_clients: bool,
    /// Approve changes of owner.
    pub approve_owner_changes: bool,
    /// Two persons decide: whoever added or first approved a request cannot be the one who lets it take
    /// effect. Nothing is approved by rule or because two requests match.
    pub second_person: bool,
    /// Identifiers given by people have only the characters that every system agrees on.
    pub strict_identifiers: bool,
    /// Whether other instances can be trusted at all.
    pub trusted_anchors: bool,
    /// PINs must be hard to guess.
    pub pin_policy: bool,
    /// Configuration parts beside those that every registry knows: identifier and name of the file.
    pub parts: Vec<(String, String)>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            approve_certificates: false,
            approve_clients: false,
            approve_owner_changes: false,
            second_person: false,
            strict_identifiers: true,
            trusted_anchors: true,
            pin_policy: false,
            parts: Vec::new(),
        }
    }
}
