//! The table of operations: one declaration gives the route, who may call it, what the audit log calls it,
//! and the OpenAPI document (registry and administration §6).
//!
//! A handler is an `async fn` that takes a [`Call`] and what the call brings ([`Path`], [`Query`], [`Json`],
//! [`Form`], [`Octets`]), and gives an answer or an [`ApiError`]. It is reached only after the guard has
//! found out who asks and that he may; every act and every refused act is then told to the audit log.

mod account;
mod body;
mod call;
mod document;
mod error;
mod guard;
mod operation;
mod paging;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, MethodRouter};

pub use self::body::{
    Created, Done, Download, Form, Host, Json, Located, NoContent, Octets, Path, Query, Upload,
};
pub use self::call::Call;
pub use self::error::{ApiError, CodeWithDetails, ErrorInfo};
use self::guard::{Guard, Rule};
pub use self::operation::{Operation, delete, get, patch, post, put};
pub use self::paging::{Page, PagingMetadata, PagingQuery};
use crate::access::{Access, Permission};
use crate::audit::Audit;

/// Where the operations are.
pub const BASE: &str = "/api/v1";

type Route<N> = Box<dyn FnOnce(Arc<Guard>, Arc<N>) -> (MethodFilter, MethodRouter) + Send>;

/// The operations of an interface over nodes `N`.
pub struct Api<N, P> {
    title: &'static str,
    /// All operations, in the order of the document.
    pub operations: Vec<Operation<P>>,
    routes: Vec<Route<N>>,
}

impl<N: Send + Sync + 'static, P: Permission> Api<N, P> {
    /// An interface without operations.
    pub fn new(title: &'static str) -> Self {
        Self { title, operations: Vec::new(), routes: Vec::new() }
    }

    /// Adds an operation and what does it.
    ///
    /// # Panics
    /// When the method is none that a route can have; that is wrong in the table and shows at the first start.
    #[must_use]
    pub fn add<T: 'static, H: Handler<T, Arc<N>>>(mut self, operation: Operation<P>, handler: H) -> Self {
        let filter = MethodFilter::try_from(operation.method.clone()).expect("a method of the table");
        let rule = Arc::new(Rule::of(&operation));
        self.routes.push(Box::new(move |guard, node| {
            let handle = move |request: Request| {
                let (guard, rule, node) = (Arc::clone(&guard), Arc::clone(&rule), Arc::clone(&node));
                let handler = handler.clone();
                async move { guard.run(&rule, request, move |request| handler.call(request, node)).await }
            };
            (filter, MethodRouter::new().on(filter, handle))
        }));
        self.operations.push(operation);
        self
    }

    /// The OpenAPI document, JSON.
    pub fn document(&self, version: &str) -> serde_json::Value {
        document::document(self.title, version, &self.operations)
    }

    /// Makes it ready to serve a node.
    pub fn router(self, node: Arc<N>, access: Arc<Access>, audit: Arc<dyn Audit>) -> Router {
        let document = self.document(env!("CARGO_PKG_VERSION")).to_string();
        let mut permissions = P::all().to_vec();
        if permissions.is_empty() {
            permissions =
                self.operations.iter().flat_map(|operation| operation.permissions.clone()).collect();
        }
        let mut permissions: Vec<_> = permissions.iter().map(|one| (one.name(), one.roles())).collect();
        permissions.sort_unstable_by_key(|(name, _)| *name);
        permissions.dedup_by_key(|(name, _)| *name);
        let guard = Arc::new(Guard::new(access, audit, permissions));
        let mut router = account::routes(&guard, document);
        let paths: Vec<&'static str> = self.operations.iter().map(|operation| operation.path).collect();
        for (path, route) in paths.into_iter().zip(self.routes) {
            let (_, route) = route(Arc::clone(&guard), Arc::clone(&node));
            router = router.route(&format!("{BASE}{path}"), route);
        }
        router
            .fallback(async || -> Response { ApiError::not_found("not_found").into_response() })
            .method_not_allowed_fallback(async || -> Response {
                ApiError::new(405, "method_not_allowed").into_response()
            })
            .layer(axum::middleware::from_fn_with_state(guard, guard::around))
    }
}
