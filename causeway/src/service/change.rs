//! Commands that change the state of a node whose file declares no clients.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use gateway::ports::{ServiceTls, ServiceType};
use protocol::id::{GlobalGroupId, decode_segment};
use security_server::config::Config;
use security_server::description::catalogue::{self, Source};
use security_server::description::{DescriptionError, Document, full_code, rights};
use security_server::node::open_state_as_it_is;
use security_server::state::{AccessRight, ClientSettings, Subject};

use super::{Kind, Problem, client_id, identity, read, read_config, unusable};

/// Which client of which server.
#[derive(Args, Debug)]
pub(super) struct Place {
    /// The server's TOML file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The client that offers the service: instance/class/member/subsystem.
    #[arg(long)]
    client: String,
}

/// Arguments of `add`.
#[derive(Args, Debug)]
pub(super) struct AddArgs {
    #[command(flatten)]
    place: Place,
    /// What is added.
    #[arg(long = "type", value_enum)]
    kind: Kind,
    /// Where the document is; of a plain REST service, where the service is.
    #[arg(long)]
    url: String,
    /// The service code of a REST service. A WSDL brings the codes of its services.
    #[arg(long)]
    code: Option<String>,
    /// Adds it in spite of warnings.
    #[arg(long)]
    accept: bool,
    /// A program that judges WSDLs. It gets the URL; what it prints is a warning, a status other than 0 an error.
    #[arg(long, value_name = "PROGRAM")]
    validator: Option<PathBuf>,
}

/// Arguments of `enable` and `remove`.
#[derive(Args, Debug)]
pub(super) struct DescriptionArgs {
    #[command(flatten)]
    place: Place,
    /// The URL of the description; of a plain REST service, where the service is.
    #[arg(long)]
    url: String,
}

/// Arguments of `disable`.
#[derive(Args, Debug)]
pub(super) struct DisableArgs {
    #[command(flatten)]
    description: DescriptionArgs,
    /// What callers are told.
    #[arg(long, default_value = catalogue::NEW)]
    notice: String,
}

