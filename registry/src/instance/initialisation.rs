//! Initialisation (registry and administration §1.2).

use zeroize::Zeroizing;

use super::identifiers::{self, Field};
use super::model::{GlobalGroup, OWNERS_GROUP_DESCRIPTION, Parameters};
use super::record::Record;
use super::settings::check_registry_address;
use super::{Desk, Refusal};

/// What a registry is initialised with. What is there already must not be given again.
pub struct Initialisation {
    /// The instance identifier.
    pub instance: Option<String>,
    /// Host name or address under which clients reach the registry.
    pub address: Option<String>,
    /// The PIN of the software token that is made.
    pub pin: Option<Zeroizing<String>>,
}

/// What is there already.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InitialisationStatus {
    /// The instance identifier.
    pub instance: Option<String>,
    /// The registry's address.
    pub address: Option<String>,
    /// Whether there is a software token.
    pub token: bool,
}

impl Desk {
    /// What was initialised already.
    pub fn initialisation_status(&self) -> InitialisationStatus {
        let look = self.look();
        InitialisationStatus {
            instance: look.parameters().instance.clone(),
            address: look.parameters().address.clone(),
            token: self.tokens().is_initialised(),
        }
    }

    /// Initialises the registry: identifier, address, software token, the group of owners.
    ///
    /// The token is made before the rest is kept. A crash in between leaves the token, which then must
    /// not be given again.
    ///
    /// # Errors
    /// Something is missing, superfluous or not acceptable; everything is there already.
    pub fn initialise(&self, given: Initialisation) -> Result<(), Refusal> {
        self.command(|draft| {
            let before = &draft.instance.parameters;
            let has_token = self.tokens().is_initialised();
            if before.instance.is_some() && before.address.is_some() && has_token {
                return Err(Refusal::AlreadyInitialised);
            }
            let Initialisation { instance, address, pin } = given;
            let instance = instance.filter(|text| !text.is_empty());
            let address = address.filter(|text| !text.is_empty());
            let pin = pin.filter(|text| !text.is_empty());
            let wrong: Vec<&'static str> = [
                (
                    instance.is_some(),
                    before.instance.is_some(),
                    ["instance_id_not_provided", "instance_id_exists"],
                ),
                (
                    address.is_some(),
                    before.address.is_some(),
                    ["server_address_not_provided", "server_address_exists"],
                ),
                (pin.is_some(), has_token, ["pin_code_not_provided", "pin_code_exists"]),
            ]
            .into_iter()
            .filter(|(given, known, _)| given == known)
            .map(|(given, _, [missing, superfluous])| if given { superfluous } else { missing })
            .collect();
            if !wrong.is_empty() {
                return Err(Refusal::InvalidInitialisation(wrong));
            }
            if let Some(instance) = &instance {
                identifiers::part(Field::InstanceIdentifier, instance, draft.rules.strict_identifiers)?;
            }
            if let Some(address) = &address {
                check_registry_address(address)?;
            }
            if let Some(pin) = &pin {
                self.tokens().create(pin, draft.rules)?;
            }
            let parameters = Parameters {
                instance: instance.or_else(|| before.instance.clone()),
                address: address.or_else(|| before.address.clone()),
                ..before.clone()
            };
            let (code, now) = (parameters.owners_group.clone(), draft.now);
            draft.put(Record::Parameters(parameters));
            if !draft.instance.groups.contains_key(&code) {
                let id = draft.number(|counters| &mut counters.group);
                let description = OWNERS_GROUP_DESCRIPTION.to_owned();
                draft.put(Record::Group(GlobalGroup { id, code, description, added: now, changed: now }));
            }
            Ok(())
        })
    }
}
