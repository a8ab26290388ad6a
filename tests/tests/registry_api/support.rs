//! A registry with its administration interface, in a folder of its own.

use std::net::SocketAddr;

use administration::access::Role;
use causeway_tests::scenario::Player;
use gateway::Clock;
use registry::{Config, Registry, Running};

/// The roles of the user of the recorded scenario.
const ROLES: [Role; 3] = [Role::SecurityOfficer, Role::RegistrationOfficer, Role::SystemAdministrator];

/// A registry that nobody has initialised.
pub(crate) struct Office {
    pub(crate) registry: Running,
    pub(crate) administration: SocketAddr,
    folder: tempfile::TempDir,
}

impl Office {
    /// Starts one with a user `xrd`, password `secret`, of all roles, as the recorded scenario has it.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let text = "[registry]\nstate = \"state\"\n\
            [listen]\nhttp = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"\n\
            [signing]\nkey = \"RSA-2048\"\n\
            [administration]\nlisten = \"127.0.0.1:0\"\nusers-file = \"users.toml\"\n\
            requests-per-second = 10000\nrequests-per-minute = 100000\n";
        let users = folder.path().join("users.toml");
        administration::access::set_user_unchecked(
            &users,
            "xrd",
            "secret",
            &administration::access::Role::ALL,
        )
        .expect("a user");
        let config = Config::parse(text, folder.path()).unwrap_or_else(|problems| panic!("{problems}"));
        let registry =
            Registry::start(config, Clock::system()).await.unwrap_or_else(|error| panic!("{error}"));
        let administration = registry.administration().expect("the interface");
        Self { registry, administration, folder }
    }

    /// A player for which this registry stands for the recorded central server.
    pub(crate) fn player(&self) -> Player {
        Player::new([("cs", self.administration)])
    }

    /// The folder of everything.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}
