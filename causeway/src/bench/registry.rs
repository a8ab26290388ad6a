//! `causeway bench registry`: a generated instance in a registry of its own, its lists and its publishing.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use gateway::Clock;
use protocol::configuration::{GlobalGroup, Member, Subsystem};
use protocol::id::{ClientId, GlobalGroupId, MemberId, SecurityServerId};
use registry::instance::{Initialisation, SOFTWARE_TOKEN};
use registry::publish::SourceKind;
use registry::state::{InstanceState, Management, Server, Settings};
use registry::{Config, Desk, Refusal, Registry, Running};

use super::report::{Floor, Report, Row};

const INSTANCE: &str = "BENCH";
const PIN: &str = "Benchmark-2026";
const CLASSES: [&str; 4] = ["GOV", "COM", "ORG", "EDU"];

/// How large the registry is.
#[derive(Args, Debug)]
pub(super) struct RegistryBenchArgs {
    /// Members.
    #[arg(long, default_value_t = 100_000)]
    members: usize,
    /// Subsystems.
    #[arg(long, default_value_t = 20_000)]
    subsystems: usize,
    /// Security servers.
    #[arg(long, default_value_t = 5_000)]
    servers: usize,
    /// Changes whose publication is measured.
    #[arg(long, default_value_t = 10)]
    changes: usize,
    /// The address that the registry serves at.
    #[arg(long, default_value = "127.0.0.1:0")]
    address: SocketAddr,
    /// Writes all figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Exits with 1 when a figure misses its floor.
    #[arg(long)]
    check: bool,
}

pub(super) async fn run(arguments: &RegistryBenchArgs) -> Result<bool, Box<dyn Error>> {
    let folder = tempfile::Builder::new().prefix("causeway-bench-").tempdir()?;
    let mut report = Report::new();
    report.print_header();
    let config = Config {
        http: arguments.address,
        https: None,
        period: Duration::from_secs(60),
        ..Config::administered(folder.path().join("state"))
    };
    let size = format!(
        "{} members, {} subsystems, {} servers",
        arguments.members, arguments.subsystems, arguments.servers
    );
    eprintln!("generating an instance of {size} in {}", folder.path().display());
    let running = Registry::start(config.clone(), Clock::system()).await?;
    set_up(&running, arguments).await?;
    published(&running).await?;

    let mut times = Vec::new();
    for number in 0..arguments.changes {
        let id = MemberId::new(INSTANCE, CLASSES[0], "000000")?;
        let started = Instant::now();
        at(&running, move |desk| desk.rename_member(&id, &format!("Renamed {number}"))).await?;
        published(&running).await?;
        times.push(started.elapsed().as_secs_f64());
    }
    let limit = Some(Floor::AtMost(2.0));
    report.push_rounds("R2", format!("publication of a change, {size}"), "s", &times, limit);
    running.stop().await;

    let started = Instant::now();
    let running = Registry::start(config, Clock::system()).await?;
    report.push(row(
        "",
        format!("start of a registry with {size}"),
        started.elapsed().as_secs_f64(),
        "s",
        None,
    ));
    running.stop().await;
    report.print();
    if let Some(file) = &arguments.json {
        std::fs::write(file, report.to_json())?;
    }
    Ok(!arguments.check || report.is_within_floors())
}

fn row(goal: &'static str, what: String, value: f64, unit: &'static str, floor: Option<Floor>) -> Row {
    Row { goal, what, value, unit, range: None, floor }
}

/// Does commands on a thread that may block.
async fn at<T: Send + 'static>(
    running: &Running,
    act: impl FnOnce(&Desk) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Box<dyn Error>> {
    let desk: Arc<Desk> = running.desk();
    Ok(tokio::task::spawn_blocking(move || act(&desk)).await??)
}

