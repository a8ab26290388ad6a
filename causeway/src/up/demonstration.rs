//! Real exchanges through the federation, told step by step.
//!
//! What is told of an exchange is not what this program did but what the nodes can prove afterwards: the
//! containers come from the servers' own interface and are judged against the configuration that they
//! give out, the log positions are read from their logs.

use std::time::Instant;

use certs::evidence::Report;
use gateway::ports::Side;
use security_server::message_log::{Filter, Reader};

use super::federation::Federation;
use super::plan::{INSTANCE, NODES, SAMPLES, Sample, class_name};
use super::{evidence, soap};
use crate::client::{Answer, CallError};

/// The samples over REST, and one exchange over SOAP.
const EXCHANGES: usize = SAMPLES.len() + 1;

/// What came of the exchanges.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    problems: Vec<String>,
    done: usize,
    /// Container of the last allowed exchange, written for the reader to verify.
    container: Option<std::path::PathBuf>,
    configuration: Option<std::path::PathBuf>,
}

impl Outcome {
    /// Whether every exchange went as expected.
    pub(crate) fn is_good(&self) -> bool {
        self.problems.is_empty() && self.done == EXCHANGES
    }

    fn note(&mut self, number: usize, told: Result<(), String>) {
        match told {
            Ok(()) => self.done += 1,
            Err(problem) => {
                println!("   ✗ {problem}");
                self.problems.push(format!("exchange {number}: {problem}"));
            }
        }
        println!();
    }

    /// Ends the story: what went wrong, or what to do next.
    pub(crate) fn print_summary(&self, federation: &Federation) {
        let network = federation.network();
        println!("{EXCHANGES} exchanges, {} as expected.", self.done);
        for problem in &self.problems {
            println!("  PROBLEM: {problem}");
        }
        println!("\nAddresses");
        for node in &NODES {
            println!(
                "  {:<24} {:<14} information systems http://{}   messages {}:5500",
                node.title,
                class_name(node.class),
                node.clients(network),
                node.host(network)
            );
        }
        println!(
            "  {:<24} {:<14} http://{}",
            "registry",
            "",
            super::setup::configuration_address(federation.state())
        );
        println!("  {:<24} {:<14} http://{}", "authority (CA, OCSP, TSA)", "", network.authority());
        println!("  files and logs           {}", federation.state().display());
        let (from, to) = (&NODES[0], &NODES[1]);
        println!("\nCall a service yourself:");
        println!(
            "  curl -H 'X-Road-Client: {}' http://{}/r1/{}{}",
            from.consumer_id(),
            from.clients(network),
            to.service_id().unwrap_or_default(),
            SAMPLES[0].path
        );
        if let (Some(container), Some(configuration)) = (&self.container, &self.configuration) {
            println!("\nProve the exchange just made, offline:");
            println!(
                "  {} verify {} --configuration {}",
                std::env::current_exe()
                    .map_or_else(|_| "causeway".to_owned(), |path| path.display().to_string()),
                container.display(),
                configuration.display()
            );
        }
    }
}

/// Makes all exchanges of the demonstration.
pub(crate) async fn run(federation: &Federation) -> Outcome {
    let mut outcome = Outcome::default();
    for (number, sample) in SAMPLES.iter().enumerate() {
        let (from, to) = (&NODES[sample.from], &NODES[sample.to]);
        println!("{}  {} → {}: {}", number + 1, class_name(from.class), class_name(to.class), sample.story);
        let told = if sample.allowed {
            allowed(federation, sample, &mut outcome).await
        } else {
            forbidden(federation, sample).await
        };
        outcome.note(number + 1, told);
    }
    println!("{EXCHANGES}  over SOAP: the ministry asks about a person and encloses two documents");
    let told = over_soap(federation, &mut outcome).await;
    outcome.note(EXCHANGES, told);
    outcome
}

/// Calls the sample's service through the node of the caller.
///
/// # Errors
/// When no answer came.
pub(crate) async fn call_sample(federation: &Federation, sample: &Sample) -> Result<Answer, CallError> {
    let (from, to) = (&NODES[sample.from], &NODES[sample.to]);
    let service = to.service_id().unwrap_or_default();
    let url = format!("http://{}/r1/{service}{}", from.clients(federation.network()), sample.path);
    evidence::get(url, &from.consumer_id()).await
}

async fn allowed(federation: &Federation, sample: &Sample, outcome: &mut Outcome) -> Result<(), String> {
    let (from, to) = (&NODES[sample.from], &NODES[sample.to]);
    let started = Instant::now();
    let answer = call_sample(federation, sample).await.map_err(|error| error.to_string())?;
    let millis = started.elapsed().as_secs_f64() * 1000.0;
    println!("   {} called {}{}", from.consumer_id(), to.service_id().unwrap_or_default(), sample.path);
    if !answer.status.is_success() {
        return Err(format!("the answer was {}: {}", answer.status, String::from_utf8_lossy(&answer.body)));
    }
    println!("   answer {} in {millis:.1} ms: {}", answer.status, String::from_utf8_lossy(&answer.body));
    let id = answer.header("x-road-id").to_owned();
    if id.is_empty() {
        return Err("the answer has no x-road-id".to_owned());
    }
    prove(federation, (sample.from, sample.to), &id, outcome).await
}

