//! Evidence of exchanges, fetched from the nodes the way anybody may.

use std::time::Duration;

use bytes::Bytes;
use certs::trust::TrustStore;
use gateway::http::Outgoing;
use http::{HeaderMap, HeaderValue, Method};
use security_server::message_log::{Filter, Reader};

use super::federation::Federation;
use super::plan::{INSTANCE, NODES, Node};
use crate::client::{Answer, Call, CallError, call};
use crate::verify::trust_of;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Asks a security server as a client.
///
/// # Errors
/// When no answer came.
pub async fn get(url: String, client: &str) -> Result<Answer, CallError> {
    let mut headers = HeaderMap::new();
    let client = HeaderValue::from_str(client).map_err(|_| CallError::Header(client.to_owned()))?;
    headers.insert("x-road-client", client);
    call(Call { method: Method::GET, url, headers, body: Outgoing::Empty, timeout: TIMEOUT }, None).await
}

/// The verification configuration that a node gives out: the zip, and what it makes one believe.
///
/// # Errors
/// A clause that says what failed.
pub async fn configuration(federation: &Federation, node: &Node) -> Result<(Bytes, TrustStore), String> {
    let url = format!("http://{}/verificationconf", node.clients(federation.network()));
    let answer = get(url, &node.consumer_id()).await.map_err(|error| error.to_string())?;
    if !answer.status.is_success() {
        return Err(format!("/verificationconf answered {}", answer.status));
    }
    let trust = trust_of(&answer.body).map_err(|error| error.to_string())?;
    Ok((answer.body, trust))
}

/// The container of one message of an exchange, from the caller's node.
///
/// # Errors
/// A clause that says what failed.
pub async fn container(federation: &Federation, node: &Node, id: &str, only: &str) -> Result<Bytes, String> {
    let url = format!(
        "http://{}/asic?queryId={id}&xRoadInstance={}&memberClass={}&memberCode={}&subsystemCode={}&{only}&unique&force",
        node.clients(federation.network()),
        INSTANCE,
        node.member_class,
        node.member_code,
        node.consumer
    );
    let answer = get(url, &node.consumer_id()).await.map_err(|error| error.to_string())?;
    if answer.status.is_success() {
        Ok(answer.body)
    } else {
        Err(format!("no container: {} {}", answer.status, String::from_utf8_lossy(&answer.body)))
    }
}

/// How many of the last `count` exchanges of the ministry's consumer have a valid container.
///
/// # Errors
/// A clause that says what failed.
pub async fn sample(federation: &Federation, count: u64) -> Result<u64, String> {
    let node = &NODES[0];
    let trust = configuration(federation, node).await?.1;
    let reader = Reader::open(&federation.message_log(0)).map_err(|error| error.to_string())?;
    let mut last = std::collections::VecDeque::new();
    for found in reader.list(Filter::default()) {
        let details = found.map_err(|error| error.to_string())?.details;
        if details.client.encoded() == node.consumer_id() && last.back() != Some(&details.message_id) {
            last.push_back(details.message_id);
        }
        if last.len() as u64 > count {
            last.pop_front();
        }
    }
    let mut valid = 0;
    for id in last {
        let container = container(federation, node, &id, "responseOnly").await?;
        let report = certs::evidence::verify_container(&container, &trust, None);
        valid += u64::from(report.is_valid());
    }
    Ok(valid)
}
