//! The registry's desk: where an instance is looked at and changed.
//!
//! A command takes its turn, checks the instance as it is, writes all that changes in one batch and
//! then changes the memory. Readers never wait for the disk. A crash before the batch is written leaves
//! the instance as it was; a crash after leaves it changed, whether or not anybody was told.
//!
//! Commands block while the disk works; an asynchronous caller lets a blocking thread do them.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use administration::store::Store;
use gateway::Clock;
use protocol::id::{ClientId, MemberId};
use tokio::sync::watch;

use super::contents::Instance;
use super::draft::Draft;
use super::identifiers::{self, Field};
use super::record::{self, Edit, KINDS, Record};
use super::rules::Rules;
use super::{PublicationStatus, Refusal, Tokens};
use crate::keys::KeySettings;
use crate::state::kept::StateError;

/// Who changes something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Actor {
    /// A person, or a program with a key of its own, by the name in the audit log.
    Person(String),
    /// A security server, through a management service.
    SecurityServer,
}

impl Actor {
    /// The person's name.
    pub fn person(&self) -> Option<&str> {
        match self {
            Self::Person(name) => Some(name),
            Self::SecurityServer => None,
        }
    }
}

/// The instance of a registry, and the commands that change it.
pub struct Desk {
    instance: RwLock<Instance>,
    is_declared: bool,
    /// Set when a batch failed: what is in the store may be old or new.
    in_doubt: AtomicBool,
    /// Held by the command whose turn it is; none once the registry has stopped, and where the instance
    /// is declared in a file.
    store: Mutex<Option<Box<dyn Store>>>,
    rules: Rules,
    tokens: Tokens,
    ports: (SocketAddr, Option<SocketAddr>),
    clock: Clock,
    changed: watch::Sender<u64>,
    publication: Mutex<PublicationStatus>,
}

/// What a desk works with.
#[derive(Clone, Debug)]
pub struct DeskSettings {
    /// The rules of administration.
    pub rules: Rules,
    /// Where the software token is, which keys are made in it, how they sign.
    pub keys: KeySettings,
    /// Where configuration is served over HTTP.
    pub http: SocketAddr,
    /// Where it is served over HTTPS.
    pub https: Option<SocketAddr>,
}

/// The instance as it is at this moment. Commands wait until it is dropped.
pub struct Look<'a>(RwLockReadGuard<'a, Instance>);

impl Deref for Look<'_> {
    type Target = Instance;

    fn deref(&self) -> &Instance {
        &self.0
    }
}

impl Desk {
    /// The desk of an instance that is kept in a store, an empty one among them.
    ///
    /// # Errors
    /// The store cannot be read, or holds what this program did not write.
    pub fn open(store: Box<dyn Store>, settings: DeskSettings, clock: Clock) -> Result<Self, StateError> {
        let instance = load(store.as_ref())?;
        Ok(Self::with(instance, Some(store), settings, clock))
    }

    pub(super) fn with(
        instance: Instance,
        store: Option<Box<dyn Store>>,
        settings: DeskSettings,
        clock: Clock,
    ) -> Self {
        let DeskSettings { rules, keys, http, https } = settings;
        let (changed, _) = watch::channel(instance.generation());
        let (instance, tokens) = (RwLock::new(instance), Tokens::new(keys));
        let publication = Mutex::default();
        let (is_declared, store) = (store.is_none(), Mutex::new(store));
        Self {
            instance,
            is_declared,
            in_doubt: AtomicBool::new(false),
            store,
            rules,
            tokens,
            ports: (http, https),
            clock,
            changed,
            publication,
        }
    }

    /// Takes another instance in place of this one.
    pub(super) fn replace(&self, instance: Instance) {
        let generation = instance.generation();
        *self.instance.write().unwrap_or_else(PoisonError::into_inner) = instance;
        self.changed.send_replace(generation);
    }

    /// How publishing goes.
    pub fn publication(&self) -> PublicationStatus {
        let missing = self.missing();
        let status = self.publication.lock().unwrap_or_else(PoisonError::into_inner).clone();
        PublicationStatus { missing, ..status }
    }

