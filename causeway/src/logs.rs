//! `causeway log`: reads the message log of a server, whether the server runs or not.

mod archive;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use gateway::ports::{Direction, Side};
use protocol::digest::{DigestAlgorithm, hex};
use protocol::id::{ClientId, ServiceId};
use protocol::time::UtcTime;
use security_server::message_log::{ExportError, Filter, Reader, Summary};

/// Lists, shows, exports and checks the message log of a security server.
///
/// It only reads the log, so it is safe while the server runs.
#[derive(Args, Debug)]
pub struct LogArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists records, oldest first.
    List {
        #[command(flatten)]
        log: Place,
        #[command(flatten)]
        filter: FilterArgs,
        /// At most this many.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Shows one record with its message and signature.
    Show {
        #[command(flatten)]
        log: Place,
        /// Its place in the log.
        #[arg(value_name = "SEQUENCE")]
        sequence: u64,
    },
    /// Writes evidence containers (.asice) of the records that match.
    Export {
        #[command(flatten)]
        log: Place,
        #[command(flatten)]
        filter: FilterArgs,
        /// Folder for the containers; made if it is missing.
        #[arg(long, value_name = "FOLDER", default_value = ".")]
        to: PathBuf,
    },
    /// Archives records: writes zips of containers (mlog-….zip) that are linked into a chain.
    Archive(archive::ArchiveArgs),
    /// Checks the whole log: every record whole, none missing, none changed since its segment was sealed.
    Verify {
        #[command(flatten)]
        log: Place,
    },
}

/// Which log.
#[derive(Args, Debug)]
struct Place {
    /// Folder of the message log, such as causeway-state/ministry/state/messagelog.
    #[arg(long = "log", value_name = "FOLDER")]
    folder: PathBuf,
}

#[derive(Args, Debug)]
struct FilterArgs {
    /// The message id, x-road-id.
    #[arg(long)]
    id: Option<String>,
    /// The calling client: instance/class/member/subsystem.
    #[arg(long)]
    client: Option<String>,
    /// The called service: instance/class/member/subsystem/service.
    #[arg(long)]
    service: Option<String>,
    /// Not before this time, such as 2026-11-21T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<UtcTime>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<UtcTime>,
    /// Only requests.
    #[arg(long, conflicts_with = "responses")]
    requests: bool,
    /// Only responses.
    #[arg(long)]
    responses: bool,
}

impl FilterArgs {
    fn filter(&self) -> Result<Filter, String> {
        let client = self.client.as_deref().map(ClientId::parse_encoded).transpose();
        let service = self.service.as_deref().map(ServiceId::parse_encoded).transpose();
        Ok(Filter {
            message_id: self.id.clone(),
            client: client.map_err(|error| format!("--client: {error}"))?,
            service: service.map_err(|error| format!("--service: {error}"))?,
            provider: None,
            from: self.from,
            until: self.until,
            direction: match (self.requests, self.responses) {
                (true, _) => Some(Direction::Request),
                (_, true) => Some(Direction::Response),
                _ => None,
            },
            side: None,
        })
    }
}

/// Reads the log.
pub fn run(arguments: LogArgs) -> ExitCode {
    let done = match &arguments.command {
        Command::List { log, filter, limit, json } => list(log, filter, *limit, *json),
        Command::Show { log, sequence } => show(log, *sequence),
        Command::Export { log, filter, to } => export(log, filter, to),
        Command::Archive(arguments) => archive::run(arguments),
        Command::Verify { log } => verify(log),
    };
    match done {
        Ok(code) => code,
        // The reader of a pipe may have seen enough.
        Err(problem) if problem.contains("Broken pipe") => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("causeway: {problem}");
            ExitCode::from(2)
        }
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}

fn open(place: &Place) -> Result<Reader, String> {
    Reader::open(&place.folder).map_err(text)
}

fn list(log: &Place, filter: &FilterArgs, limit: usize, json: bool) -> Result<ExitCode, String> {
    let reader = open(log)?;
    let mut output = io::stdout().lock();
    let mut shown = 0;
    for found in reader.list(filter.filter()?).take(limit) {
        let summary = found.map_err(text)?;
        let line = if json { json_line(&summary) } else { line(&summary) };
        writeln!(output, "{line}").map_err(text)?;
        shown += 1;
    }
    if shown == limit {
        eprintln!("causeway: stopped after {limit} records; --limit N shows more");
    } else if shown == 0 {
        eprintln!("causeway: no record matches");
    }
    Ok(ExitCode::SUCCESS)
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Consumer => "consumer",
        Side::Provider => "provider",
    }
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Request => "request",
        Direction::Response => "response",
    }
}

