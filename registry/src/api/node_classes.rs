//! `/class-policy`: which node classes may talk and on what terms; `/node-classes`: how many servers of
//! each class there are; and the class of a server.

use administration::api::{ApiError, Call, Json, Path, get, put};
use protocol::configuration::{ClassPolicy, NodeClass, PairTerms, TlsFloor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::server_of;
use super::office::Office;
use super::permission::Permission;
use super::security_servers::ServerView;
use super::{RegistryApi, security_servers};
use crate::instance::Instance;

/// A node class.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "NodeClass")]
pub enum ClassView {
    /// An agency of the state.
    State,
    /// A hub that holds copies and serves many.
    DataCenter,
    /// A partner abroad.
    International,
}

/// How many servers a class has.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "NodeClassCount")]
pub struct ClassCount {
    /// The class; none: servers without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_class: Option<ClassView>,
    /// Its servers.
    pub security_servers: usize,
}

/// The policy: every pair that is not named is forbidden.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[schemars(rename = "ClassPolicy")]
pub struct PolicyView {
    /// Whether node classes are used at all. Where they are not, everybody may talk to everybody.
    pub enabled: bool,
    /// The pairs that may talk.
    #[serde(default)]
    pub pairs: Vec<PairView>,
}

/// A class that may call another.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[schemars(rename = "ClassPair")]
pub struct PairView {
    /// Class of the calling server.
    pub consumer: ClassView,
    /// Class of the called server.
    pub provider: ClassView,
    /// On what terms.
    #[serde(flatten)]
    pub terms: TermsView,
}

/// Terms of a pair.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default)]
#[schemars(rename = "PairTerms")]
pub struct TermsView {
    /// Lowest version of TLS: `1.2` or `1.3`.
    pub tls: TlsView,
    /// Greatest age of a signer's OCSP response in seconds, where the instance's is too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ocsp_live_seconds: Option<u64>,
    /// Whether messages are time-stamped before they are answered.
    pub synchronous_timestamp: bool,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "TlsFloor")]
pub enum TlsView {
    /// TLS 1.2 or later.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}

impl From<NodeClass> for ClassView {
    fn from(class: NodeClass) -> Self {
        match class {
            NodeClass::State => Self::State,
            NodeClass::DataCenter => Self::DataCenter,
            NodeClass::International => Self::International,
        }
    }
}

impl From<ClassView> for NodeClass {
    fn from(class: ClassView) -> Self {
        match class {
            ClassView::State => Self::State,
            ClassView::DataCenter => Self::DataCenter,
            ClassView::International => Self::International,
        }
    }
}

impl From<&PairTerms> for TermsView {
    fn from(terms: &PairTerms) -> Self {
        Self {
            tls: match terms.tls {
                TlsFloor::Tls12 => TlsView::Tls12,
                TlsFloor::Tls13 => TlsView::Tls13,
            },
            ocsp_live_seconds: terms.ocsp_live_seconds,
            synchronous_timestamp: terms.synchronous_timestamp,
        }
    }
}

impl From<TermsView> for PairTerms {
    fn from(terms: TermsView) -> Self {
        Self {
            tls: match terms.tls {
                TlsView::Tls12 => TlsFloor::Tls12,
                TlsView::Tls13 => TlsFloor::Tls13,
            },
            ocsp_live_seconds: terms.ocsp_live_seconds,
            synchronous_timestamp: terms.synchronous_timestamp,
        }
    }
}

impl PolicyView {
    fn of(policy: Option<&ClassPolicy>) -> Self {
        let Some(policy) = policy else { return Self { enabled: false, pairs: Vec::new() } };
        let pair = |((consumer, provider), terms): (&(NodeClass, NodeClass), &PairTerms)| PairView {
            consumer: (*consumer).into(),
            provider: (*provider).into(),
            terms: terms.into(),
        };
        let mut pairs: Vec<PairView> = policy.pairs.iter().map(pair).collect();
        pairs.sort_by_key(|pair| (pair.consumer as u8, pair.provider as u8));
        Self { enabled: true, pairs }
    }

    fn policy(self) -> Option<ClassPolicy> {
        let pair = |pair: PairView| ((pair.consumer.into(), pair.provider.into()), pair.terms.into());
        self.enabled.then(|| ClassPolicy { pairs: self.pairs.into_iter().map(pair).collect() })
    }
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    use Permission::{EditClassPolicy, EditNodeClass, ViewClassPolicy};
    api.add(
        get("/node-classes", "getNodeClasses").permission(ViewClassPolicy).answers::<Vec<ClassCount>>(200),
        count,
    )
    .add(get("/class-policy", "getClassPolicy").permission(ViewClassPolicy).answers::<PolicyView>(200), show)
    .add(
        put("/class-policy", "setClassPolicy")
            .permission(EditClassPolicy)
            .event("Edit class policy")
            .takes::<PolicyView>()
            .answers::<PolicyView>(200)
            .refuses(409),
        set,
    )
    .add(
        put("/security-servers/{server_id}/node-class", "setNodeClass")
            .permission(EditNodeClass)
            .event("Edit node class of security server")
            .takes::<NodeClassBody>()
            .answers::<ServerView>(200)
            .refuses(404),
        set_class,
    )
}

/// The class of a server.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "NodeClassOfServer")]
pub struct NodeClassBody {
    /// The class; none: it has none.
    pub node_class: Option<ClassView>,
}

async fn count(call: Call<Office>) -> Result<Json<Vec<ClassCount>>, ApiError> {
    let count = |instance: &Instance| {
        let of_class = |class: Option<NodeClass>| ClassCount {
            node_class: class.map(Into::into),
            security_servers: instance.servers().values().filter(|entry| entry.server.class == class).count(),
        };
        NodeClass::ALL.into_iter().map(Some).chain([None]).map(of_class).collect()
    };
    Ok(Json(call.node().look(count)))
}

async fn show(call: Call<Office>) -> Result<Json<PolicyView>, ApiError> {
    Ok(Json(call.node().look(|instance| PolicyView::of(instance.class_policy().as_ref()))))
}

async fn set(call: Call<Office>, Json(body): Json<PolicyView>) -> Result<Json<PolicyView>, ApiError> {
    call.fact("classPolicy", &body);
    let policy = body.policy();
    call.node().command(move |desk| desk.set_class_policy(policy.as_ref())).await?;
    show(call).await
}

async fn set_class(
    call: Call<Office>,
    Path(id): Path<String>,
    Json(body): Json<NodeClassBody>,
) -> Result<Json<ServerView>, ApiError> {
    let id = server_of(&id)?;
    security_servers::facts(&call, &id);
    call.fact("nodeClass", body.node_class);
    let class = body.node_class.map(Into::into);
    let server = call.node().command(move |desk| desk.set_server_class(&id, class)).await?;
    security_servers::look(&call, server.id, ServerView::of).map(Json)
}
