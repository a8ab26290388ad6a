//! One operation: everything that is said about it in one place.

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::access::Permission;

/// Bodies of ordinary calls and of uploads, octets (registry and administration §6.5).
const BODY: usize = 50 * 1024;
const UPLOAD: usize = 10 * 1024 * 1024;

pub(crate) type MakeSchema = fn(&mut SchemaGenerator) -> Schema;
/// Its type, and its schema where it has one.
pub(crate) type Content = (&'static str, Option<MakeSchema>);

/// An operation of an interface: its route, who may, what it takes and answers, and what the audit log calls
/// it. Made by [`get`], [`post`], [`put`], [`patch`] and [`delete`].
pub struct Operation<P> {
    /// The method.
    pub method: Method,
    /// The path below `/api/v1`, with `{name}` for parameters.
    pub path: &'static str,
    /// The name in the OpenAPI document.
    pub id: &'static str,
    /// One of these is needed; none: it is enough to be known.
    pub permissions: Vec<P>,
    /// What the audit log calls it; none: it only looks, and only refusals are noted.
    pub event: Option<&'static str>,
    /// The statuses that it answers with, besides 400, 401, 403, 413, 429 and 500.
    pub statuses: Vec<u16>,
    pub(crate) summary: &'static str,
    pub(crate) is_look: bool,
    pub(crate) body_limit: usize,
    pub(crate) request: Option<Content>,
    pub(crate) queries: Vec<MakeSchema>,
    pub(crate) answers: Vec<(u16, Option<Content>)>,
}

macro_rules! methods {
    ($($name:ident $method:ident $doc:literal),*) => {
        $(
            #[doc = $doc]
            pub fn $name<P: Permission>(path: &'static str, id: &'static str) -> Operation<P> {
                Operation::new(Method::$method, path, id)
            }
        )*
    };
}

methods! {
    get GET "An operation that looks.",
    post POST "An operation that adds or acts.",
    put PUT "An operation that sets.",
    patch PATCH "An operation that changes.",
    delete DELETE "An operation that removes."
}

impl<P: Permission> Operation<P> {
    fn new(method: Method, path: &'static str, id: &'static str) -> Self {
        Self {
            method,
            path,
            id,
            permissions: Vec::new(),
            event: None,
            statuses: Vec::new(),
            summary: "",
            is_look: false,
            body_limit: BODY,
            request: None,
            queries: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// What it does, for the document.
    #[must_use]
    pub fn summary(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    /// This permission is needed.
    #[must_use]
    pub fn permission(mut self, permission: P) -> Self {
        self.permissions.push(permission);
        self
    }

    /// One of these permissions is needed.
    #[must_use]
    pub fn permission_any(mut self, permissions: &[P]) -> Self {
        self.permissions.extend_from_slice(permissions);
        self
    }

    /// Whoever is known may; says so in the table.
    #[must_use]
    pub fn authenticated(self) -> Self {
        self
    }

    /// A page asks this by itself now and then: it does not keep a session alive.
    #[must_use]
    pub fn only_looks(mut self) -> Self {
        self.is_look = true;
        self
    }

    /// What the audit log calls it (§10).
    #[must_use]
    pub fn event(mut self, event: &'static str) -> Self {
        self.event = Some(event);
        self
    }

    /// It takes a JSON body.
    #[must_use]
    pub fn takes<T: JsonSchema>(mut self) -> Self {
        self.request = Some(("application/json", Some(SchemaGenerator::subschema_for::<T>)));
        self
    }

    /// It takes a form with files.
    #[must_use]
    pub fn takes_form<T: JsonSchema>(mut self) -> Self {
        self.request = Some(("multipart/form-data", Some(SchemaGenerator::subschema_for::<T>)));
        self.body_limit = UPLOAD;
        self
    }

    /// It takes a file as its body.
    #[must_use]
    pub fn takes_octets(mut self) -> Self {
        self.request = Some(("application/octet-stream", None));
        self.body_limit = UPLOAD;
        self
    }

    /// It has parameters in the query; asked more than once, those of all types.
    #[must_use]
    pub fn asks<T: JsonSchema>(mut self) -> Self {
        self.queries.push(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// It answers JSON with this status.
    #[must_use]
    pub fn answers<T: JsonSchema>(mut self, status: u16) -> Self {
        let schema: MakeSchema = SchemaGenerator::subschema_for::<T>;
        self.answers.push((status, Some(("application/json", Some(schema)))));
        self.statuses.push(status);
        self
    }

    /// It answers without a body.
    #[must_use]
    pub fn answers_nothing(mut self, status: u16) -> Self {
        self.answers.push((status, None));
        self.statuses.push(status);
        self
    }

    /// It answers a file.
    #[must_use]
    pub fn answers_file(mut self, status: u16, content_type: &'static str) -> Self {
        self.answers.push((status, Some((content_type, None))));
        self.statuses.push(status);
        self
    }

    /// It may refuse with this status.
    #[must_use]
    pub fn refuses(mut self, status: u16) -> Self {
        self.statuses.push(status);
        self
    }
}
