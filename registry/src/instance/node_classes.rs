//! Node classes: the class of each server, and which classes may talk on what terms.
//!
//! They are published as the part `CAUSEWAY-NODE-CLASSES` as soon as there is a policy. From then on a
//! server without a class talks to nobody.

use protocol::configuration::{ClassPolicy, NodeClass};
use protocol::id::SecurityServerId;

use super::model::Server;
use super::policy::Policy;
use super::record::Record;
use super::{Desk, Instance, Refusal};

impl Instance {
    /// Which classes may talk; none: the instance uses no node classes.
    pub fn class_policy(&self) -> Option<ClassPolicy> {
        self.policy.class_policy()
    }

    /// The servers that have no class.
    pub fn classless_servers(&self) -> impl Iterator<Item = &SecurityServerId> {
        self.servers.values().filter(|entry| entry.server.class.is_none()).map(|entry| &entry.server.id)
    }
}

impl Desk {
    /// Gives a server a class, or none.
    ///
    /// # Errors
    /// There is no such server.
    pub fn set_server_class(
        &self,
        id: &SecurityServerId,
        class: Option<NodeClass>,
    ) -> Result<Server, Refusal> {
        self.change(|draft| {
            let server = draft.server(id)?.server.clone();
            let server = Server { class, changed: draft.now, ..server };
            draft.put(Record::Server(server.clone()));
            Ok(server)
        })
    }

    /// Says which classes may talk; none: the instance uses no node classes.
    ///
    /// # Errors
    /// Only those of every change.
    pub fn set_class_policy(&self, policy: Option<&ClassPolicy>) -> Result<(), Refusal> {
        self.change(|draft| {
            draft.put(Record::Policy(Policy::new(policy)));
            Ok(())
        })
    }
}
