//! What goes in and out: JSON, forms with files, downloads, paths and queries. What does not read is refused
//! with 400 `validation_failure`, as both servers do.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, FromRequestParts, Multipart, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::ApiError;

/// Parts of a form; more than any operation asks for.
const MOST_PARTS: usize = 64;

/// A JSON body, in or out; out with 200.
pub struct Json<T>(pub T);

/// A JSON answer with 201.
pub struct Created<T>(pub T);

/// An answer with 201 that says where what was made is. X-Road writes the place without the version of the
/// interface.
pub struct Located<T> {
    place: String,
    body: Option<T>,
}

/// The name by which the caller reached the server, `host:port`.
pub struct Host(String);

/// An answer without a body, 204.
pub struct NoContent;

/// An answer without a body, 200.
pub struct Done;

/// A body of plain octets.
pub struct Octets(pub Bytes);

/// The parameters of a path.
pub struct Path<T>(pub T);

/// The query.
pub struct Query<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|_| ApiError::bad_request("validation_failure"))?;
        let mut reader = serde_json::Deserializer::from_slice(&body);
        let read = T::deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
        read.map(Json).map_err(|error| ApiError::bad_request("validation_failure").with(error.to_string()))
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, axum::Json(self.0)).into_response()
    }
}

impl Host {
    /// The answer that something was made, `path` being its place below `/api`.
    pub fn created<T>(&self, path: &str, body: T) -> Located<T> {
        Located { place: self.place(path), body: Some(body) }
    }

    /// The same without a body.
    pub fn created_nothing(&self, path: &str) -> Located<()> {
        Located { place: self.place(path), body: None }
    }

    fn place(&self, path: &str) -> String {
        format!("https://{}/api{path}", self.0)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Host {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let named = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let authority = parts.uri.authority().map(|authority| authority.as_str());
        let name = named.or(authority).unwrap_or_default();
        // It comes back in a header: what is no name and no address does not.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        Ok(Self(if name.bytes().all(is_plain) { name.to_owned() } else { String::new() }))
    }
}

impl<T: Serialize> IntoResponse for Located<T> {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => (StatusCode::CREATED, axum::Json(body)).into_response(),
            None => StatusCode::CREATED.into_response(),
        };
        // Places are made of numbers, hashes and identifiers; one that no header can have is left out.
        if let Ok(place) = header::HeaderValue::try_from(self.place) {
            response.headers_mut().insert(header::LOCATION, place);
        }
        response
    }
}

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        StatusCode::OK.into_response()
    }
}

impl<S: Send + Sync> FromRequest<S> for Octets {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let body = Bytes::from_request(request, state).await;
        body.map(Octets).map_err(|_| ApiError::bad_request("validation_failure"))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        read.map(|path| Path(path.0)).map_err(|_| ApiError::bad_request("validation_failure"))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        // A name may stand there more than once, for a list.
        let read = serde_html_form::from_str(parts.uri.query().unwrap_or_default());
        read.map(Query).map_err(|error| ApiError::bad_request("validation_failure").with(error.to_string()))
    }
}

/// A file of a form.
pub struct Upload {
    /// Its name at the caller's.
    pub name: String,
    /// Its octets.
    pub content: Bytes,
}

/// A `multipart/form-data` body.
#[derive(Default)]
pub struct Form {
    texts: BTreeMap<String, String>,
    files: BTreeMap<String, Upload>,
}

impl Form {
    /// Takes a file out.
    pub fn file(&mut self, name: &str) -> Option<Upload> {
        self.files.remove(name)
    }

    /// A text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.texts.get(name).cloned()
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// 400 `validation_failure` with the rule `NotNull`
    pub fn required(&self, name: &str) -> Result<String, ApiError> {
        self.text(name).ok_or_else(|| ApiError::validation(name, "NotNull"))
    }

    /// A text that must be there and be one of those that `T` knows.
    ///
    /// # Errors
    /// 400 `validation_failure`
    pub fn parsed<T: DeserializeOwned>(&self, name: &str) -> Result<T, ApiError> {
        let text = self.required(name)?;
        serde_json::from_value(Value::String(text)).map_err(|_| ApiError::validation(name, "Enum"))
    }

    /// As [`Form::parsed`], if it is there.
    ///
    /// # Errors
    /// 400 `validation_failure`
    pub fn optional<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ApiError> {
        if self.texts.contains_key(name) { self.parsed(name).map(Some) } else { Ok(None) }
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bad = || ApiError::bad_request("validation_failure").with("the body is no form with files");
        let mut parts = Multipart::from_request(request, state).await.map_err(|_| bad())?;
        let mut form = Self::default();
        // The body as a whole is bounded by the operation.
        for _ in 0..MOST_PARTS {
            let Some(part) = parts.next_field().await.map_err(|_| bad())? else { return Ok(form) };
            let name = part.name().unwrap_or_default().to_owned();
            match part.file_name().map(str::to_owned) {
                Some(file) => {
                    let content = part.bytes().await.map_err(|_| bad())?;
                    form.files.insert(name, Upload { name: file, content });
                }
                None => drop(form.texts.insert(name, part.text().await.map_err(|_| bad())?)),
            }
        }
        Err(bad())
    }
}

/// A file for the caller, with 200.
pub struct Download {
    /// The name to keep it under.
    pub name: String,
    /// Its content type.
    pub content_type: &'static str,
    /// Its octets.
    pub content: Bytes,
}

impl IntoResponse for Download {
    fn into_response(self) -> Response {
        // Names may come from identifiers; nothing of them may end the header or the quotes.
        let plain = |c: char| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' };
        let name: String = self.name.chars().map(plain).collect();
        let headers = [
            (header::CONTENT_TYPE, self.content_type.to_owned()),
            (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        ];
        (headers, self.content).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_name_the_host_that_was_asked() {
        for (host, expected) in [
            ("ss0:4000", "https://ss0:4000/api/clients/DEV:COM:1"),
            ("[::1]:4000", "https://[::1]:4000/api/clients/DEV:COM:1"),
            ("a/../b", "https:///api/clients/DEV:COM:1"),
            ("a b", "https:///api/clients/DEV:COM:1"),
        ] {
            let (mut parts, ()) =
                http::Request::builder().header("Host", host).body(()).unwrap().into_parts();
            let host = Host::from_request_parts(&mut parts, &()).await.unwrap_or_else(|_| panic!("{host}"));
            let response = host.created("/clients/DEV:COM:1", "body").into_response();
            assert_eq!(response.headers()[header::LOCATION], expected);
            assert_eq!(response.status(), StatusCode::CREATED);
        }
    }
}
