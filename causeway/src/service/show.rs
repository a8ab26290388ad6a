//! Commands that look.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use gateway::ports::ServiceType;
use protocol::id::ClientId;
use security_server::description::{Document, Warning, full_code, validate};
use security_server::node::open_state_as_it_is;
use security_server::state::{ClientSettings, Endpoint, LocalConfiguration, ServiceKey, ServiceSettings};

use super::{Kind, Problem, read, read_config, tell, unusable};

/// Arguments of `list`.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// The server's TOML file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// One JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn list(arguments: &ListArgs) -> Result<ExitCode, Problem> {
    let config = read_config(&arguments.config)?;
    let local = match config.clients.clone() {
        Some(declared) => declared,
        None => open_state_as_it_is(&config).map_err(unusable)?.load().map_err(unusable)?,
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&json(&local)).map_err(unusable)?);
    } else {
        local.clients.iter().for_each(|(id, client)| print(id, client));
    }
    Ok(ExitCode::SUCCESS)
}

fn json(local: &LocalConfiguration) -> serde_json::Value {
    let service = |(key, service): (&ServiceKey, &ServiceSettings)| {
        let endpoint = |part: &Endpoint| serde_json::json!({ "method": part.method, "path": part.path, "generated": part.generated });
        serde_json::json!({
            "code": key.code,
            "version": key.version,
            "type": service.service_type.name(),
            "title": service.title,
            "url": service.url,
            "description": service.description,
            "timeout_seconds": service.timeout.as_secs(),
            "disabled": service.disabled,
            "endpoints": service.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        })
    };
    let client = |(id, client): (&ClientId, &ClientSettings)| {
        serde_json::json!({
            "id": id.encoded(),
            "services": client.services.iter().map(service).collect::<Vec<_>>(),
            "rights": client.rights.keys().map(ToString::to_string).collect::<Vec<_>>(),
        })
    };
    serde_json::json!({ "clients": local.clients.iter().map(client).collect::<Vec<_>>() })
}

fn print(id: &ClientId, client: &ClientSettings) {
    println!("{id}");
    for (key, service) in &client.services {
        print_service(key, service);
        for right in client.rights.keys().filter(|right| right.service_code == key.code) {
            let (method, path) =
                (right.method.as_deref().unwrap_or("*"), right.path.as_deref().unwrap_or("**"));
            println!("      allowed {method} {path} for {}", right.subject);
        }
    }
}

fn print_service(key: &ServiceKey, service: &ServiceSettings) {
    let title = service.title.as_ref().map(|title| format!(" ({title})")).unwrap_or_default();
    println!("  {} {}{title} → {}", service.service_type.name(), full_code(key), service.url);
    if let Some(description) = &service.description {
        println!("      described by {description}");
    }
    if let Some(notice) = &service.disabled {
        println!("      switched off: {notice}");
    }
    for endpoint in &service.endpoints {
        let by_hand = if endpoint.generated { "" } else { " (by hand)" };
        println!("      endpoint {} {}{by_hand}", endpoint.method, endpoint.path);
    }
}

/// Arguments of `check`.
#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// What it is.
    #[arg(long = "type", value_enum)]
    kind: Kind,
    /// URL or file.
    #[arg(value_name = "URL|FILE")]
    source: String,
    /// A program that judges WSDLs. It gets the URL; what it prints is a warning, a status other than 0 an error.
    #[arg(long, value_name = "PROGRAM")]
    validator: Option<PathBuf>,
}

pub(super) async fn check(arguments: &CheckArgs) -> Result<ExitCode, Problem> {
    let service_type = ServiceType::from(arguments.kind);
    let source = &arguments.source;
    let (document, warnings) = if source.starts_with("http://") || source.starts_with("https://") {
        let found = read(service_type, source, None, arguments.validator.as_ref()).await?;
        (found.document, found.warnings)
    } else {
        of_file(service_type, source, arguments.validator.as_ref()).await?
    };
    for (key, service) in document.services(source, "") {
        match &document {
            Document::Wsdl(_) => print_service(&key, &service),
            Document::OpenApi(found) => {
                println!(
                    "OpenAPI {}: {} → {}",
                    found.version,
                    found.title.as_deref().unwrap_or("-"),
                    service.url
                );
                for endpoint in &service.endpoints {
                    println!("      endpoint {} {}", endpoint.method, endpoint.path);
                }
            }
        }
    }
    tell(&warnings);
    Ok(ExitCode::SUCCESS)
}

async fn of_file(
    service_type: ServiceType,
    source: &str,
    validator: Option<&PathBuf>,
) -> Result<(Document, Vec<Warning>), Problem> {
    let file = std::path::absolute(source).map_err(unusable)?;
    let octets = std::fs::read(&file).map_err(|error| unusable(format!("{source}: {error}")))?;
    // A relative server of a file is shown as one of this host, since the file does not say where it comes from.
    let document = Document::parse_copy(service_type, &octets, source, "http://localhost/")?;
    let mut warnings = document.warnings().to_vec();
    if let Some(validator) = validator.filter(|_| service_type == ServiceType::Soap) {
        warnings.extend(validate(validator, &format!("file://{}", file.display())).await?);
    }
    Ok((document, warnings))
}
