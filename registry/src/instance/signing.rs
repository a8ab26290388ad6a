//! The keys that sign configuration, and the anchors that name them (global configuration and trust §2
//! and §11; registry and administration §1.8).
//!
//! A source has at most two keys on a token: the active one, and one that is published beside it so
//! that clients know it before it signs. Rotation is: add, wait until every client has fetched,
//! activate, delete the old one. No client needs a new anchor for it. The anchor is made anew when a key
//! is added or deleted and when the registry's address changes, with the change itself.

use std::time::Duration;

use protocol::configuration::Anchor;
use protocol::time::UtcTime;

use super::draft::Draft;
use super::identifiers::{self, Field};
use super::model::{ConfigurationKey, OwnAnchor, Parameters};
use super::record::{Record, RecordKey};
use super::tokens::SOFTWARE_TOKEN;
use super::{Desk, Instance, Refusal};
use crate::publish::{Address, SourceKind};

/// Most keys of a source on one token.
pub const MOST_KEYS: usize = 2;

/// A token as administrators see it.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether somebody is logged in.
    pub active: bool,
    /// The signing keys in it, in the order in which they were made.
    pub keys: Vec<ConfigurationKey>,
}

impl TokenView {
    /// Whether another key of a source can be made in it.
    pub fn has_room(&self, source: SourceKind) -> bool {
        self.active && self.keys.iter().filter(|key| key.source == source).count() < MOST_KEYS
    }
}

impl Instance {
    /// The keys of a source in the order in which they were made.
    pub fn keys_of(&self, source: SourceKind) -> Vec<&ConfigurationKey> {
        let mut keys: Vec<_> = self.keys.values().filter(|key| key.source == source).collect();
        keys.sort_by(|one, other| (one.generated, &one.id).cmp(&(other.generated, &other.id)));
        keys
    }

    /// The key that signs a source.
    pub fn active_key(&self, source: SourceKind) -> Option<&ConfigurationKey> {
        self.keys.values().find(|key| key.source == source && key.active)
    }

    /// The anchor of a source, as it is handed out.
    pub fn own_anchor(&self, source: SourceKind) -> Option<&OwnAnchor> {
        self.own_anchors.get(&source)
    }
}

impl OwnAnchor {
    /// SHA-224 over the file, as people compare it (§2.4).
    pub fn hash(&self) -> String {
        Anchor::shown_hash(&self.file)
    }
}

impl Desk {
    /// All tokens; none before initialisation.
    pub fn token_views(&self) -> Vec<TokenView> {
        if !self.tokens().is_initialised() {
            return Vec::new();
        }
        let look = self.look();
        let mut keys: Vec<_> =
            look.keys.values().filter(|key| key.token == SOFTWARE_TOKEN).cloned().collect();
        keys.sort_by_key(|key| key.generated);
        let (id, name) = (SOFTWARE_TOKEN.to_owned(), format!("softToken-{SOFTWARE_TOKEN}"));
        vec![TokenView { id, name, active: self.tokens().is_active(), keys }]
    }

    /// Logs in to a token, so that its keys sign. What is due is published at once.
    ///
    /// # Errors
    /// There is no such token, or somebody is logged in already; the PIN is wrong.
    pub fn login(&self, token: &str, pin: &str) -> Result<(), Refusal> {
        self.administered()?;
        self.tokens().login(token, pin)?;
        self.wake();
        Ok(())
    }

    /// Logs out of a token: its keys leave the memory.
    ///
    /// # Errors
    /// There is no such token, or nobody is logged in.
    pub fn logout(&self, token: &str) -> Result<(), Refusal> {
        self.administered()?;
        self.tokens().logout(token)
    }

    /// Changes the PIN of a token.
    ///
    /// # Errors
    /// There is no such token, or nobody is logged in; the old PIN is wrong, or the new one too weak.
    pub fn change_pin(&self, token: &str, old: &str, new: &str) -> Result<(), Refusal> {
        self.administered()?;
        self.tokens().change_pin(token, old, new, self.rules())
    }

    /// Makes a key for a source and publishes it. The first one of a source is active at once.
    ///
    /// # Errors
    /// There is no such token, or nobody is logged in, or the source has as many keys as it may have.
    pub fn add_signing_key(
        &self,
        source: SourceKind,
        token: &str,
        label: &str,
    ) -> Result<ConfigurationKey, Refusal> {
        self.administered()?;
        self.tokens().find(token)?;
        if label.chars().count() > identifiers::LONGEST {
            return Err(Refusal::fault(Field::KeyLabel, identifiers::Rule::TooLong));
        }
        let room = |instance: &Instance| instance.keys_of(source).len() < MOST_KEYS;
        if !self.tokens().is_active() || !room(&self.look()) {
            return Err(Refusal::TokenAction);
        }
        // The key is in the token before the instance names it; a crash in between leaves a key without
        // use. Nobody waits meanwhile: an RSA key takes its time.
        let now = self.clock().now();
        let (id, certificate) = self.tokens().generate(source, label, now)?;
        let kept = self.change(|draft| {
            if !room(draft.instance) {
                return Err(Refusal::TokenAction);
            }
            let key = ConfigurationKey {
                id: id.clone(),
                token: token.to_owned(),
                source,
                label: label.to_owned(),
                active: draft.instance.active_key(source).is_none(),
                certificate: certificate.der().clone(),
                generated: now,
            };
            draft.put(Record::Key(key.clone()));
            let mut keys: Vec<_> = draft.instance.keys_of(source).into_iter().cloned().collect();
            keys.push(key.clone());
            self.put_anchor(draft, source, &keys, draft.instance.parameters());
            Ok(key)
        });
        if kept.is_err() {
            self.tokens().discard(&id);
        }
        kept
    }

