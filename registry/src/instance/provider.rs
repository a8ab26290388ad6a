//! Who offers the management services (registry and administration §1.6).

use protocol::id::{ClientId, SecurityServerId};

use super::model::Parameters;
use super::record::Record;
use super::{Actor, Desk, Instance, Refusal};
use crate::requests::{self, Request};

/// The provider as administrators see it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Provider {
    /// The subsystem, if one is set.
    pub id: Option<ClientId>,
    /// Its member's name.
    pub name: Option<String>,
    /// The servers that it is an enabled client of, sorted by identifier.
    pub servers: Vec<SecurityServerId>,
}

impl Instance {
    /// The provider of the management services.
    pub fn provider(&self) -> Provider {
        let Some(id) = self.parameters.provider.clone() else { return Provider::default() };
        let name = self.member(id.member()).map(|entry| entry.member.name.clone());
        let enabled = self
            .servers_of_client(&id)
            .filter(|entry| entry.clients.get(&id).is_some_and(|client| client.enabled));
        let mut servers: Vec<_> = enabled.map(|entry| entry.server.id.clone()).collect();
        servers.sort_by_key(ToString::to_string);
        Provider { id: Some(id), name, servers }
    }
}

impl Desk {
    /// Sets the subsystem that offers the management services.
    ///
    /// # Errors
    /// It is no subsystem, or it or its member does not exist.
    pub fn set_provider(&self, id: &ClientId) -> Result<Provider, Refusal> {
        self.change(|draft| {
            let instance = draft.instance;
            if id.subsystem().is_none() {
                return Err(Refusal::InvalidProvider(id.to_string()));
            }
            if instance.member(id.member()).is_none() {
                return Err(Refusal::MemberNotFound(id.member().clone()));
            }
            if instance.subsystem(id).is_none() {
                return Err(Refusal::SubsystemNotFound(id.clone()));
            }
            let parameters = instance.parameters.clone();
            draft.put(Record::Parameters(Parameters { provider: Some(id.clone()), ..parameters }));
            Ok(())
        })?;
        Ok(self.look().provider())
    }

    /// Registers the provider as a client of a server: a request of origin CENTER that is approved at
    /// once, unless two persons decide.
    ///
    /// # Errors
    /// No provider is set, or it is registered on a server already; those of a registration.
    pub fn register_provider(&self, actor: &Actor, server: &SecurityServerId) -> Result<Request, Refusal> {
        self.change(|draft| {
            let provider = draft.instance.parameters.provider.clone().ok_or(Refusal::ProviderNotSet)?;
            if draft.instance.subsystem(&provider).is_none() {
                return Err(Refusal::SubsystemNotFound(provider));
            }
            if draft.instance.servers_of_client(&provider).next().is_some() {
                return Err(Refusal::SubsystemAlreadyRegistered(provider));
            }
            requests::register(draft, actor, server, &provider)
        })
    }
}
