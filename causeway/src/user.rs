//! `causeway user`: who may administer a registry or a security server.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use administration::access::{Role, list_users, remove_user, set_user};
use clap::{Args, Subcommand};
use zeroize::Zeroizing;

/// Keeps the file of users that `[administration] users-file` names.
///
/// A running registry or security server sees a change at once.
#[derive(Args, Debug)]
pub struct UserArgs {
    /// The file of users; made when there is none.
    #[arg(long, value_name = "FILE", global = true, default_value = "users.toml")]
    file: PathBuf,
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Adds a user, or gives one another password and other roles. The password is read from standard input.
    Add {
        /// The name to log in with.
        name: String,
        /// A role, such as XROAD_SECURITY_OFFICER; may be given several times. Default: all roles.
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
    },
    /// Removes a user; his sessions end at once.
    Remove {
        /// His name.
        name: String,
    },
    /// Lists users and their roles.
    List,
}

/// Does what the arguments say.
pub fn run(arguments: UserArgs) -> ExitCode {
    let file = arguments.file;
    let done = match arguments.command {
        UserCommand::Add { name, roles } => {
            let roles = if roles.is_empty() { Role::ALL.to_vec() } else { roles };
            match read_password() {
                Ok(password) => set_user(&file, &name, &password, &roles).map(|()| true),
                Err(error) => {
                    eprintln!("causeway user: the password cannot be read: {error}");
                    return ExitCode::FAILURE;
                }
            }
        }
        UserCommand::Remove { name } => remove_user(&file, &name).inspect(|was_there| {
            if !was_there {
                eprintln!("causeway user: there is no user {name} in {}", file.display());
            }
        }),
        UserCommand::List => list_users(&file).map(|users| {
            for (name, roles) in users {
                let roles: Vec<&str> = roles.iter().map(|role| role.name()).collect();
                println!("{name}  {}", roles.join(" "));
            }
            true
        }),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("causeway user: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read_password() -> std::io::Result<Zeroizing<String>> {
    let input = std::io::stdin();
    if input.is_terminal() {
        eprint!("Password (it will be seen): ");
        std::io::stderr().flush()?;
    }
    let mut line = Zeroizing::new(String::with_capacity(2048));
    input.lock().read_line(&mut line)?;
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}