    /// Lets another key sign from the next round on. It must have been published for as long as a
    /// configuration is valid, since by then every client knows it or has stopped; `early` overrides
    /// that.
    ///
    /// # Errors
    /// There is no such key; it is active, or nobody is logged in to its token; it is too young.
    pub fn activate_signing_key(&self, id: &str, early: bool) -> Result<ConfigurationKey, Refusal> {
        self.change(|draft| {
            let key = draft.instance.keys.get(id).ok_or_else(|| Refusal::KeyNotFound(id.to_owned()))?;
            self.activate(draft, key, early)
        })
    }

    fn activate(
        &self,
        draft: &mut Draft<'_>,
        key: &ConfigurationKey,
        early: bool,
    ) -> Result<ConfigurationKey, Refusal> {
        if key.active || !self.tokens().is_active() {
            return Err(Refusal::KeyAction);
        }
        let known_from = self.known_from(key, draft.instance.parameters());
        if !early && draft.now < known_from {
            return Err(Refusal::KeyTooYoung(known_from));
        }
        if let Some(before) = draft.instance.active_key(key.source) {
            draft.put(Record::Key(ConfigurationKey { active: false, ..before.clone() }));
        }
        let key = ConfigurationKey { active: true, ..key.clone() };
        draft.put(Record::Key(key.clone()));
        Ok(key)
    }

    /// From when on every client knows a key.
    pub fn known_from(&self, key: &ConfigurationKey, parameters: &Parameters) -> UtcTime {
        key.generated.plus(self.expiry(parameters).max(Duration::from_secs(1)))
    }

    /// How long what is published is valid.
    pub(crate) fn expiry(&self, parameters: &Parameters) -> Duration {
        parameters.expiry_seconds.map_or(self.tokens().settings().expiry, Duration::from_secs)
    }

    /// Deletes a key that is not active. Anchors and shared parameters no longer name it.
    ///
    /// # Errors
    /// There is no such key; it is active, or nobody is logged in to its token.
    pub fn delete_signing_key(&self, id: &str) -> Result<ConfigurationKey, Refusal> {
        let deleted = self.change(|draft| {
            let key = draft.instance.keys.get(id).ok_or_else(|| Refusal::KeyNotFound(id.to_owned()))?;
            if key.active || !self.tokens().is_active() {
                return Err(Refusal::KeyAction);
            }
            draft.remove(RecordKey::Key(id.to_owned()));
            let keys = draft.instance.keys_of(key.source).into_iter().filter(|other| other.id != id);
            let keys: Vec<_> = keys.cloned().collect();
            self.put_anchor(draft, key.source, &keys, draft.instance.parameters());
            Ok(key.clone())
        })?;
        // The instance first: a crash in between leaves a key that nobody uses.
        self.tokens().discard(&deleted.id);
        Ok(deleted)
    }

    /// Makes the anchor of a source anew, with a new date.
    ///
    /// # Errors
    /// The source has no keys.
    pub fn recreate_anchor(&self, source: SourceKind) -> Result<OwnAnchor, Refusal> {
        self.change(|draft| {
            let keys: Vec<_> = draft.instance.keys_of(source).into_iter().cloned().collect();
            let anchor = self.put_anchor(draft, source, &keys, draft.instance.parameters());
            anchor.ok_or(Refusal::NoSigningKeys)
        })
    }

    /// Where clients find the registry.
    pub(crate) fn address(&self, parameters: &Parameters) -> Address {
        let (http, https) = self.ports();
        Address::new(parameters.address.as_deref(), http, https)
    }

    /// Puts the anchor of a source as it is with these keys, if there are any.
    pub(super) fn put_anchor(
        &self,
        draft: &mut Draft<'_>,
        source: SourceKind,
        keys: &[ConfigurationKey],
        parameters: &Parameters,
    ) -> Option<OwnAnchor> {
        let instance = parameters.instance.as_deref()?;
        if keys.is_empty() {
            return None;
        }
        let certificates: Vec<Vec<u8>> = keys.iter().map(|key| key.certificate.to_vec()).collect();
        let anchor: Anchor = self.address(parameters).anchor(source, instance, &certificates, draft.now);
        let anchor = OwnAnchor { source, file: anchor.to_xml().into(), generated: draft.now };
        draft.put(Record::OwnAnchor(anchor.clone()));
        Some(anchor)
    }
}
