//! The registry's desk: where an instance is looked at and changed.
//!
//! A command takes its turn, checks the instance as it is, writes all that changes in one batch and
//! then changes the memory. Readers never wait for the disk. A crash before the batch is written leaves
//! the instance as it was; a crash after leaves it changed, whether or not anybody was told.
//!
//! Commands block while the disk works; an asynchronous caller lets a blocking thread do them.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use gateway::Clock;
use protocol::id::{ClientId, MemberId};
use tokio::sync::watch;

use super::contents::Instance;
use super::draft::Draft;
use super::identifiers::{self, Field};
use super::record::{self, Edit, KINDS, Record};
use super::rules::Rules;
use super::{Refusal, Tokens};
use crate::state::kept::StateError;
use crate::store::Store;

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
    /// Held by the command whose turn it is; none: the instance is declared in a file.
    store: Option<Mutex<Box<dyn Store>>>,
    rules: Rules,
    tokens: Tokens,
    clock: Clock,
    changed: watch::Sender<u64>,
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
    pub fn open(
        store: Box<dyn Store>,
        tokens: Tokens,
        rules: Rules,
        clock: Clock,
    ) -> Result<Self, StateError> {
        let mut instance = Instance::default();
        for kind in KINDS {
            for (name, value) in store.scan(kind)? {
                let told = |error: &dyn std::fmt::Display| {
                    StateError::Held(format!("{}: {error}", String::from_utf8_lossy(&name)))
                };
                let record = Record::read(kind, &value).map_err(|error| told(&error))?;
                instance.apply(Edit::Put(record)).map_err(|error| told(&error))?;
            }
        }
        let (changed, _) = watch::channel(instance.generation());
        Ok(Self {
            instance: RwLock::new(instance),
            store: Some(Mutex::new(store)),
            rules,
            tokens,
            clock,
            changed,
        })
    }

    /// The instance as it is.
    pub fn look(&self) -> Look<'_> {
        // A command that panicked left the memory as it was or changed as a whole, see `command`.
        Look(self.instance.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the instance is declared in a file, so that no command changes it.
    pub fn is_declared(&self) -> bool {
        self.store.is_none()
    }

    /// The rules of administration.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Tells the number of each change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
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
        let store = self.store.as_ref().ok_or(Refusal::DeclaredInFile)?;
        let store: MutexGuard<'_, Box<dyn Store>> = store.lock().unwrap_or_else(PoisonError::into_inner);
        let look = self.look();
        let mut draft = Draft::new(&look, &self.rules, self.clock.now());
        let answer = decide(&mut draft)?;
        let edits = draft.into_edits();
        drop(look);
        if edits.is_empty() {
            return Ok(answer);
        }
        store.write(record::batch(&edits))?;
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
