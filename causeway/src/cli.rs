//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{bench, call, configuration, doctor, logs, roles, service, up, user, verify};

/// Causeway: a federated data-exchange gateway.
#[derive(Debug, Parser)]
#[command(name = "causeway", version, about, after_help = "Start with: causeway up")]
struct Cli {
    /// What to log: error, warn, info, debug, trace, or a filter such as gateway=debug.
    #[arg(long, global = true, value_name = "FILTER", env = "CAUSEWAY_LOG", default_value = "info")]
    log_level: String,
    /// Logs as JSON, one object a line.
    #[arg(long, global = true)]
    log_json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::UpArgs),
    Call(call::CallArgs),
    Verify(verify::VerifyArgs),
    Log(logs::LogArgs),
    Service(service::ServiceArgs),
    User(user::UserArgs),
    Configuration(configuration::ConfigurationArgs),
    Doctor(doctor::DoctorArgs),
    Bench(bench::BenchArgs),
    /// Runs the pilot authority: certificates, OCSP responses, time-stamps.
    Ca(RoleArgs),
    /// Runs a registry: signs and serves the global configuration.
    Registry(RoleArgs),
    /// Runs a configuration proxy: mirrors a global configuration and signs it again.
    Proxy(RoleArgs),
    /// Runs a security server.
    Server(RoleArgs),
    /// Runs the sample information system of the pilot.
    #[command(hide = true)]
    Sample(SampleArgs),
    HelpConfig(roles::HelpConfigArgs),
}

/// One role from one file.
#[derive(clap::Args, Debug)]
struct RoleArgs {
    /// The role's TOML file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Ends when this process, which started it, ends.
    #[arg(long, hide = true, value_name = "PID")]
    end_with_parent: Option<i32>,
}

#[derive(clap::Args, Debug)]
struct SampleArgs {
    #[arg(long)]
    listen: std::net::SocketAddr,
    #[arg(long, hide = true, value_name = "PID")]
    end_with_parent: Option<i32>,
}

/// Reads the arguments of this process and does what they say.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let quiet = !matches!(
        cli.command,
        Command::Ca(_) | Command::Registry(_) | Command::Proxy(_) | Command::Server(_) | Command::Sample(_)
    );
    // Commands for people print what they have to say themselves; logs are for the roles.
    let filter = if quiet && cli.log_level == "info" { "warn" } else { &cli.log_level };
    roles::start_logging(filter, cli.log_json);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("causeway: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        match cli.command {
            Command::Up(arguments) => up::run(arguments).await,
            Command::Call(arguments) => call::run(arguments).await,
            Command::Verify(arguments) => verify::run(arguments),
            Command::Log(arguments) => logs::run(arguments),
            Command::Service(arguments) => service::run(arguments).await,
            Command::User(arguments) => user::run(arguments),
            Command::Configuration(arguments) => configuration::run(arguments).await,
            Command::Doctor(arguments) => doctor::run(arguments).await,
            Command::Bench(arguments) => bench::run(arguments).await,
            Command::Ca(role) => roles::ca(&role.config, role.end_with_parent).await,
            Command::Registry(role) => roles::registry(&role.config, role.end_with_parent).await,
            Command::Proxy(role) => roles::proxy(&role.config, role.end_with_parent).await,
            Command::Server(role) => roles::server(&role.config, role.end_with_parent).await,
            Command::Sample(sample) => roles::sample(sample.listen, sample.end_with_parent).await,
            Command::HelpConfig(arguments) => roles::help_config(&arguments),
        }
    })
}
