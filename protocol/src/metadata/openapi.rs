//! `getOpenAPI`: the description of a REST service, without the addresses of its servers (§6.3).

use super::tree::Node;

/// Why a description is not handed out.
#[derive(Debug, thiserror::Error)]
pub enum OpenApiError {
    /// It is no JSON, or no YAML.
    #[error("the description cannot be read: {0}")]
    Unreadable(String),
    /// `openapi` is missing or does not begin with `3.`
    #[error("the description is not of OpenAPI 3")]
    Version,
    /// The address of a server is no URL.
    #[error("the description has a server address that is no URL")]
    Server,
}

/// How a description is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// JSON
    Json,
    /// YAML
    Yaml,
}

impl Format {
    /// By the content type with which the description came, if there was one, and the path of its URL.
    pub fn of(content_type: Option<&str>, path: &str) -> Self {
        match content_type {
            Some(content_type) if content_type.contains("application/json") => Self::Json,
            Some("application/x-yaml") => Self::Yaml,
            _ if path.ends_with(".json") => Self::Json,
            _ => Self::Yaml,
        }
    }
}

/// Replaces the address of every server by its path, unless it is a template. Order and values of all
/// else stay; white space and comments do not.
///
/// # Errors
/// See [`OpenApiError`].
pub fn without_servers(description: &[u8], format: Format) -> Result<String, OpenApiError> {
    let unreadable = |error: String| OpenApiError::Unreadable(error);
    let text = std::str::from_utf8(description).map_err(|error| unreadable(error.to_string()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut document: Node = match format {
        Format::Json => serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?,
        Format::Yaml => serde_saphyr::from_str(text).map_err(|error| unreadable(error.to_string()))?,
    };
    let mut versions = document.all_mut("openapi").peekable();
    if versions.peek().is_none() || !versions.all(|version| is_version_3(version)) {
        return Err(OpenApiError::Version);
    }
    drop(versions);
    mask(&mut document)?;
    // Paths and operations may have servers of their own.
    for path in document.all_mut("paths").flat_map(Node::entries_mut).map(|(_, path)| path) {
        mask(path)?;
        for (_, operation) in path.entries_mut() {
            mask(operation)?;
        }
    }
    match format {
        Format::Json => serde_json::to_string(&document).map_err(|error| unreadable(error.to_string())),
        Format::Yaml => serde_saphyr::to_string(&document).map_err(|error| unreadable(error.to_string())),
    }
}

fn is_version_3(version: &Node) -> bool {
    version.as_text().is_some_and(|version| version.starts_with("3."))
}

/// Masks what stands in `servers` of this part of a document.
fn mask(part: &mut Node) -> Result<(), OpenApiError> {
    let servers = part.all_mut("servers").flat_map(Node::members_mut);
    let mut urls: Vec<_> = servers.flat_map(|server| server.all_mut("url")).collect();
    for url in &mut urls {
        if let Node::Text(text) = *url
            && !text.contains('{')
        {
            *text = path_of(text)?.to_owned();
        }
    }
    Ok(())
}

/// The path of an absolute or relative URL.
fn path_of(url: &str) -> Result<&str, OpenApiError> {
    if url.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return Err(OpenApiError::Server);
    }
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let hierarchical = match url.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            let fine = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
            if !fine || scheme.is_empty() || rest.is_empty() {
                return Err(OpenApiError::Server);
            }
            Some(rest)
        }
        _ => url.strip_prefix("//"),
    };
    Ok(match hierarchical {
        Some(rest) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default(),
        None => url,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Option<&str>) {
        assert_eq!(path_of(url).ok(), expected, "{url}");
    }

    #[test]
    fn addresses_become_paths() {
        check("http://isopenapi:8080", Some(""));
        check("https://h/api/v1?x=http://y#z", Some("/api/v1"));
        check("//h:80/api", Some("/api"));
        check("/api/", Some("/api/"));
        check("api", Some("api"));
        check("", Some(""));
        check("/redirect/http://x/", Some("/redirect/http://x/"));
        check("http://", None);
        check("http://a b/", None);
        check("ht tp://a/", None);
        check("h_t://a/", None);
    }

    #[test]
    fn json_keeps_its_order() {
        let json = "{ \"openapi\": \"3.1.0\", \"servers\": [ {\"url\": \"http://10.0.0.1/a\"}, \
                    {\"url\": \"https://{host}/b\"}, {\"x\": 1} ], \"info\": {\"z\": 1.5, \"a\": null, \"n\": -1}, \
                    \"paths\": {\"/p\": {\"servers\": [{\"url\": \"http://10.0.0.2/\"}], \
                    \"get\": {\"servers\": [{\"url\": \"http://10.0.0.3/c\"}]}}} }";
        assert_eq!(
            without_servers(json.as_bytes(), Format::Json).unwrap(),
            "{\"openapi\":\"3.1.0\",\"servers\":[{\"url\":\"/a\"},{\"url\":\"https://{host}/b\"},{\"x\":1}],\
             \"info\":{\"z\":1.5,\"a\":null,\"n\":-1},\"paths\":{\"/p\":{\"servers\":[{\"url\":\"/\"}],\
             \"get\":{\"servers\":[{\"url\":\"/c\"}]}}}}"
        );
    }

    #[test]
    fn yaml_keeps_its_order_and_meaning() {
        let yaml = "# comment\nopenapi: 3.0.3\nservers:\n  - url: http://10.0.0.1:8080/api\ninfo:\n  \
                    title: 'yes'\n  version: \"1.0\"\npaths:\n  /p/{id}:\n    get:\n      responses:\n        \
                    200:\n          description: |\n            two\n            lines\n        \
                    '404': {description: \"#: no\"}\n";
        let masked = without_servers(yaml.as_bytes(), Format::Yaml).unwrap();
        assert!(!masked.contains("10.0.0.1"), "{masked}");
        let read: Node = serde_saphyr::from_str(&masked).unwrap();
        let expected: Node =
            serde_saphyr::from_str(&yaml.replace("http://10.0.0.1:8080/api", "/api")).unwrap();
        assert_eq!(read, expected, "{masked}");
        assert!(masked.find("servers").unwrap() < masked.find("info").unwrap());
    }

    #[test]
    fn what_is_not_openapi_3_is_refused() {
        for (text, format) in [
            ("{\"openapi\":\"2.0\"}", Format::Json),
            ("{\"swagger\":\"2.0\"}", Format::Json),
            ("{\"openapi\":\"3.0.0\",\"openapi\":\"2.0\"}", Format::Json),
            ("{\"openapi\":3.0}", Format::Json),
            ("[]", Format::Json),
            ("{\"openapi\":\"3.0.0\"", Format::Json),
            ("{\"openapi\":\"3.0.0\",\"servers\":[{\"url\":\"http://a b\"}]}", Format::Json),
            ("openapi: 2.0", Format::Yaml),
            ("a: [", Format::Yaml),
            ("\u{0}", Format::Yaml),
        ] {
            assert!(without_servers(text.as_bytes(), format).is_err(), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert!(without_servers(deep.as_bytes(), Format::Json).is_err());
        assert!(without_servers(deep.as_bytes(), Format::Yaml).is_err());
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                    d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n\
                    f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nopenapi: 3.0.0\n";
        assert!(without_servers(bomb.as_bytes(), Format::Yaml).is_err());
    }

    #[test]
    fn the_format_follows_content_type_and_path() {
        assert_eq!(Format::of(Some("application/json;charset=utf-8"), "/x.yaml"), Format::Json);
        assert_eq!(Format::of(Some("application/x-yaml"), "/x.json"), Format::Yaml);
        assert_eq!(Format::of(Some("text/plain"), "/x.json"), Format::Json);
        assert_eq!(Format::of(None, "/x"), Format::Yaml);
    }
}