    /// The publisher tells how a round went.
    pub(crate) fn told(&self, tell: impl FnOnce(&mut PublicationStatus)) {
        tell(&mut self.publication.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The instance as it is.
    pub fn look(&self) -> Look<'_> {
        // A command that panicked left the memory as it was or changed as a whole, see `command`.
        Look(self.instance.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the instance is declared in a file, so that no command changes it.
    pub fn is_declared(&self) -> bool {
        self.is_declared
    }

    /// The rules of administration.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Where configuration is served over HTTP and over HTTPS.
    pub(super) fn ports(&self) -> (SocketAddr, Option<SocketAddr>) {
        self.ports
    }

    /// The clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Tells the number of each change, after it was made; also when something else is due to be published.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Ends all changing, and lets go of the store. A command that has its turn is finished first.
    pub(crate) fn close(&self) {
        drop(self.store.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Has what is due published.
    pub(super) fn wake(&self) {
        self.changed.send_modify(|_| ());
    }

    /// Refuses where the instance is declared in a file.
    pub(super) fn administered(&self) -> Result<(), Refusal> {
        if self.is_declared() { Err(Refusal::DeclaredInFile) } else { Ok(()) }
    }

    /// A member of this instance by class and code.
    ///
    /// # Errors
    /// Before initialisation; a part that no identifier may have.
    pub fn member_id(&self, class: &str, code: &str) -> Result<MemberId, Refusal> {
        let look = self.look();
        let instance = look.parameters.instance.as_deref().ok_or(Refusal::NotInitialised)?;
        let strict = self.rules.strict_identifiers;
        identifiers::part(Field::MemberClass, class, strict)?;
        identifiers::part(Field::MemberCode, code, strict)?;
        Ok(MemberId::new(instance, class, code).expect("no part is blank"))
    }

    /// A subsystem of a member.
    ///
    /// # Errors
    /// A part that no identifier may have.
    pub fn subsystem_id(&self, member: MemberId, code: &str) -> Result<ClientId, Refusal> {
        identifiers::part(Field::SubsystemCode, code, self.rules.strict_identifiers)?;
        Ok(ClientId::new(member, Some(code)).expect("no part is blank"))
    }

    /// Makes a change: all of what `decide` drafts, or nothing.
    pub(crate) fn command<T>(
        &self,
        decide: impl FnOnce(&mut Draft<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.administered()?;
        let turn = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let store = turn.as_deref().ok_or(Refusal::Stopped)?;
        if self.in_doubt.load(Ordering::SeqCst) {
            let instance = load(store).map_err(|error| Refusal::Unreadable(Box::new(error)))?;
            self.replace(instance);
            self.in_doubt.store(false, Ordering::SeqCst);
        }
        let look = self.look();
        let mut draft = Draft::new(&look, &self.rules, self.clock.now());
        let answer = decide(&mut draft)?;
        let edits = draft.into_edits();
        drop(look);
        if edits.is_empty() {
            return Ok(answer);
        }
        if let Err(error) = store.write(record::batch(&edits)) {
            self.in_doubt.store(true, Ordering::SeqCst);
            return Err(error.into());
        }
        let mut instance = self.instance.write().unwrap_or_else(PoisonError::into_inner);
        for edit in edits {
            if let Err(error) = instance.apply(edit) {
                // A mistake of this program; the next start would refuse the store.
                tracing::error!(%error, "a change does not fit the instance");
            }
        }
        let generation = instance.generation();
        drop(instance);
        self.changed.send_replace(generation);
        Ok(answer)
    }

    /// As [`Desk::command`], for an instance that was initialised.
    pub(crate) fn change<T>(
        &self,
        decide: impl FnOnce(&mut Draft<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.command(|draft| {
            if draft.instance.parameters.instance.is_none() {
                return Err(Refusal::NotInitialised);
            }
            decide(draft)
        })
    }
}

/// The instance that a store holds.
fn load(store: &dyn Store) -> Result<Instance, StateError> {
    let mut instance = Instance::default();
    for kind in KINDS {
        for (name, value) in store.scan(kind.as_bytes())? {
            let told = |error: &dyn std::fmt::Display| {
                StateError::Held(format!("{}: {error}", String::from_utf8_lossy(&name)))
            };
            let record = Record::read(kind, &value).map_err(|error| told(&error))?;
            instance.apply(Edit::Put(record)).map_err(|error| told(&error))?;
        }
    }
    Ok(instance)
}