fn line(summary: &Summary) -> String {
    let details = &summary.details;
    format!(
        "{:>9}  {}  {:<8} {:<8}  {} → {}  {}",
        summary.sequence,
        summary.time.to_millis_text(),
        side(details.side),
        direction(details.direction),
        details.client,
        details.service,
        details.message_id
    )
}

fn json_line(summary: &Summary) -> String {
    let details = &summary.details;
    serde_json::json!({
        "sequence": summary.sequence,
        "time": summary.time.to_millis_text(),
        "side": side(details.side),
        "direction": direction(details.direction),
        "client": details.client.encoded(),
        "service": details.service.encoded(),
        "message_id": details.message_id,
        "request_id": details.request_id,
        "body_length": details.body_length,
    })
    .to_string()
}

fn show(log: &Place, sequence: u64) -> Result<ExitCode, String> {
    let Some(record) = open(log)?.show(sequence).map_err(text)? else {
        return Err(format!("there is no message record {sequence}"));
    };
    let details = &record.summary.details;
    println!("{}", line(&record.summary));
    println!("exchange       {}", details.request_id);
    println!("body           {} bytes, kept: {:?}", details.body_length, details.body);
    for (number, attachment) in (1..).zip(&details.attachments) {
        let number: usize = number;
        println!("attachment {number:<3} {} bytes, kept: {}", attachment.length, attachment.kept);
    }
    println!(
        "message        {} bytes, SHA-512 {}",
        record.message.len(),
        DigestAlgorithm::Sha512.digest(&record.message).to_hex()
    );
    println!(
        "signature      {} bytes, shared from record {}",
        record.signature.len(),
        record.signature_sequence
    );
    println!("hash chain     {}", if record.hash_chain.is_some() { "yes" } else { "no, signed directly" });
    println!("\n{}", String::from_utf8_lossy(&record.message).replace("\r\n", "\n"));
    println!("{}", String::from_utf8_lossy(&record.signature));
    Ok(ExitCode::SUCCESS)
}

fn export(log: &Place, filter: &FilterArgs, to: &Path) -> Result<ExitCode, String> {
    let reader = open(log)?;
    std::fs::create_dir_all(to).map_err(|error| format!("{}: {error}", to.display()))?;
    let (mut written, mut waiting) = (0, 0);
    for found in reader.list(filter.filter()?) {
        let sequence = found.map_err(text)?.sequence;
        let Some(record) = reader.show(sequence).map_err(text)? else { continue };
        let file = to.join(record.file_name());
        let failed = |error: &dyn Display| format!("{}: {error}", file.display());
        // Written beside and renamed, so that a container that is there is whole.
        let draft = file.with_extension("part");
        let target = std::fs::File::create(&draft).map_err(|error| failed(&error))?;
        match reader.export(sequence, target) {
            Ok(()) => {
                std::fs::rename(&draft, &file).map_err(|error| failed(&error))?;
                println!("{}", file.display());
                written += 1;
                continue;
            }
            Err(ExportError::NotTimestamped) => waiting += 1,
            Err(error) => return Err(failed(&error)),
        }
        std::fs::remove_file(&draft).map_err(|error| failed(&error))?;
    }
    if waiting > 0 {
        eprintln!(
            "causeway: {waiting} records wait for their time-stamp and were not written; try again in a minute"
        );
    }
    if written == 0 && waiting == 0 {
        eprintln!("causeway: no record matches");
    }
    Ok(if written > 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn verify(log: &Place) -> Result<ExitCode, String> {
    let report = open(log)?.verify(None).map_err(text)?;
    println!("segments       {}", report.segments);
    println!("messages       {}, {} of them erased", report.messages, report.erased);
    println!("time-stamps    {}", report.timestamps);
    println!("records        {} since the log began", report.size);
    println!("root           {}", hex(&report.root));
    for problem in &report.problems {
        println!("PROBLEM        {problem}");
    }
    if report.is_good() {
        println!("the log is whole");
        Ok(ExitCode::SUCCESS)
    } else {
        println!("the log is NOT whole: {} problems", report.problem_count);
        Ok(ExitCode::from(1))
    }
}
