//! `causeway configuration keys`: the keys that sign configuration, and their rotation.

use std::path::PathBuf;
use std::process::ExitCode;

use certs::key::KeyKind;
use clap::{Args, Subcommand, ValueEnum};
use gateway::Clock;
use registry::keys::{KeysError, SigningKeys};
use registry::publish::SourceKind;

use super::not_possible;
use crate::roles::explain;

/// Whose keys, and what about them.
#[derive(Args, Debug)]
pub(super) struct KeysArgs {
    /// The file of a registry.
    #[arg(long, value_name = "FILE", conflicts_with = "proxy")]
    registry: Option<PathBuf>,
    /// Which keys of the registry.
    #[arg(long, value_enum, default_value_t = Source::Internal)]
    source: Source,
    /// The file of a configuration proxy.
    #[arg(long, value_name = "FILE", required_unless_present = "registry", requires = "mirror")]
    proxy: Option<PathBuf>,
    /// Which mirror of the proxy, by its name.
    #[arg(long, value_name = "NAME", requires = "proxy")]
    mirror: Option<String>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Source {
    /// Those of the configuration for servers of the instance.
    Internal,
    /// Those of the configuration for other instances.
    External,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Lists the keys, oldest first; a star marks the one that signs.
    List,
    /// Makes another key and publishes it, so that clients know it before it signs.
    Add {
        /// RSA-2048, RSA-3072, RSA-4096, P-256, P-384 or P-521. Default: that of the file.
        #[arg(long, value_name = "KIND", value_parser = kind)]
        kind: Option<KeyKind>,
    },
    /// Lets a key sign from now on.
    Activate {
        /// The key.
        #[arg(value_name = "ID")]
        id: String,
        /// Clients know the key for certain, such as from the anchor, however short it was published.
        #[arg(long)]
        known: bool,
    },
    /// Removes a key that does not sign. Who knows no other key needs a new anchor.
    Remove {
        /// The key.
        #[arg(value_name = "ID")]
        id: String,
    },
    /// The next key signs, a fresh one becomes the next, and keys before the one that signed are removed.
    Rotate {
        /// As for activate.
        #[arg(long)]
        known: bool,
    },
}

fn kind(text: &str) -> Result<KeyKind, String> {
    KeyKind::from_name(text)
        .ok_or_else(|| format!("must be one of {}", KeyKind::ALL.map(KeyKind::name).join(", ")))
}

pub(super) fn run(arguments: &KeysArgs) -> ExitCode {
    let (mut keys, source, default) = match open(arguments) {
        Ok(opened) => opened,
        Err(problem) => return not_possible(&problem),
    };
    let now = Clock::system().now();
    let done: Result<(), KeysError> = match &arguments.action {
        Action::List => Ok(()),
        Action::Add { kind } => {
            keys.add(source, kind.unwrap_or(default), now).map(|id| println!("made {id}"))
        }
        Action::Activate { id, known } => keys.activate(source, id, *known, now),
        Action::Remove { id } => keys.remove(source, id),
        Action::Rotate { known } => keys.rotate(source, *known, now).map(|id| println!("{id} signs now")),
    };
    if let Err(error) = done {
        eprintln!("causeway: {}", explain(&error));
        return ExitCode::from(1);
    }
    for key in keys.keys(source) {
        let mark = if key.active { '*' } else { ' ' };
        println!("{mark} {}  {}  published since {}", key.id, key.kind.name(), key.since);
    }
    ExitCode::SUCCESS
}

/// The keys, which of them, and the kind that new ones have.
fn open(arguments: &KeysArgs) -> Result<(SigningKeys, SourceKind, KeyKind), String> {
    let now = Clock::system().now();
    let opened = match (&arguments.registry, &arguments.proxy, &arguments.mirror) {
        (Some(file), _, _) => {
            let config = registry::Config::read(file).map_err(|error| explain(&error))?;
            let Some(pin) = config.pin.as_ref().filter(|_| config.instance_file.is_some()) else {
                return Err("the instance is administered; its keys are at the registry's desk".to_owned());
            };
            let pin = pin.get().map_err(|error| explain(&error))?;
            let source = match arguments.source {
                Source::Internal => SourceKind::Internal,
                Source::External => SourceKind::External,
            };
            SigningKeys::open(&config, &pin, now).map(|keys| (keys, source, config.key))
        }
        (None, Some(file), Some(name)) => {
            let config = registry::proxy::Config::read(file).map_err(|error| explain(&error))?;
            if !config.mirrors.iter().any(|mirror| mirror.name == *name) {
                return Err(format!("{} has no mirror {name}", file.display()));
            }
            let pin = config.pin.get().map_err(|error| explain(&error))?;
            let source = SourceKind::Mirror;
            SigningKeys::open_for(config.keys(name), &[source], &pin, now)
                .map(|keys| (keys, source, config.key))
        }
        _ => return Err("give --registry, or --proxy with --mirror".to_owned()),
    };
    opened.map_err(|error| explain(&error))
}
