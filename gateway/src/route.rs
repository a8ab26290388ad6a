//! Which servers can take a message, and which of them is asked first (messages and transport §4.9).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::configuration::{GlobalConfiguration, RegisteredServer};
use protocol::fault::{Fault, code};
use protocol::id::{ClientId, SecurityServerId};

/// How long the server that answered fastest is preferred.
const WINNER_LIFE: Duration = Duration::from_secs(3600);
/// How long a server that could not be reached is passed over at first; doubles with every failure.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// The addresses of the servers that can take a message for `provider`, each once.
///
/// # Errors
/// `internal_error` when the instance is not known, as the reference product has it; `unknown_member`
/// without any server or address, `invalid_security_server` when the server that the
/// client targets is not among them, `maintenance_mode` when all are in maintenance.
pub(crate) fn candidates(
    configuration: &GlobalConfiguration,
    provider: &ClientId,
    target: Option<&SecurityServerId>,
) -> Result<Vec<Arc<str>>, Fault> {
    if configuration.instance(provider.instance()).is_none() {
        let text = format!("instance {} is not known here", provider.instance());
        return Err(Fault::new(code::INTERNAL_ERROR, text));
    }
    let mut servers: Vec<_> =
        configuration.servers_of(provider).filter(|server| has_address(server)).collect();
    if servers.is_empty() {
        return Err(Fault::new(
            code::UNKNOWN_MEMBER,
            format!("no security server is registered for provider {provider}"),
        ));
    }
    if let Some(target) = target {
        servers.retain(|server| server.id == *target);
        if servers.is_empty() {
            return Err(Fault::new(
                code::INVALID_SECURITY_SERVER,
                format!("security server {target} does not serve provider {provider}"),
            ));
        }
    }
    let first = servers.first().copied();
    servers.retain(|server| server.maintenance.is_none());
    if let (true, Some(server)) = (servers.is_empty(), first) {
        let notice = server.maintenance.as_deref().unwrap_or_default();
        let id = &server.id;
        return Err(Fault::new(
            code::MAINTENANCE_MODE,
            format!("security server {id} is in maintenance mode: {notice}"),
        ));
    }
    let mut addresses: Vec<Arc<str>> = Vec::with_capacity(servers.len());
    for address in servers.iter().filter_map(|server| server.address.as_deref()) {
        if !addresses.iter().any(|known| **known == *address) {
            addresses.push(Arc::from(address));
        }
    }
    Ok(addresses)
}

fn has_address(server: &RegisteredServer) -> bool {
    server.address.as_deref().is_some_and(|address| !address.trim().is_empty())
}

/// What is known about addresses: which answered fastest, and which do not answer. Shared by all
/// workers; it is asked only when a provider has several servers.
#[derive(Debug, Default)]
pub(crate) struct Health {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    winners: HashMap<Vec<Arc<str>>, (Arc<str>, Instant)>,
    failing: HashMap<Arc<str>, Failing>,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    pause: Duration,
    until: Instant,
}

/// Which addresses to try first.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Preference {
    /// This one is known to answer fastest.
    Winner(Arc<str>),
    /// Nothing is known: whichever of these connects first.
    Race(Vec<Arc<str>>),
}

impl Health {
    /// Which of `addresses` to try. Those that failed lately are left out while others remain; after
    /// their pause they take part again.
    pub(crate) fn preference(&self, addresses: &[Arc<str>], now: Instant) -> Preference {
        let known = self.lock();
        let is_paused =
            |address: &Arc<str>| known.failing.get(address).is_some_and(|failing| now < failing.until);
        if let Some((winner, since)) = known.winners.get(addresses)
            && now.duration_since(*since) < WINNER_LIFE
            && !is_paused(winner)
        {
            return Preference::Winner(Arc::clone(winner));
        }
        let healthy: Vec<_> = addresses.iter().filter(|address| !is_paused(address)).cloned().collect();
        Preference::Race(if healthy.is_empty() { addresses.to_vec() } else { healthy })
    }

    /// `address` was reached first among `addresses`.
    pub(crate) fn won(&self, addresses: &[Arc<str>], address: &Arc<str>, now: Instant) {
        let mut known = self.lock();
        known.failing.remove(address);
        if addresses.len() > 1 {
            // A configuration has few different sets; whoever changes it often must not fill memory.
            if known.winners.len() > 10_000 {
                known.winners.clear();
            }
            known.winners.insert(addresses.to_vec(), (Arc::clone(address), now));
        }
    }

