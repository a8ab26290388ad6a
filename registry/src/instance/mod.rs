//! The administered instance: what a registry keeps, and the commands that change it.
//!
//! Registry and administration §1. An instance is either declared in a file (`state`) or administered
//! here: it starts with nothing, is initialised, and every later change is one command of the [`Desk`].
//! A command is refused with a [`Refusal`] that names the rule, or is durable when it returns.
//!
//! Who may give which command is for the administration interface to decide; what is published is made
//! from the instance by `publish`.

mod anchors;
mod apply;
mod certification;
mod classes;
mod contents;
mod declared;
mod desk;
pub(crate) mod draft;
mod groups;
mod identifiers;
mod initialisation;
mod invitations;
pub(crate) mod members;
mod model;
mod node_classes;
mod parts;
mod policy;
mod provider;
mod publication;
pub(crate) mod record;
mod refusal;
mod rules;
pub(crate) mod servers;
mod settings;
mod signing;
pub(crate) mod stored;
#[cfg(test)]
pub(crate) mod tests;
mod timestamping;
mod tokens;

pub use anchors::{TriedAnchor, read_anchor};
pub use certification::ResponderChange;
pub use contents::{GroupEntry, Instance, MemberEntry, ServerEntry};
pub(crate) use declared::Declared;
pub use desk::{Actor, Desk, DeskSettings, Look};
pub use identifiers::{Fault, Field, LONGEST, Rule};
pub use initialisation::{Initialisation, InitialisationStatus};
pub use model::{
    ADDRESS_PLACE, AuthenticationCertificate, Authority, CertificationService, CertificationSettings, Client,
    ConfigurationKey, ConfigurationPart, Counters, GlobalGroup, GroupMember, IntermediateCa, Invitation,
    InvitationState, Member, MemberClass, OWNERS_GROUP, OWNERS_GROUP_DESCRIPTION, OcspResponder, OwnAnchor,
    Parameters, Server, Subsystem, TimestampingService, TrustedAnchor,
};
pub use parts::KNOWN_PARTS;
pub use policy::Policy;
pub use provider::Provider;
pub use publication::{Missing, PublicationStatus};
pub use refusal::Refusal;
pub use rules::Rules;
pub use settings::SettingsChange;
pub use signing::{MOST_KEYS, TokenView};
pub use tokens::{SOFTWARE_TOKEN, Tokens};