/// An exchange over SOAP with attachments.
async fn over_soap(federation: &Federation, outcome: &mut Outcome) -> Result<(), String> {
    let (from, to) = (0, 1);
    let id = format!("{INSTANCE}-{}", uuid::Uuid::new_v4());
    let documents: [&[u8]; 2] = [b"the application", b"\x00\x01\x02 a picture \xff"];
    let started = Instant::now();
    let url = format!("http://{}/", NODES[from].clients(federation.network()));
    let call = soap::call(&NODES[from], &NODES[to], &id, "079200001234", &documents);
    let answer = soap::send(url, call).await.map_err(|error| error.to_string())?;
    let millis = started.elapsed().as_secs_f64() * 1000.0;
    let service = NODES[to].soap_service_id().unwrap_or_default();
    println!("   {} called {service}", NODES[from].consumer_id());
    let read = soap::read(&answer)?;
    println!("   answer {} in {millis:.1} ms: {}", answer.status, read.text);
    if read.attachments != documents {
        return Err("the documents did not come back as they were sent".to_owned());
    }
    prove(federation, (from, to), &id, outcome).await
}

/// What both nodes can prove of an exchange.
async fn prove(
    federation: &Federation,
    between: (usize, usize),
    id: &str,
    outcome: &mut Outcome,
) -> Result<(), String> {
    let from = &NODES[between.0];
    let trust = evidence::configuration(federation, from).await?;
    for (what, only) in [("request", "requestOnly"), ("answer", "responseOnly")] {
        let container = evidence::container(federation, from, id, only).await?;
        let report = certs::evidence::verify_container(&container, &trust.1, None);
        println!("   {what:<8} {}", describe(&report));
        println!("   {:<8} {}", "", positions(federation, between, id, what == "request")?);
        if !report.is_valid() {
            return Err(format!("the container of the {what} is not valid"));
        }
        if what == "answer" {
            let folder = federation.state().join("evidence");
            let file = folder.join("answer.asice");
            let configuration = folder.join("verificationconf.zip");
            std::fs::create_dir_all(&folder)
                .and_then(|()| std::fs::write(&file, &container))
                .and_then(|()| std::fs::write(&configuration, &trust.0))
                .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
            outcome.container = Some(file);
            outcome.configuration = Some(configuration);
        }
    }
    Ok(())
}

async fn forbidden(federation: &Federation, sample: &Sample) -> Result<(), String> {
    let (from, to) = (&NODES[sample.from], &NODES[sample.to]);
    let answer = call_sample(federation, sample).await.map_err(|error| error.to_string())?;
    println!("   {} called {}{}", from.consumer_id(), to.service_id().unwrap_or_default(), sample.path);
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    let error = answer.header("x-road-error");
    if answer.status.is_success() || !error.ends_with(protocol::fault::code::NODE_CLASS_POLICY) {
        return Err(format!(
            "the policy should have refused it, but the answer was {} {body}",
            answer.status
        ));
    }
    println!("   refused, as it should be: {error}");
    let fault: Option<serde_json::Value> = serde_json::from_str(&body).ok();
    if let Some(text) = fault.as_ref().and_then(|fault| fault.get("message")?.as_str()) {
        println!("   {text}");
    }
    Ok(())
}

/// One line of what a container proves.
fn describe(report: &Report) -> String {
    let mut line = match &report.signer {
        Some(signer) => format!("signed by {signer}"),
        None => "signed by nobody known".to_owned(),
    };
    match report.fault() {
        None => line += ", signature and certificate good",
        Some(fault) => line += &format!(", NOT valid: {fault}"),
    }
    if let Some(response) = report.ocsp.first() {
        line += &format!(" (OCSP: {}, {})", response.status, response.this_update);
    }
    match report.timestamp {
        Some(time) => line += &format!(", time-stamped {time}"),
        None => line += ", not time-stamped",
    }
    line
}

/// Where both nodes have a message in their logs.
fn positions(
    federation: &Federation,
    between: (usize, usize),
    id: &str,
    request: bool,
) -> Result<String, String> {
    use gateway::ports::Direction;
    let direction = if request { Direction::Request } else { Direction::Response };
    let mut places = Vec::new();
    for (node, side) in [(between.0, Side::Consumer), (between.1, Side::Provider)] {
        let reader = Reader::open(&federation.message_log(node)).map_err(|error| error.to_string())?;
        let filter = Filter {
            message_id: Some(id.to_owned()),
            direction: Some(direction),
            side: Some(side),
            ..Filter::default()
        };
        let found = reader.list(filter).next();
        match found {
            Some(Ok(summary)) => places.push(format!("{} at {}", NODES[node].name, summary.sequence)),
            Some(Err(error)) => return Err(error.to_string()),
            None => return Err(format!("the log of {} does not have the message", NODES[node].name)),
        }
    }
    Ok(format!("logged by {}", places.join(", by ")))
}
