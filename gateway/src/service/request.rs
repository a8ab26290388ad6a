//! The HTTP requests that services are called with.

use hyper::body::Body as _;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use protocol::fault::{Fault, code};
use protocol::message::RestRequest;

use super::header_value;
use crate::exchange::refusal::Refusal;
use crate::http::Outgoing;
use crate::ports::LocalService;

/// A request and where it goes.
pub(crate) struct ServiceRequest {
    pub(super) target: Target,
    pub(super) request: Request<Outgoing>,
}

impl ServiceRequest {
    /// A request over REST: every header line of the blob, and our own `Host` and length.
    ///
    /// # Errors
    /// `service_missing_url`, `service_malformed_url`; `internal_error` for headers that HTTP cannot carry.
    pub(crate) fn rest(
        service: &LocalService,
        request: &RestRequest,
        body: Option<Outgoing>,
    ) -> Result<Self, Refusal> {
        let target = Target::of(&service.url, request.service_path(), request.query())?;
        let refused = || Fault::new(code::INTERNAL_ERROR, "the request cannot be passed on over HTTP");
        let mut headers = HeaderMap::with_capacity(24);
        headers.insert(header::HOST, target.authority.clone());
        for (name, value) in request.headers() {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
            headers.append(name, header_value(value).ok_or_else(refused)?);
        }
        let body = if request.forwards_body() { body.unwrap_or(Outgoing::Empty) } else { Outgoing::Empty };
        if request.forwards_body() {
            let length = body.size_hint().exact().unwrap_or_default();
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        let mut outgoing = Request::new(body);
        *outgoing.method_mut() = Method::from_bytes(request.method().as_bytes()).map_err(|_| refused())?;
        *outgoing.uri_mut() = target.path.clone();
        *outgoing.headers_mut() = headers;
        Ok(Self { target, request: outgoing })
    }

    /// A request for a document.
    ///
    /// # Errors
    /// `service_missing_url`, `service_malformed_url`.
    pub(super) fn get(url: &str, query: Option<&str>) -> Result<Self, Refusal> {
        let target = Target::of(url, "", query)?;
        let mut request = Request::new(Outgoing::Empty);
        *request.uri_mut() = target.path.clone();
        request.headers_mut().insert(header::HOST, target.authority.clone());
        Ok(Self { target, request })
    }

    /// A request over SOAP (§2.8): the URL of the service as it is, and the body in chunks.
    ///
    /// # Errors
    /// As [`ServiceRequest::rest`].
    pub(crate) fn soap(
        service: &LocalService,
        content_type: &str,
        action: &str,
        body: Outgoing,
    ) -> Result<Self, Refusal> {
        let target = Target::of(&service.url, "", None)?;
        let refused = || Fault::new(code::INTERNAL_ERROR, "the request cannot be passed on over HTTP");
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.path.clone();
        let headers = request.headers_mut();
        headers.insert(header::HOST, target.authority.clone());
        headers.insert(HeaderName::from_static("soapaction"), header_value(action).ok_or_else(refused)?);
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(""));
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        headers.insert(header::CONTENT_TYPE, header_value(content_type).ok_or_else(refused)?);
        Ok(Self { target, request })
    }
}

/// Where a call goes.
pub(super) struct Target {
    pub(super) secure: bool,
    pub(super) host: String,
    pub(super) port: u16,
    authority: HeaderValue,
    pub(super) path: Uri,
}

impl Target {
    /// Service URL, service path and query put together as §3.9 says: raw, one slash between.
    fn of(url: &str, path: &str, query: Option<&str>) -> Result<Self, Refusal> {
        let bad =
            |why: &str| Refusal::because("service_malformed_url", "the service's URL is malformed", why);
        if url.is_empty() {
            return Err(Fault::new(code::SERVICE_MISSING_URL, "the service has no URL").into());
        }
        let base = if url.ends_with('/') && path.starts_with('/') { url.get(..url.len() - 1) } else { None };
        let mut full = base.unwrap_or(url).to_owned();
        full.push_str(path);
        if let Some(query) = query {
            full.push('?');
            full.push_str(query);
        }
        let uri: Uri = full.parse().map_err(|_| bad(&full))?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad("neither http nor https")),
        };
        let authority = uri.authority().ok_or_else(|| bad("no host"))?;
        let shown = authority.as_str().rsplit('@').next().unwrap_or_default();
        if shown != authority.host() && authority.port_u16().is_none() {
            return Err(bad("malformed port"));
        }
        let path = uri.path_and_query().map_or(Ok(Uri::from_static("/")), |path| path.as_str().parse());
        Ok(Self {
            secure,
            host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            authority: HeaderValue::from_str(shown).map_err(|_| bad("unprintable host"))?,
            path: path.map_err(|_| bad("malformed path"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_put_together_raw() {
        for (url, path, query, expected) in [
            ("http://h/api", "", None, "/api"),
            ("http://h/api", "/v1/x", Some("a=%20b"), "/api/v1/x?a=%20b"),
            ("http://h/api/", "/v1", None, "/api/v1"),
            ("http://h/api/", "", None, "/api/"),
            ("http://h", "", None, "/"),
            ("http://h", "/a%2Fb/..", Some(""), "/a%2Fb/..?"),
        ] {
            let target = Target::of(url, path, query).unwrap();
            assert_eq!(target.path.to_string(), expected, "{url} {path} {query:?}");
            assert_eq!(target.authority, "h");
            assert_eq!(target.port, 80);
        }
        let target = Target::of("https://user@[::1]:8443/x", "", None).unwrap();
        assert_eq!((target.host.as_str(), target.port, target.secure), ("::1", 8443, true));
        assert_eq!(target.authority, "[::1]:8443");
        for url in ["", "ftp://h/", "/x", "http://", "http://h:port/"] {
            assert!(Target::of(url, "", None).is_err(), "{url}");
        }
    }
}