    /// `address` could not be reached, or showed a certificate that does not count.
    pub(crate) fn failed(&self, address: &Arc<str>, now: Instant) {
        let mut known = self.lock();
        let pause = known.failing.get(address).map_or(FIRST_PAUSE, |failing| failing.pause * 2);
        let pause = pause.min(LONGEST_PAUSE);
        known.failing.insert(Arc::clone(address), Failing { pause, until: now + pause });
        known.winners.retain(|_, (winner, _)| winner != address);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use protocol::configuration::{Instance, SharedParameters};
    use protocol::id::MemberId;
    use protocol::time::UtcTime;

    use super::*;

    fn member(code: &str) -> MemberId {
        MemberId::new("CW", "GOV", code).expect("a member")
    }

    fn server(
        code: &str,
        address: Option<&str>,
        maintenance: Option<&str>,
        clients: &[&str],
    ) -> RegisteredServer {
        RegisteredServer {
            id: SecurityServerId::new(member("owner"), code).expect("a server"),
            address: address.map(str::to_owned),
            certificate_hashes: Vec::new(),
            clients: clients.iter().map(|client| member(client).into()).collect(),
            maintenance: maintenance.map(str::to_owned),
        }
    }

    #[test]
    fn candidates_follow_the_configuration() {
        let shared = SharedParameters {
            instance: "CW".to_owned(),
            servers: vec![
                server("one", Some("a"), None, &["x", "y"]),
                server("two", Some("b"), Some("upgrade"), &["x", "z"]),
                server("three", Some("a"), None, &["x"]),
                server("four", Some(" "), None, &["x", "w"]),
                server("five", None, None, &["w"]),
            ],
            ..SharedParameters::default()
        };
        let instance = Instance::new(shared, 6, UtcTime::from_seconds(1));
        let configuration = GlobalConfiguration {
            own_instance: "CW".to_owned(),
            instances: HashMap::from([("CW".to_owned(), Arc::new(instance))]),
        };
        let check = |client: &str, target: Option<&str>, expected: Result<&[&str], &str>| {
            let target = target.map(|code| SecurityServerId::new(member("owner"), code).expect("a server"));
            let found = candidates(&configuration, &member(client).into(), target.as_ref());
            let found =
                found.as_ref().map(|addresses| addresses.iter().map(AsRef::as_ref).collect::<Vec<_>>());
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{client}"),
                (Err(fault), Err(expected)) => assert_eq!(fault.code, expected, "{client}"),
                (found, expected) => panic!("{client}: {found:?}, not {expected:?}"),
            }
        };
        check("x", None, Ok(&["a"]));
        check("owner", None, Ok(&["a"]));
        check("x", Some("three"), Ok(&["a"]));
        check("x", Some("two"), Err("maintenance_mode"));
        check("z", None, Err("maintenance_mode"));
        check("y", Some("three"), Err("invalid_security_server"));
        check("x", Some("four"), Err("invalid_security_server"));
        check("w", None, Err("unknown_member"));
        check("nobody", None, Err("unknown_member"));
    }

    #[test]
    fn the_fastest_is_preferred_until_it_fails() {
        let health = Health::default();
        let set: Vec<Arc<str>> = vec![Arc::from("a"), Arc::from("b")];
        let start = Instant::now();
        assert_eq!(health.preference(&set, start), Preference::Race(set.clone()));
        health.won(&set, &set[1], start);
        assert_eq!(health.preference(&set, start), Preference::Winner(Arc::clone(&set[1])));
        assert_eq!(health.preference(&set, start + WINNER_LIFE), Preference::Race(set.clone()));
        health.failed(&set[1], start);
        assert_eq!(health.preference(&set, start), Preference::Race(vec![Arc::clone(&set[0])]));
        assert_eq!(health.preference(&set, start + FIRST_PAUSE), Preference::Race(set.clone()));
        health.failed(&set[0], start);
        health.failed(&set[1], start);
        assert_eq!(
            health.preference(&set, start),
            Preference::Race(set.clone()),
            "all failing: all are tried"
        );
        let later = start + FIRST_PAUSE;
        assert_eq!(health.preference(&set, later), Preference::Race(vec![Arc::clone(&set[0])]));
    }
}
