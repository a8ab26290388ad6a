//! `causeway call`: calls a service through a security server, for people.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use gateway::http::Outgoing;
use http::{HeaderMap, HeaderValue, Method};

use crate::client::{Call, Tls, call, parse_header};

/// Calls a service through your security server.
///
/// The status is 0 for an answer of the 2xx kind, 1 for any other answer, and 2 if there was none.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  causeway call --server http://127.0.1.11:8080 --client CW/GOV/1001/permits \\
      CW/DC/2001/population/persons/079200001234")]
pub struct CallArgs {
    /// What to call: instance, class, member, subsystem, service, then path and query of the service.
    #[arg(value_name = "SERVICE[/PATH][?QUERY]")]
    target: String,
    /// The security server: its address for information systems.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// Who calls: instance/class/member/subsystem.
    #[arg(long, value_name = "CLIENT")]
    client: String,
    /// The method; GET, or POST when there is a body.
    #[arg(short = 'X', long, value_name = "METHOD")]
    method: Option<String>,
    /// The body: text, @FILE, or @- for standard input.
    #[arg(short, long, value_name = "TEXT|@FILE")]
    data: Option<String>,
    /// Another header; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Where the body of the answer goes; standard output if missing.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Shows status, headers and time on standard error.
    #[arg(short, long)]
    verbose: bool,
    /// Certificates (PEM) to check the server's TLS certificate with. Without it any is taken.
    #[arg(long, value_name = "FILE")]
    ca: Option<String>,
    /// This system's certificate (PEM), when the client's connection type demands one.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<String>,
    /// Its private key (PEM).
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<String>,
    /// Seconds to wait for the answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

/// Makes the call.
pub async fn run(arguments: CallArgs) -> ExitCode {
    match exchange(arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("causeway: {error}");
            ExitCode::from(2)
        }
    }
}

async fn exchange(arguments: CallArgs) -> Result<bool, Box<dyn std::error::Error>> {
    let body = body(arguments.data.as_deref())?;
    let method = match &arguments.method {
        Some(method) => method.to_uppercase().parse::<Method>()?,
        None if arguments.data.is_some() => Method::POST,
        None => Method::GET,
    };
    let mut headers = HeaderMap::new();
    headers.insert("x-road-client", HeaderValue::from_str(&arguments.client)?);
    for text in &arguments.headers {
        let (name, value) = parse_header(text)?;
        headers.append(name, value);
    }
    let identity = arguments.certificate.as_deref().zip(arguments.key.as_deref());
    let tls = match (&arguments.ca, identity) {
        (None, None) => None,
        (ca, identity) => Some(Tls::new(ca.as_deref(), identity)?),
    };
    let url =
        format!("{}/r1/{}", arguments.server.trim_end_matches('/'), arguments.target.trim_start_matches('/'));
    let started = Instant::now();
    let timeout = Duration::from_secs(arguments.timeout);
    let answer =
        call(Call { method, url, headers, body: Outgoing::from(body), timeout }, tls.as_ref()).await?;
    if arguments.verbose {
        eprintln!("{} in {:.1} ms", answer.status, started.elapsed().as_secs_f64() * 1000.0);
        for (name, value) in &answer.headers {
            eprintln!("{name}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
    }
    match &arguments.output {
        Some(file) => std::fs::write(file, &answer.body)?,
        None => {
            let mut output = std::io::stdout().lock();
            output.write_all(&answer.body)?;
            if output.is_terminal() && !answer.body.ends_with(b"\n") {
                output.write_all(b"\n")?;
            }
        }
    }
    if !answer.status.is_success() && !arguments.verbose {
        eprintln!("causeway: the answer was {}", answer.status);
    }
    Ok(answer.status.is_success())
}

fn body(data: Option<&str>) -> std::io::Result<Bytes> {
    match data.map(|data| data.strip_prefix('@').ok_or(data)) {
        None => Ok(Bytes::new()),
        Some(Err(text)) => Ok(Bytes::from(text.to_owned())),
        Some(Ok("-")) => {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes)?;
            Ok(bytes.into())
        }
        Some(Ok(file)) => std::fs::read(file).map(Bytes::from),
    }
}
