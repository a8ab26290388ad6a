//! A scripted random life of an instance: step N of a seed does the same wherever it is played, given the
//! same instance before it.

use protocol::configuration::{CostType, NodeClass};
use protocol::id::{ClientId, MemberId, SecurityServerId};

use crate::instance::{Actor, Authority, Desk, Refusal, SOFTWARE_TOKEN, SettingsChange};
use crate::publish::SourceKind;
use crate::requests::Content;

/// Members, subsystems and servers are of few, so that steps meet.
const MEMBERS: u64 = 6;
const SUBSYSTEMS: u64 = 3;
const SERVERS: u64 = 3;

/// Random numbers that are the same everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64, step: u64) -> Self {
        let mut dice = Self(seed ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d);
        for _ in 0..3 {
            dice.roll(1);
        }
        dice
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.max(1);
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Certificates that servers register, made once for all who play the script.
pub(crate) struct Pool {
    pub(crate) certificates: Vec<Vec<u8>>,
    pub(crate) authorities: Vec<Vec<u8>>,
}

fn member(dice: &mut Dice) -> MemberId {
    let class = if dice.roll(3) == 0 { "COM" } else { "GOV" };
    MemberId::new("CW", class, &format!("m{}", dice.roll(MEMBERS))).unwrap()
}

fn client(dice: &mut Dice) -> ClientId {
    let member = member(dice);
    match dice.roll(SUBSYSTEMS + 1) {
        0 => member.into(),
        number => ClientId::new(member, Some(&format!("s{number}"))).unwrap(),
    }
}

fn server(dice: &mut Dice) -> SecurityServerId {
    SecurityServerId::new(member(dice), &format!("SS{}", dice.roll(SERVERS))).unwrap()
}

/// A server that is there, if there is one; most requests are about such.
fn known_server(desk: &Desk, dice: &mut Dice) -> SecurityServerId {
    let look = desk.look();
    let count = look.servers().len() as u64;
    if count == 0 || dice.roll(10) == 0 {
        return server(dice);
    }
    let number = usize::try_from(dice.roll(count)).unwrap();
    look.servers().keys().nth(number).cloned().unwrap()
}

/// A client of that server, if it has one.
fn known_client(desk: &Desk, server: &SecurityServerId, dice: &mut Dice) -> ClientId {
    let look = desk.look();
    let clients = look.server(server).map(|entry| &entry.clients);
    let count = clients.map_or(0, |clients| clients.len() as u64);
    if count == 0 || dice.roll(5) == 0 {
        return client(dice);
    }
    let number = usize::try_from(dice.roll(count)).unwrap();
    clients.and_then(|clients| clients.keys().nth(number)).cloned().unwrap()
}

fn pending(desk: &Desk, dice: &mut Dice) -> u32 {
    let look = desk.look();
    let ids: Vec<u32> = look.pending_requests().map(|request| request.id).collect();
    match ids.len() as u64 {
        0 => u32::try_from(1 + dice.roll(50)).unwrap(),
        count => ids[usize::try_from(dice.roll(count)).unwrap()],
    }
}

fn content(desk: &Desk, id: &SecurityServerId, dice: &mut Dice, pool: &Pool) -> Content {
    let certificate = |dice: &mut Dice| {
        let number = usize::try_from(dice.roll(pool.certificates.len() as u64)).unwrap();
        pool.certificates[number].clone().into()
    };
    let name = |dice: &mut Dice| format!("name {}", dice.roll(5));
    match dice.roll(16) {
        0..=2 => Content::CertificateRegistration {
            certificate: certificate(dice),
            address: Some(format!("host{}.example", dice.roll(9))),
        },
        3..=6 => Content::ClientRegistration {
            client: client(dice),
            subsystem_name: (dice.roll(2) == 0).then(|| name(dice)),
        },
        7 => Content::CertificateDeletion { certificate: certificate(dice) },
        8 => Content::ClientDeletion { client: known_client(desk, id, dice) },
        9 => Content::ClientDisable { client: known_client(desk, id, dice) },
        10 => Content::ClientEnable { client: known_client(desk, id, dice) },
        11 => Content::ClientRename { client: known_client(desk, id, dice), subsystem_name: name(dice) },
        12 => Content::OwnerChange { client: known_client(desk, id, dice) },
        13 => Content::AddressChange { address: format!("host{}.example", dice.roll(9)) },
        14 => Content::MaintenanceModeEnable { message: Some(name(dice)) },
        _ => Content::MaintenanceModeDisable,
    }
}

