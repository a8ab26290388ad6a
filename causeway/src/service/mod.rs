//! `causeway service`: what the clients of a security server offer, and to whom.
//!
//! Where the server's file declares clients, it decides: then these commands look, and `refresh` replaces the
//! copies of documents. Otherwise they change the node's own state, while the node does not run.

mod change;
mod refresh;
mod show;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use gateway::ports::ServiceType;
use gateway::tls::Identity;
use protocol::id::ClientId;
use security_server::config::Config;
use security_server::description::{DescriptionError, Document, Warning, WarningKind, fetch, validate};
use security_server::node::load_internal;

use crate::roles::explain;

/// Imports and refreshes service descriptions, and gives access rights.
///
/// Works on the file and the state folder of one security server. What the file declares is changed in the
/// file; everything else is changed here while the server does not run. The status is 0 if all is well, 1 if
/// something is refused or waits for --accept, 2 if files cannot be used.
#[derive(Args, Debug)]
pub struct ServiceArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists clients with their services, endpoints and access rights.
    List(show::ListArgs),
    /// Reads a WSDL or OpenAPI document and tells what it describes.
    Check(show::CheckArgs),
    /// Reads documents again, shows what is different, and with --accept takes it over.
    Refresh(refresh::RefreshArgs),
    /// Adds the services of a document, or a plain REST service; they are switched off at first.
    Add(change::AddArgs),
    /// Switches all services of a description on.
    Enable(change::DescriptionArgs),
    /// Switches all services of a description off.
    Disable(change::DisableArgs),
    /// Removes a description with its services and the rights to them.
    Remove(change::DescriptionArgs),
    /// Changes where and how a service is reached.
    Set(change::SetArgs),
    /// Adds or removes an endpoint of a REST service.
    Endpoint(change::EndpointArgs),
    /// Gives an access right.
    Allow(change::RightArgs),
    /// Takes an access right away.
    Deny(change::RightArgs),
}

/// A kind of description.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// A WSDL 1.1 document.
    Wsdl,
    /// An OpenAPI document, 3.0 or 3.1.0.
    Openapi,
    /// The base URL of a REST service.
    Rest,
}

impl From<Kind> for ServiceType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Wsdl => Self::Soap,
            Kind::Openapi => Self::OpenApi,
            Kind::Rest => Self::Rest,
        }
    }
}

/// Why a command did nothing.
enum Problem {
    /// Something is refused; the code tells scripts what.
    Refused(DescriptionError),
    /// Files or arguments cannot be used.
    Unusable(String),
}

impl From<DescriptionError> for Problem {
    fn from(error: DescriptionError) -> Self {
        Self::Refused(error)
    }
}

fn unusable(error: impl Display) -> Problem {
    Problem::Unusable(error.to_string())
}

/// Does what the arguments say.
pub async fn run(arguments: ServiceArgs) -> ExitCode {
    let done = match &arguments.command {
        Command::List(arguments) => show::list(arguments),
        Command::Check(arguments) => show::check(arguments).await,
        Command::Refresh(arguments) => refresh::run(arguments).await,
        Command::Add(arguments) => change::add(arguments).await,
        Command::Enable(arguments) => change::enable(arguments),
        Command::Disable(arguments) => change::disable(arguments),
        Command::Remove(arguments) => change::remove(arguments),
        Command::Set(arguments) => change::set(arguments),
        Command::Endpoint(arguments) => change::endpoint(arguments),
        Command::Allow(arguments) => change::allow(arguments),
        Command::Deny(arguments) => change::deny(arguments),
    };
    match done {
        Ok(code) => code,
        Err(Problem::Refused(DescriptionError::Warnings(warnings))) => {
            tell(&warnings);
            eprintln!("causeway: nothing was changed; --accept does it all the same");
            ExitCode::FAILURE
        }
        Err(Problem::Refused(error)) => {
            eprintln!("causeway: {}: {error}", error.code());
            ExitCode::FAILURE
        }
        Err(Problem::Unusable(problem)) => {
            eprintln!("causeway: {problem}");
            ExitCode::from(2)
        }
    }
}

/// Prints what somebody should look at.
fn tell(warnings: &[Warning]) {
    for warning in warnings {
        let sign = match warning.kind {
            WarningKind::AddingServices | WarningKind::AddingEndpoints => '+',
            WarningKind::DeletingServices | WarningKind::DeletingEndpoints => '-',
            WarningKind::OpenApiValidation | WarningKind::WsdlValidation => '!',
        };
        println!("warning: {}", warning.kind.code());
        warning.details.iter().for_each(|line| println!("  {sign} {line}"));
    }
}

fn client_id(text: &str) -> Result<ClientId, Problem> {
    ClientId::parse_encoded(text).map_err(|error| unusable(format!("{text}: {error}")))
}

fn read_config(file: &Path) -> Result<Config, Problem> {
    Config::read(file).map_err(|error| unusable(explain(&error)))
}

/// What the node shows to servers that ask for a certificate; a node that never ran has nothing yet.
fn identity(folder: &Path) -> Result<Option<Identity>, Problem> {
    load_internal(folder).map_err(|reason| unusable(format!("{}: {reason}", folder.display())))
}

/// A document that was fetched and read, with everything that somebody should look at.
struct Read {
    octets: bytes::Bytes,
    document: Document,
    warnings: Vec<Warning>,
}

async fn read(
    service_type: ServiceType,
    url: &str,
    identity: Option<&Identity>,
    validator: Option<&PathBuf>,
) -> Result<Read, DescriptionError> {
    let fetched = fetch(url, identity).await?;
    let document = Document::parse(service_type, &fetched.octets, fetched.content_type.as_deref(), url)?;
    let mut warnings = document.warnings().to_vec();
    if let Some(validator) = validator.filter(|_| service_type == ServiceType::Soap) {
        warnings.extend(validate(validator, url).await?);
    }
    Ok(Read { octets: fetched.octets, document, warnings })
}
