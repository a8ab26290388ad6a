//! `/call-checks`: would a call be allowed, by which rule, and which server would take it?
//!
//! As the registry knows it: who is registered where, federation, maintenance, node classes. What only
//! the provider's server knows, its access rights, is not decided here, and the answer says so. Nothing
//! is sent and nothing changes.

use administration::api::{ApiError, Call, Json, post};
use protocol::configuration::{ClassPolicy, NodeClass};
use protocol::id::ClientId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RegistryApi;
use super::ids::client_of;
use super::node_classes::TermsView;
use super::office::Office;
use super::permission::Permission;
use crate::instance::{Instance, ServerEntry};

/// A call that somebody would make.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct CallCheck {
    /// Who would call: a member or subsystem.
    pub client_id: String,
    /// Who would be called: a member or subsystem.
    pub provider_id: String,
}

/// Whether it would be allowed.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct CallVerdict {
    /// Whether at least one way leads from a server of the client to one of the provider.
    pub allowed: bool,
    /// The rule that forbids it, or the one that is left for the provider's server to decide.
    pub rule: CallRule,
    /// What the rule found.
    pub detail: String,
    /// Every way from a server of the client to one of the provider.
    pub ways: Vec<Way>,
}

/// A rule of a call, in the order in which they are asked.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CallRule {
    /// The client is known, and registered and enabled on a server.
    ClientRegistered,
    /// The instance of the provider is this one or one that it is federated with.
    Federation,
    /// The provider is known, and registered and enabled on a server.
    ProviderRegistered,
    /// The provider's server has an address and a certificate, and so has the client's.
    ServerReachable,
    /// The provider's server is not in maintenance.
    Maintenance,
    /// The node classes of both servers may talk.
    ClassPolicy,
    /// Everything that the registry knows allows it; access rights are the provider's to give.
    AccessRights,
}

/// From a server of the client to a server of the provider.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Way {
    /// The client's server; none: one of another instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_server_id: Option<String>,
    /// The provider's server; none: one of another instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_server_id: Option<String>,
    /// Host name or address of the provider's server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_address: Option<String>,
    /// Whether the way is open.
    pub open: bool,
    /// The rule that closes it, or the last one.
    pub rule: CallRule,
    /// What the class policy demands on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<TermsView>,
}

/// A server at one end of a call.
struct End<'a> {
    /// None: one of another instance, which that instance's registry knows.
    entry: Option<&'a ServerEntry>,
    class: Option<NodeClass>,
}

/// What becomes of a call from `client` to `provider`.
fn check(instance: &Instance, client: &ClientId, provider: &ClientId) -> CallVerdict {
    let (from, to) = match (ends(instance, client), ends(instance, provider)) {
        (Err(detail), _) => return refused(of_client(instance, client, CallRule::ClientRegistered), detail),
        (_, Err(detail)) => {
            return refused(of_client(instance, provider, CallRule::ProviderRegistered), detail);
        }
        (Ok(from), Ok(to)) => (from, to),
    };
    let policy = instance.class_policy();
    let ways: Vec<Way> =
        from.iter().flat_map(|from| to.iter().map(|to| way(policy.as_ref(), from, to))).collect();
    let open = ways.iter().filter(|way| way.open).count();
    // Of several closed ways the one that got furthest says most.
    let furthest = ways.iter().map(|way| way.rule).max_by_key(|rule| *rule as u8);
    let rule = furthest.unwrap_or(CallRule::AccessRights);
    let detail = format!("{open} of {} ways between their servers are open", ways.len());
    CallVerdict { allowed: open > 0, rule, detail, ways }
}

fn refused(rule: CallRule, detail: String) -> CallVerdict {
    CallVerdict { allowed: false, rule, detail, ways: Vec::new() }
}

/// The rule by which somebody has no server here.
fn of_client(instance: &Instance, id: &ClientId, registered: CallRule) -> CallRule {
    let own = instance.parameters().instance.as_deref() == Some(id.instance());
    if own { registered } else { CallRule::Federation }
}

/// The servers of a member or subsystem: those where it is registered and enabled, and its own.
fn ends<'a>(instance: &'a Instance, id: &ClientId) -> Result<Vec<End<'a>>, String> {
    let own = instance.parameters().instance.as_deref().unwrap_or_default();
    if id.instance() != own {
        // Who is registered there is for the other registry to know. Its servers are partners here.
        return match instance.anchors().get(id.instance()) {
            None => Err(format!("{own} is not federated with {}", id.instance())),
            Some(anchor) if anchor.suspended => {
                Err(format!("the federation with {} is suspended", id.instance()))
            }
            Some(_) => Ok(vec![End { entry: None, class: Some(NodeClass::International) }]),
        };
    }
    if !instance.exists(id) {
        return Err(format!("{id} is not known"));
    }
    let enabled = |entry: &&ServerEntry| entry.clients.get(id).is_some_and(|client| client.enabled);
    let mut found: Vec<&ServerEntry> = instance.servers_of_client(id).filter(enabled).collect();
    if id.subsystem().is_none() {
        found.extend(instance.servers_of_owner(id.member()));
    }
    if found.is_empty() {
        return Err(format!("{id} is registered on no server, or disabled"));
    }
    Ok(found.into_iter().map(|entry| End { entry: Some(entry), class: entry.server.class }).collect())
}

fn way(policy: Option<&ClassPolicy>, from: &End<'_>, to: &End<'_>) -> Way {
    let terms = policy.zip(from.class.zip(to.class)).and_then(|(policy, pair)| policy.pairs.get(&pair));
    let bare = |end: &End<'_>| end.entry.is_some_and(|entry| entry.certificates.is_empty());
    let unreachable = to.entry.is_some_and(|entry| entry.server.address.is_none());
    let rule = if unreachable || bare(from) || bare(to) {
        CallRule::ServerReachable
    } else if to.entry.is_some_and(|entry| entry.server.maintenance.is_some()) {
        CallRule::Maintenance
    } else if policy.is_some() && terms.is_none() {
        CallRule::ClassPolicy
    } else {
        CallRule::AccessRights
    };
    let id = |end: &End<'_>| end.entry.map(|entry| entry.server.id.joined());
    Way {
        client_server_id: id(from),
        provider_server_id: id(to),
        provider_address: to.entry.and_then(|entry| entry.server.address.clone()),
        open: rule == CallRule::AccessRights,
        rule,
        terms: terms.map(TermsView::from),
    }
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    api.add(
        post("/call-checks", "checkCall")
            .permission(Permission::CheckCall)
            .takes::<CallCheck>()
            .answers::<CallVerdict>(200),
        answer,
    )
}

async fn answer(call: Call<Office>, Json(body): Json<CallCheck>) -> Result<Json<CallVerdict>, ApiError> {
    let (client, provider) = (client_of(&body.client_id)?, client_of(&body.provider_id)?);
    Ok(Json(call.node().search(move |instance| Ok(check(instance, &client, &provider))).await?))
}