async fn published(running: &Running) -> Result<(), Box<dyn Error>> {
    let generation = running.desk().look().generation();
    let mut published = running.published();
    let wait = published.wait_for(|published| published.generation >= generation);
    tokio::time::timeout(Duration::from_secs(120), wait).await??;
    Ok(())
}

async fn set_up(running: &Running, arguments: &RegistryBenchArgs) -> Result<(), Box<dyn Error>> {
    let address = running.http().to_string();
    let state = generate(arguments)?;
    at(running, move |desk| {
        desk.initialise(Initialisation {
            instance: Some(INSTANCE.to_owned()),
            address: Some(address),
            pin: Some(PIN.to_owned().into()),
        })?;
        let started = Instant::now();
        desk.adopt(&state)?;
        eprintln!("taken over and kept in {:.1} s", started.elapsed().as_secs_f64());
        desk.login(SOFTWARE_TOKEN, PIN)?;
        for source in SourceKind::ALL {
            desk.add_signing_key(source, SOFTWARE_TOKEN, "benchmark")?;
        }
        Ok(())
    })
    .await
}

/// An instance of this size: subsystems spread over members, each on two servers.
fn generate(size: &RegistryBenchArgs) -> Result<InstanceState, Box<dyn Error>> {
    let class = |number: usize| CLASSES[number % CLASSES.len()];
    let id = |number: usize| MemberId::new(INSTANCE, class(number), &format!("{number:06}"));
    let mut members = Vec::with_capacity(size.members);
    for number in 0..size.members {
        let name = format!("Organisation {} of {}", scattered(number), class(number));
        members.push(Member { id: id(number)?, name, subsystems: Vec::new() });
    }
    let mut clients: Vec<ClientId> = Vec::with_capacity(size.subsystems);
    for number in 0..size.subsystems {
        let Some(member) = members.get_mut(number * 4 % size.members.max(1)) else { break };
        let code = format!("subsystem-{number}");
        clients.push(ClientId::new(member.id.clone(), Some(&code))?);
        member.subsystems.push(Subsystem { code, name: Some(format!("System {}", scattered(number))) });
    }
    let provider = clients.first().cloned().ok_or("at least one member and one subsystem")?;
    let mut servers = Vec::with_capacity(size.servers);
    for number in 0..size.servers {
        let owner = id(number * 7 % size.members)?;
        let of_server = (0..8).map(|which| clients[(number * 8 + which) % clients.len()].clone());
        let mut clients: Vec<ClientId> = of_server.filter(|client| *client.member() != owner).collect();
        clients.sort_unstable();
        clients.dedup();
        servers.push(Server {
            id: SecurityServerId::new(owner, &format!("ss{number}"))?,
            class: None,
            address: Some(format!("ss{number}.example.org")),
            // Only its digest is published; nothing here reads it.
            certificates: vec![format!("certificate of server {number}").repeat(30).into_bytes()],
            clients,
            maintenance: None,
        });
    }
    let group = GlobalGroup {
        id: GlobalGroupId::new(INSTANCE, "everybody")?,
        description: "A large group".to_owned(),
        members: clients.iter().take(5_000).cloned().collect(),
    };
    Ok(InstanceState {
        instance: INSTANCE.to_owned(),
        settings: Settings {
            ocsp_freshness_seconds: 3600,
            timestamping_interval_seconds: 60,
            ocsp_fetch_interval_seconds: None,
            verify_next_update: None,
            monitoring_client: None,
        },
        member_classes: CLASSES.iter().map(|class| ((*class).to_owned(), "A class".to_owned())).collect(),
        members,
        servers,
        certification_services: Vec::new(),
        timestamping_services: Vec::new(),
        groups: vec![group],
        policy: None,
        management: Management { provider, registration_address: None, registration_certificate: None },
        partners: Vec::new(),
        optional_parts: Vec::new(),
    })
}

/// A number that is nowhere near its neighbours, so that the order of names is not that of codes.
fn scattered(number: usize) -> u64 {
    (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
}
