//! How far the registration of a client is (registry and administration §4.2, §4.4).

/// The states of a client.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ClientStatus {
    /// Known here only.
    #[default]
    Saved,
    /// The registry took the request to register it.
    RegistrationInProgress,
    /// In the global configuration.
    Registered,
    /// The registry took the request to delete it.
    DeletionInProgress,
    /// Was registered, and is in the global configuration no longer.
    GlobalError,
    /// The registry took the request to disable it.
    DisablingInProgress,
    /// Left out of the global configuration for a while.
    Disabled,
    /// The registry took the request to enable it.
    EnablingInProgress,
}

impl ClientStatus {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Saved,
        Self::RegistrationInProgress,
        Self::Registered,
        Self::DeletionInProgress,
        Self::GlobalError,
        Self::DisablingInProgress,
        Self::Disabled,
        Self::EnablingInProgress,
    ];

    /// Its name in administration interfaces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Saved => "SAVED",
            Self::RegistrationInProgress => "REGISTRATION_IN_PROGRESS",
            Self::Registered => "REGISTERED",
            Self::DeletionInProgress => "DELETION_IN_PROGRESS",
            Self::GlobalError => "GLOBAL_ERROR",
            Self::DisablingInProgress => "DISABLING_IN_PROGRESS",
            Self::Disabled => "DISABLED",
            Self::EnablingInProgress => "ENABLING_IN_PROGRESS",
        }
    }

    /// The status after a look at the global configuration.
    #[must_use]
    pub fn seen(self, is_registered: bool) -> Self {
        match (self, is_registered) {
            (
                Self::Saved | Self::RegistrationInProgress | Self::GlobalError | Self::EnablingInProgress,
                true,
            ) => Self::Registered,
            (Self::Registered, false) => Self::GlobalError,
            (Self::DisablingInProgress, false) => Self::Disabled,
            (
                Self::Registered | Self::DeletionInProgress | Self::DisablingInProgress | Self::Disabled,
                true,
            )
            | (
                Self::Saved
                | Self::RegistrationInProgress
                | Self::DeletionInProgress
                | Self::GlobalError
                | Self::Disabled
                | Self::EnablingInProgress,
                false,
            ) => self,
        }
    }
}

/// Another name for a subsystem, on its way into the global configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Renaming {
    /// The name in the global configuration when the other was asked for.
    pub from: Option<String>,
    /// The other name.
    pub to: String,
    /// Whether the registry took the request. Before, it goes with the request to register.
    pub is_submitted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: ClientStatus, registered: ClientStatus, missing: ClientStatus) {
        assert_eq!(before.seen(true), registered, "{before:?}, registered");
        assert_eq!(before.seen(false), missing, "{before:?}, not registered");
        assert_eq!(before.seen(true).seen(true), before.seen(true), "{before:?}: one look is enough");
    }

    #[test]
    fn the_global_configuration_decides() {
        use ClientStatus::{
            DeletionInProgress, Disabled, DisablingInProgress, EnablingInProgress, GlobalError, Registered,
            RegistrationInProgress, Saved,
        };
        check(Saved, Registered, Saved);
        check(RegistrationInProgress, Registered, RegistrationInProgress);
        check(Registered, Registered, GlobalError);
        check(DeletionInProgress, DeletionInProgress, DeletionInProgress);
        check(GlobalError, Registered, GlobalError);
        check(DisablingInProgress, DisablingInProgress, Disabled);
        check(Disabled, Disabled, Disabled);
        check(EnablingInProgress, Registered, EnablingInProgress);
    }
}
