//! SOAP beside REST: small messages in paired slices, and large attachments.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::load::{Load, Request};
use super::process::{reset_peak, status_kib};
use super::report::{Floor, Report};
use super::rounds::through_causeway;
use crate::up::plan::NODES;
use crate::up::{Federation, soap};

type Failure = Box<dyn std::error::Error>;

/// Octets of a small message, the same as of the body of a small REST request.
const SMALL: usize = 1024;
/// Octets of all attachments of a large message; as many come back.
const LARGE: usize = 100 * 1024 * 1024;
/// Clients that send small messages.
const CLIENTS: usize = 64;
/// Loaded before the clock starts.
const WARM: Duration = Duration::from_millis(1500);

/// Runs both.
///
/// # Errors
/// When an exchange fails.
pub(crate) async fn run(
    federation: &Federation,
    rounds: usize,
    slice: Duration,
    report: &mut Report,
) -> Result<(), Failure> {
    eprintln!("{CLIENTS} clients, SOAP of 1 KB, {rounds} rounds");
    let mut rest = Load::new(through_causeway(federation), CLIENTS);
    let mut small = Load::new(request(federation, small_message()).await?, CLIENTS);
    rest.run(WARM).await;
    small.run(WARM).await;
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (one, two) = (small.run(slice).await, rest.run(slice).await);
        if let Some(error) = one.first_error.or(two.first_error) {
            return Err(error.into());
        }
        let (one, two) =
            (one.answers as f64 / one.elapsed.as_secs_f64(), two.answers as f64 / two.elapsed.as_secs_f64());
        ratios.push(one / two);
        rates.push(one);
    }
    let name = |what: &str| format!("{what}, {CLIENTS} clients, 1 KB");
    let floor = Some(Floor::AtLeast(0.75));
    report.push_rounds("–", name("SOAP exchanges/s as a share of REST"), "", &ratios, floor);
    report.push_rounds("–", name("SOAP exchanges"), "/s", &rates, None);
    large(federation, report).await
}

async fn large(federation: &Federation, report: &mut Report) -> Result<(), Failure> {
    let attachment = vec![b'x'; LARGE / 4];
    let message = soap::call(&NODES[0], &NODES[1], "bench-large", "001085004321", &[&attachment[..]; 4]);
    let mut load = Load::new(request(federation, message).await?, 1);
    let pids = federation.exchange_pids();
    let peak = |field: &str| pids.iter().filter_map(|pid| status_kib(*pid, field)).max().unwrap_or(0);
    let (mut rates, mut growths) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let before = peak("VmRSS");
        pids.iter().for_each(|pid| reset_peak(*pid));
        let started = Instant::now();
        if let Some(error) = load.once().await {
            return Err(format!("SOAP with attachments: {error}").into());
        }
        rates.push(2.0 * LARGE as f64 / 1e6 / started.elapsed().as_secs_f64());
        growths.push(peak("VmHWM").saturating_sub(before) as f64 / 1024.0);
    }
    let what = "SOAP with 4 attachments of 25 MiB, there and back";
    report.push_rounds("–", what, "MB/s", &rates, None);
    let growth = format!("{what}: growth of memory of the server that grew most");
    report.push_rounds("–", growth, "MiB", &growths, Some(Floor::AtMost(16.0)));
    Ok(())
}

/// A call without attachments; white space behind the message makes it as long as it has to be.
fn small_message() -> soap::Message {
    let mut message = soap::call(&NODES[0], &NODES[1], "bench", "001085004321", &[]);
    let length = message.body.len().max(SMALL);
    message.body.resize(length, b'\n');
    message
}

/// The octets of a call, and the length of its answer, which one call tells.
async fn request(federation: &Federation, message: soap::Message) -> Result<Request, Failure> {
    let address = NODES[0].clients(federation.network());
    let mut bytes = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nSOAPAction: \"\"\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        message.content_type,
        message.body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(&message.body);
    let answer = soap::send(format!("http://{address}/"), message).await?;
    soap::read(&answer)?;
    Ok(Request { address, bytes: Arc::from(bytes), answer_length: answer.body.len() })
}