/// Plays one step. Whether it was refused does not matter to who plays.
pub(crate) fn step(desk: &Desk, seed: u64, number: u64, pool: &Pool) -> Result<(), Refusal> {
    let dice = &mut Dice::new(seed, number);
    let person = Actor::Person(format!("p{}", dice.roll(3)));
    let code = |member: &MemberId| (member.class().to_owned(), member.code().to_owned());
    match dice.roll(40) {
        0..=3 => {
            let (class, code) = code(&member(dice));
            desk.add_member(&class, &code, &format!("name {number}")).map(drop)
        }
        4 => desk.rename_member(&member(dice), &format!("name {number}")).map(drop),
        5 => desk.delete_member(&member(dice)),
        6..=7 => {
            let (member, code) = (member(dice), format!("s{}", 1 + dice.roll(SUBSYSTEMS)));
            desk.add_subsystem(&member, &code, None).map(drop)
        }
        8 => desk.delete_subsystem(&client(dice)),
        9..=20 => {
            let registers = dice.roll(3) == 0;
            let id = if registers { server(dice) } else { known_server(desk, dice) };
            let content = content(desk, &id, dice, pool);
            let actor = if dice.roll(4) == 0 { person } else { Actor::SecurityServer };
            desk.add_request(&actor, &id, content, None).map(drop)
        }
        21..=27 => desk.approve_request(&person, pending(desk, dice)).map(drop),
        28 => desk.revoke_request(&person, pending(desk, dice)).map(drop),
        29 => {
            let id = known_server(desk, dice);
            desk.delete_server(&person, &id)
        }
        30 => {
            let id = known_server(desk, dice);
            let client = known_client(desk, &id, dice);
            desk.unregister_client(&person, &id, &client)
        }
        31 => {
            let code = format!("g{}", dice.roll(3));
            match dice.roll(3) {
                0 => desk.delete_group(&code),
                _ => desk.add_group(&code, "a group").map(drop),
            }
        }
        32..=33 => {
            let code = format!("g{}", dice.roll(3));
            desk.add_group_members(&code, &[client(dice), client(dice), client(dice)]).map(drop)
        }
        34 => desk.delete_group_member(&format!("g{}", dice.roll(3)), &client(dice)),
        35 => match dice.roll(2) {
            0 => desk.set_provider(&client(dice)).map(drop),
            _ => {
                let id = known_server(desk, dice);
                desk.register_provider(&person, &id).map(drop)
            }
        },
        36 => {
            let number = dice.roll(pool.authorities.len() as u64);
            let der = &pool.authorities[usize::try_from(number).unwrap()];
            match dice.roll(4) {
                0 => desk.add_intermediate_ca(1, der).map(drop),
                1 => desk.delete_intermediate_ca(u32::try_from(1 + dice.roll(9)).unwrap()),
                2 => {
                    let below = Authority::Intermediate(u32::try_from(1 + dice.roll(9)).unwrap());
                    desk.add_responder(below, "http://o", None, CostType::Paid).map(drop)
                }
                _ => desk.add_responder(Authority::Service(1), "http://o", None, CostType::Free).map(drop),
            }
        }
        37 => {
            let ocsp_freshness_seconds = Some(600 + dice.roll(600));
            desk.change_settings(SettingsChange { ocsp_freshness_seconds, ..SettingsChange::default() })
                .map(drop)
        }
        38 => {
            let id = known_server(desk, dice);
            let class = (dice.roll(3) > 0).then_some(NodeClass::State);
            desk.set_server_class(&id, class).map(drop)
        }
        _ => keys(desk, number, dice),
    }
}

/// Keys have random identifiers, so they are told apart by their labels.
fn keys(desk: &Desk, number: u64, dice: &mut Dice) -> Result<(), Refusal> {
    let source = SourceKind::ALL[usize::try_from(dice.roll(2)).unwrap()];
    let labelled = |active: bool| {
        let look = desk.look();
        look.keys_of(source).into_iter().find(|key| key.active == active).map(|key| key.id.clone())
    };
    match (dice.roll(3), labelled(false)) {
        (0, Some(id)) => desk.activate_signing_key(&id, true).map(drop),
        (1, Some(id)) => desk.delete_signing_key(&id).map(drop),
        _ => desk.add_signing_key(source, SOFTWARE_TOKEN, &format!("key {number}")).map(drop),
    }
}
