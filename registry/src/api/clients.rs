//! `/clients`: searching members and subsystems.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use administration::api::{ApiError, Call, Json, Query, get};
use protocol::id::ClientId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::{ClientIdView, server_of};
use super::list::{Order, Paging, PagingMetadata, Search, folded};
use super::office::Office;
use super::permission::Permission;
use super::{RegistryApi, list};
use crate::instance::{Instance, Member, Refusal, Subsystem};

/// A member or subsystem.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Client")]
pub struct ClientView {
    /// Name of the member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_name: Option<String>,
    /// Who.
    pub client_id: ClientIdView,
}

/// A page of them. The key of the rows is not `items` here, as X-Road has it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "PagedClients")]
pub struct PagedClients {
    /// The rows.
    pub clients: Vec<ClientView>,
    /// Where the page stands.
    pub paging_metadata: PagingMetadata,
}

/// What is searched for. Texts are found anywhere, letter case does not count.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct ClientFilter {
    /// In the name, class, member code or subsystem code.
    pub q: Option<String>,
    /// In the name of the member.
    pub name: Option<String>,
    /// In the instance.
    pub instance: Option<String>,
    /// In the member class.
    pub member_class: Option<String>,
    /// In the member code.
    pub member_code: Option<String>,
    /// In the subsystem code.
    pub subsystem_code: Option<String>,
    /// Only members or only subsystems.
    pub client_type: Option<ClientKind>,
    /// Only clients of this server.
    pub security_server: Option<String>,
    /// Only those that are not in this global group.
    pub excluding_group: Option<String>,
}

/// Members or subsystems.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "ClientType")]
pub enum ClientKind {
    /// Members.
    Member,
    /// Subsystems.
    Subsystem,
}

/// A row of the list: a member, or a subsystem with its member.
#[derive(Clone, Copy)]
pub(crate) struct ClientRow<'a> {
    pub(crate) member: &'a Member,
    pub(crate) subsystem: Option<&'a Subsystem>,
}

impl<'a> ClientRow<'a> {
    /// The row of a member or subsystem, if it exists.
    pub(crate) fn of(instance: &'a Instance, id: &ClientId) -> Option<Self> {
        let entry = instance.member(id.member())?;
        let subsystem = match id.subsystem() {
            Some(code) => Some(entry.subsystems.get(code)?),
            None => None,
        };
        Some(Self { member: &entry.member, subsystem })
    }

    /// All members, each before its subsystems.
    pub(crate) fn all(instance: &'a Instance) -> impl Iterator<Item = Self> {
        instance.members().values().flat_map(|entry| {
            let row = |subsystem| Self { member: &entry.member, subsystem };
            std::iter::once(row(None)).chain(entry.subsystems.values().map(move |known| row(Some(known))))
        })
    }

    pub(crate) fn view(&self) -> ClientView {
        let client_id = match self.subsystem {
            Some(subsystem) => ClientIdView::from(&subsystem.id),
            None => ClientIdView::from(&self.member.id),
        };
        ClientView { member_name: Some(self.member.name.clone()), client_id }
    }

    fn is_among<V>(&self, ids: &BTreeMap<ClientId, V>) -> bool {
        match self.subsystem {
            Some(subsystem) => ids.contains_key(&subsystem.id),
            None => ids.contains_key(&ClientId::from(self.member.id.clone())),
        }
    }

    fn code(&self) -> &'a str {
        self.subsystem.and_then(|subsystem| subsystem.id.subsystem()).unwrap_or_default()
    }

    fn is(&self, kind: ClientKind) -> bool {
        self.subsystem.is_some() == (kind == ClientKind::Subsystem)
    }
}

/// By what the list can be ordered.
fn orders<'a>() -> [Order<ClientRow<'a>>; 7] {
    [
        ("id", |_, _| Ordering::Equal),
        ("member_name", |one, other| folded(&one.member.name, &other.member.name)),
        ("client_id.instance_id", |one, other| folded(one.member.id.instance(), other.member.id.instance())),
        ("client_id.member_class", |one, other| folded(one.member.id.class(), other.member.id.class())),
        ("client_id.member_code", |one, other| folded(one.member.id.code(), other.member.id.code())),
        ("client_id.subsystem_code", |one, other| folded(one.code(), other.code())),
        ("client_type", |one, other| one.subsystem.is_some().cmp(&other.subsystem.is_some())),
    ]
}

/// A page of the members and subsystems that pass the filter.
fn find(instance: &Instance, filter: &ClientFilter, paging: &Paging) -> Result<PagedClients, ApiError> {
    let search = |text: &Option<String>| Search::new(text.as_deref());
    let anywhere = search(&filter.q);
    let (name, in_instance, class) =
        (search(&filter.name), search(&filter.instance), search(&filter.member_class));
    let (code, subsystem) = (search(&filter.member_code), search(&filter.subsystem_code));
    let excluded = match filter.excluding_group.as_deref().filter(|code| !code.is_empty()) {
        Some(code) => instance.groups().get(code).map(|entry| &entry.members),
        None => None,
    };
    let passes = |row: &ClientRow<'_>| {
        let id = &row.member.id;
        let texts = [row.member.name.as_str(), id.class(), id.code(), row.code()];
        anywhere.as_ref().is_none_or(|search| search.is_in_any(texts))
            && list::passes(name.as_ref(), &row.member.name)
            && list::passes(in_instance.as_ref(), id.instance())
            && list::passes(class.as_ref(), id.class())
            && list::passes(code.as_ref(), id.code())
            && list::passes(subsystem.as_ref(), row.code())
            && filter.client_type.is_none_or(|kind| row.is(kind))
            && excluded.is_none_or(|members| !row.is_among(members))
    };
    let (rows, paging_metadata) = match filter.security_server.as_deref().filter(|id| !id.is_empty()) {
        Some(server) => {
            let id = server_of(server)?;
            let server = instance.server(&id).ok_or(Refusal::ServerNotFound(id))?;
            let rows = server.clients.keys().filter_map(|id| ClientRow::of(instance, id));
            paging.cut(rows.filter(passes), &orders())?
        }
        None => paging.cut(ClientRow::all(instance).filter(passes), &orders())?,
    };
    Ok(PagedClients { clients: rows.iter().map(ClientRow::view).collect(), paging_metadata })
}

impl ClientView {
    /// A member.
    pub(crate) fn of_member(member: &Member) -> Self {
        Self { member_name: Some(member.name.clone()), client_id: ClientIdView::from(&member.id) }
    }

    /// A subsystem; the name of its member is not told.
    pub(crate) fn of_subsystem(subsystem: &Subsystem) -> Self {
        Self { member_name: None, client_id: ClientIdView::from(&subsystem.id) }
    }
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    api.add(
        get("/clients", "findClients")
            .permission_any(&[Permission::SearchMembers, Permission::ViewMembers])
            .asks::<ClientFilter>()
            .asks::<Paging>()
            .answers::<PagedClients>(200)
            .refuses(404),
        search,
    )
}

async fn search(
    call: Call<Office>,
    Query(filter): Query<ClientFilter>,
    Query(paging): Query<Paging>,
) -> Result<Json<PagedClients>, ApiError> {
    Ok(Json(call.node().search(move |instance| find(instance, &filter, &paging)).await?))
}
