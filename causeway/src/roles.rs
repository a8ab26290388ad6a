//! The roles: one process each, from one file each.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use gateway::Clock;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use security_server::config::Administered;
use security_server::node::Readiness;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use crate::up::children::READY;
use crate::{ca as authority, sample as system};

/// How long a server may take until it takes part in exchanges, before it says that it is ready anyway.
const LONGEST_PREPARATION: Duration = Duration::from_secs(10);

/// Prints the manual of a role's configuration file: every key with its meaning and default.
#[derive(Args, Debug)]
pub struct HelpConfigArgs {
    /// Which file.
    role: RoleName,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleName {
    /// The pilot authority.
    Ca,
    /// The registry.
    Registry,
    /// A configuration proxy.
    Proxy,
    /// A security server.
    Server,
}

/// Sends logs to standard error, as text or as JSON.
pub fn start_logging(filter: &str, json: bool) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|error| {
        eprintln!("causeway: log filter '{filter}' is not usable ({error}); using info");
        EnvFilter::new("info")
    });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json { builder.json().init() } else { builder.init() }
}

/// Runs the pilot authority.
pub async fn ca(config: &Path, end_with_parent: Option<i32>) -> ExitCode {
    run("ca", end_with_parent, async {
        let config = authority::Config::read(config).map_err(|error| in_file(config, &error))?;
        let running = authority::start(config, Clock::system()).await.map_err(|error| explain(&error))?;
        Ok(async move { running.stop().await })
    })
    .await
}

/// Runs a registry.
pub async fn registry(config: &Path, end_with_parent: Option<i32>) -> ExitCode {
    run("registry", end_with_parent, async {
        let config = registry::config::Config::read(config).map_err(|error| in_file(config, &error))?;
        let running =
            registry::Registry::start(config, Clock::system()).await.map_err(|error| explain(&error))?;
        Ok(async move { running.stop().await })
    })
    .await
}

/// Runs a configuration proxy.
pub async fn proxy(config: &Path, end_with_parent: Option<i32>) -> ExitCode {
    run("proxy", end_with_parent, async {
        let config = registry::proxy::Config::read(config).map_err(|error| in_file(config, &error))?;
        let running =
            registry::proxy::Proxy::start(config, Clock::system()).await.map_err(|error| explain(&error))?;
        Ok(async move { running.stop().await })
    })
    .await
}

/// Runs a security server.
pub async fn server(config: &Path, end_with_parent: Option<i32>) -> ExitCode {
    let administered = match Administered::read(config) {
        Ok(administered) => administered,
        Err(error) => {
            eprintln!("causeway server: {}", in_file(config, &error));
            return ExitCode::FAILURE;
        }
    };
    if let Some(administered) = administered {
        return run("server", end_with_parent, async {
            let audit = Arc::new(administration::audit::ToLog);
            let running = security_server::administer(administered, Clock::system(), audit)
                .await
                .map_err(|error| explain(&error))?;
            Ok(async move { running.stop().await })
        })
        .await;
    }
    run("server", end_with_parent, async {
        let config =
            security_server::config::Config::read(config).map_err(|error| in_file(config, &error))?;
        let running = security_server::SecurityServer::start(config, Clock::system())
            .await
            .map_err(|error| explain(&error))?;
        if end_with_parent.is_some() {
            // Whoever started it begins exchanges at once, so first OCSP responses must be there.
            let mut readiness = running.readiness();
            let ready = readiness.wait_for(|state| *state == Readiness::Ready);
            let _ = tokio::time::timeout(LONGEST_PREPARATION, ready).await;
        }
        Ok(async move { running.stop().await })
    })
    .await
}

/// Runs the sample information system.
pub async fn sample(listen: SocketAddr, end_with_parent: Option<i32>) -> ExitCode {
    run("sample system", end_with_parent, async {
        let (stop, stopped) = watch::channel(false);
        let listener = gateway::http::bind(listen, false).map_err(|error| format!("{listen}: {error}"))?;
        let running = tokio::spawn(system::serve_on(listener, stopped));
        Ok(async move {
            let _ = stop.send(true);
            let _ = running.await;
        })
    })
    .await
}

/// Starts a role, says that it is ready, waits to be stopped, and stops it.
async fn run<S: Future<Output = ()>>(
    name: &str,
    end_with_parent: Option<i32>,
    start: impl Future<Output = Result<S, String>>,
) -> ExitCode {
    if end_with_parent.is_some_and(|parent| !follow(parent)) {
        return ExitCode::FAILURE;
    }
    raise_open_files();
    // Signals are watched before anything is started, so that none is missed.
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        eprintln!("causeway: cannot watch for signals");
        return ExitCode::FAILURE;
    };
    let started = tokio::select! {
        started = start => started,
        _ = interrupt.recv() => return ExitCode::SUCCESS,
        _ = terminate.recv() => return ExitCode::SUCCESS,
    };
    let stop = match started {
        Ok(stop) => stop,
        Err(problem) => {
            eprintln!("causeway {name}: {problem}");
            return ExitCode::FAILURE;
        }
    };
    println!("{READY}");
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!(role = name, "stopping");
    stop.await;
    ExitCode::SUCCESS
}

/// Has the system end this process when `parent`, which started it, is gone. False if it is gone already.
fn follow(parent: i32) -> bool {
    let terminate = Some(rustix::process::Signal::TERM);
    rustix::process::set_parent_process_death_signal(terminate).is_ok()
        && rustix::process::getppid().is_some_and(|now| now.as_raw_nonzero().get() == parent)
}

/// Lets this process have as many files open as the system allows at most: the limit that most shells set
/// is below what a busy role needs. Where that fails the limit stays, and the role starts all the same.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    {
        tracing::warn!(%error, ?limit, "the limit of open files cannot be raised");
    }
}

fn in_file(file: &Path, error: &dyn std::error::Error) -> String {
    format!("{}: {}", file.display(), explain(error))
}

/// An error with its causes, each once.
pub fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Prints the manual of a configuration file.
pub fn help_config(arguments: &HelpConfigArgs) -> ExitCode {
    match arguments.role {
        RoleName::Ca => print!("{}", manual(authority::MANUAL)),
        RoleName::Registry => print!("{}", registry::config::MANUAL),
        RoleName::Proxy => print!("{}", registry::proxy::config::MANUAL),
        RoleName::Server => print!("{}", manual(security_server::config::MANUAL)),
    }
    ExitCode::SUCCESS
}

/// The doc comments and names of the fields of a source file: the manual is written once, where the
/// file is read.
fn manual(source: &str) -> String {
    let mut text = String::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in source.lines() {
        let line = line.trim();
        if let Some(words) = line.strip_prefix("///") {
            comment.push(words.trim());
        } else if let Some(item) = line.strip_prefix("pub ") {
            let field = item.split_once(':').map(|(name, _)| name).filter(|name| is_name(name));
            if let Some(name) = field
                && !comment.is_empty()
            {
                text += &format!("{}\n    {}\n\n", name.replace('_', "-"), comment.join("\n    "));
            } else if item.starts_with("struct") && !comment.is_empty() {
                text += &format!("{}\n\n", comment.join("\n"));
            }
            comment.clear();
        } else if !line.starts_with("#[") {
            comment.clear();
        }
    }
    text
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manuals_tell_every_key() {
        for (source, key) in
            [(authority::MANUAL, "listen"), (security_server::config::MANUAL, "free-space-floor-megabytes")]
        {
            let text = manual(source);
            assert!(text.lines().any(|line| line == key), "{key} is missing in:\n{text}");
        }
    }
}
