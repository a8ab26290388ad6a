//! `causeway log archive`: archives of a message log, made by hand.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use gateway::Clock;
use protocol::id::ClientId;
use security_server::archive::{Archiver, Encryption, Grouping, Recipient, Settings};

use super::{Place, open, text};

/// How archives are made.
#[derive(Args, Debug)]
pub(super) struct ArchiveArgs {
    #[command(flatten)]
    log: Place,
    /// Folder for the archives; made if it is missing. What was archived is written down in it, in
    /// archiving.json, so that the next archive continues the chain.
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// Which records share a chain of archives: none (all of them), member, or subsystem.
    #[arg(long, value_name = "WORD", default_value = "none")]
    grouping: String,
    /// Megabytes of containers after which an archive is ended.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=4096))]
    max_file_megabytes: u64,
    /// Encrypts archives with OpenPGP, signed with the secret key in this file; made if it is missing.
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,
    /// A public key for archives of members that have none of their own. May be given several times.
    #[arg(long, value_name = "FILE", requires = "signing_key")]
    default_key: Vec<PathBuf>,
    /// A public key for archives of one member. May be given several times.
    #[arg(long, value_name = "INSTANCE/CLASS/CODE=FILE", requires = "signing_key")]
    member_key: Vec<String>,
}

/// Archives what has a time-stamp and is in no archive yet.
pub(super) fn run(arguments: &ArchiveArgs) -> Result<ExitCode, String> {
    let grouping = Grouping::from_name(&arguments.grouping)
        .ok_or_else(|| format!("--grouping: {} is none of none, member, subsystem", arguments.grouping))?;
    let reader = open(&arguments.log)?;
    let clock = Clock::system();
    let settings = Settings {
        grouping,
        max_file_size: arguments.max_file_megabytes << 20,
        encryption: encryption(arguments, clock)?.map(Arc::new),
        ..Settings::new(&arguments.to)
    };
    let mut archiver = Archiver::open(settings, clock).map_err(text)?;
    let done = archiver.run(&reader).map_err(text)?;
    for file in &done.files {
        println!("{}", file.display());
    }
    eprintln!("causeway: {} records in {} archives", done.records, done.files.len());
    let waiting = reader.size().saturating_sub(archiver.archived_until());
    if waiting > 0 {
        eprintln!("causeway: {waiting} records wait for a time-stamp; try again in a minute");
    }
    Ok(ExitCode::SUCCESS)
}

fn encryption(arguments: &ArchiveArgs, clock: Clock) -> Result<Option<Encryption>, String> {
    let Some(signing_key) = &arguments.signing_key else { return Ok(None) };
    let now = clock.now();
    let mut encryption = Encryption::open(signing_key, "Causeway archives", now).map_err(text)?;
    for file in &arguments.default_key {
        encryption.add_default(Recipient::open(file, now).map_err(text)?);
    }
    for pair in &arguments.member_key {
        let (member, file) = pair
            .split_once('=')
            .ok_or_else(|| format!("--member-key: {pair} is not INSTANCE/CLASS/CODE=FILE"))?;
        let member = ClientId::parse_encoded(member)
            .ok()
            .filter(|client| client.subsystem().is_none())
            .ok_or_else(|| format!("--member-key: {member} is not INSTANCE/CLASS/CODE"))?
            .member()
            .clone();
        encryption.add_member(member, Recipient::open(file.as_ref(), now).map_err(text)?);
    }
    Ok(Some(encryption))
}