/// Arguments of `set`.
#[derive(Args, Debug)]
pub(super) struct SetArgs {
    #[command(flatten)]
    place: Place,
    /// The service code; with a version, code.version.
    #[arg(long)]
    service: String,
    /// Where it is.
    #[arg(long)]
    url: Option<String>,
    /// Seconds allowed for each read.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout_seconds: Option<u64>,
    /// How the provider's certificate is checked.
    #[arg(long, value_enum)]
    tls: Option<Tls>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Tls {
    /// One of the client's certificates.
    Pinned,
    /// A root of the platform and the host name.
    Verified,
    /// Not at all.
    Unchecked,
}

/// Arguments of `endpoint`.
#[derive(Args, Debug)]
pub(super) struct EndpointArgs {
    #[command(flatten)]
    place: Place,
    /// The service code.
    #[arg(long)]
    service: String,
    /// HTTP method; * is every one.
    #[arg(long, default_value = "*")]
    method: String,
    /// Path pattern: * is anything but a slash, ** is anything.
    #[arg(long)]
    path: String,
    /// Removes it, with the rights to it.
    #[arg(long)]
    remove: bool,
}

/// Arguments of `allow` and `deny`.
#[derive(Args, Debug)]
pub(super) struct RightArgs {
    #[command(flatten)]
    place: Place,
    /// The service code; all its versions are meant.
    #[arg(long)]
    service: String,
    /// HTTP method; * is every one.
    #[arg(long, default_value = "*")]
    method: String,
    /// Path pattern: * is anything but a slash, ** is anything.
    #[arg(long, default_value = "**")]
    path: String,
    #[command(flatten)]
    whom: Whom,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Whom {
    /// A client; a member does not stand for its subsystems.
    #[arg(long, value_name = "CLIENT")]
    to: Option<String>,
    /// A group of a global configuration: instance/code.
    #[arg(long, value_name = "GROUP")]
    to_global_group: Option<String>,
    /// A local group of the client that offers the service.
    #[arg(long, value_name = "CODE")]
    to_local_group: Option<String>,
}

pub(super) async fn add(arguments: &AddArgs) -> Result<ExitCode, Problem> {
    let (url, service_type) = (arguments.url.as_str(), ServiceType::from(arguments.kind));
    let config = deciding(&arguments.place.config)?;
    let code = match (service_type, &arguments.code) {
        (ServiceType::Soap, None) => "",
        (ServiceType::Soap, Some(_)) => return Err(unusable("a WSDL brings the codes of its services")),
        (_, Some(code)) => code,
        (_, None) => return Err(unusable("a REST service needs a --code")),
    };
    let mut warnings = Vec::new();
    let document = if service_type == ServiceType::Rest {
        None
    } else {
        let identity = identity(&config.internal_tls_folder())?;
        let found = read(service_type, url, identity.as_ref(), arguments.validator.as_ref()).await?;
        warnings = found.warnings;
        Some(found.document)
    };
    if !arguments.accept && !warnings.is_empty() {
        return Err(DescriptionError::Warnings(warnings).into());
    }
    let source = match &document {
        None => Source::Rest { url, code },
        Some(Document::Wsdl(document)) => Source::Wsdl { url, document },
        Some(Document::OpenApi(document)) => Source::OpenApi { url, document, code },
    };
    change(&config, &arguments.place.client, true, |client| {
        let keys = catalogue::add(client, source, arguments.accept)?;
        keys.iter().for_each(|key| println!("+ service {}", full_code(key)));
        Ok(())
    })
}

pub(super) fn enable(arguments: &DescriptionArgs) -> Result<ExitCode, Problem> {
    at(&arguments.place, |client| catalogue::switch(client, &arguments.url, None))
}

pub(super) fn disable(arguments: &DisableArgs) -> Result<ExitCode, Problem> {
    let DescriptionArgs { place, url } = &arguments.description;
    at(place, |client| catalogue::switch(client, url, Some(&arguments.notice)))
}

pub(super) fn remove(arguments: &DescriptionArgs) -> Result<ExitCode, Problem> {
    at(&arguments.place, |client| catalogue::remove(client, &arguments.url))
}

pub(super) fn set(arguments: &SetArgs) -> Result<ExitCode, Problem> {
    let tls = arguments.tls.map(|tls| match tls {
        Tls::Pinned => ServiceTls::Pinned,
        Tls::Verified => ServiceTls::Verified,
        Tls::Unchecked => ServiceTls::Unchecked,
    });
    let timeout = arguments.timeout_seconds.map(Duration::from_secs);
    at(&arguments.place, |client| {
        catalogue::set(client, &arguments.service, arguments.url.as_deref(), timeout, tls)
    })
}

pub(super) fn endpoint(arguments: &EndpointArgs) -> Result<ExitCode, Problem> {
    let EndpointArgs { place, service, method, path, remove } = arguments;
    at(place, |client| {
        if *remove {
            rights::remove_endpoint(client, service, method, path)
        } else {
            rights::add_endpoint(client, service, method, path)
        }
    })
}

pub(super) fn allow(arguments: &RightArgs) -> Result<ExitCode, Problem> {
    let right = right(arguments)?;
    at(&arguments.place, |client| rights::grant(client, right, None))
}

pub(super) fn deny(arguments: &RightArgs) -> Result<ExitCode, Problem> {
    let right = right(arguments)?;
    at(&arguments.place, |client| rights::revoke(client, right))
}

fn right(arguments: &RightArgs) -> Result<AccessRight, Problem> {
    let Whom { to, to_global_group, to_local_group } = &arguments.whom;
    let subject = match (to, to_global_group, to_local_group) {
        (Some(client), ..) => Subject::Client(client_id(client)?),
        (None, Some(group), _) => {
            let (instance, code) =
                group.split_once('/').ok_or_else(|| unusable("write a group as instance/code"))?;
            let instance = decode_segment(instance).map_err(unusable)?;
            let code = decode_segment(code).map_err(unusable)?;
            Subject::GlobalGroup(GlobalGroupId::new(&instance, &code).map_err(unusable)?)
        }
        (None, None, group) => Subject::LocalGroup(group.clone().unwrap_or_default()),
    };
    Ok(AccessRight {
        service_code: arguments.service.clone(),
        method: Some(arguments.method.clone()),
        path: Some(arguments.path.clone()),
        subject,
    })
}

fn at(
    place: &Place,
    action: impl FnOnce(&mut ClientSettings) -> Result<(), DescriptionError>,
) -> Result<ExitCode, Problem> {
    change(&deciding(&place.config)?, &place.client, false, action)
}

/// The configuration of a node whose state decides about clients.
fn deciding(file: &Path) -> Result<Config, Problem> {
    let config = read_config(file)?;
    if config.clients.is_some() {
        let file = file.display();
        return Err(unusable(format!(
            "{file} declares the clients of this server, so it decides; change it there"
        )));
    }
    Ok(config)
}

/// Changes one client in one durable step.
fn change(
    config: &Config,
    client: &str,
    may_be_new: bool,
    action: impl FnOnce(&mut ClientSettings) -> Result<(), DescriptionError>,
) -> Result<ExitCode, Problem> {
    let id = client_id(client)?;
    let state = open_state_as_it_is(config).map_err(unusable)?;
    let mut local = state.load().map_err(unusable)?;
    if !may_be_new && !local.clients.contains_key(&id) {
        return Err(unusable(format!("the server has no client {id}")));
    }
    // A client that is new is one that offers services: its systems may not call before more is said.
    let settings = local.clients.entry(id).or_insert_with(|| ClientSettings {
        connection_type: gateway::ports::ConnectionType::Https,
        ..ClientSettings::default()
    });
    action(settings)?;
    for change in state.replace(&local, gateway::Clock::system().now()).map_err(unusable)? {
        println!("{change}");
    }
    Ok(ExitCode::SUCCESS)
}
