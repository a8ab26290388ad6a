use super::*;

const URL: &str = "http://docs.example.org/api.yaml";

/// Version, base URL, endpoints and number of faults; or the code.
type Expected<'a> = Result<(&'a str, &'a str, &'a [&'a str], usize), &'a str>;

#[track_caller]
fn check_as(format: Format, text: &str, expected: Expected<'_>) {
    match (OpenApi::parse(text.as_bytes(), format, URL), expected) {
        (Ok(found), Ok((version, base_url, endpoints, faults))) => {
            assert_eq!((&*found.version, &*found.base_url), (version, base_url), "{text}");
            let line = |endpoint: &Endpoint| format!("{} {}", endpoint.method, endpoint.path);
            assert_eq!(found.endpoints.iter().map(line).collect::<Vec<_>>(), endpoints, "{text}");
            let details = found.warnings.iter().map(|warning| warning.details.len()).sum::<usize>();
            assert_eq!(details, faults, "{:?}", found.warnings);
        }
        (Err(error), Err(code)) => assert_eq!(error.code(), code, "{error}: {text}"),
        (found, _) => panic!("{found:?} for {text}"),
    }
}

#[track_caller]
fn check(text: &str, expected: Expected<'_>) {
    check_as(Format::Yaml, text, expected);
}

const HEAD: &str = "openapi: 3.0.3\ninfo: {title: T, version: 1.0}\n";

fn with(rest: &str) -> String {
    format!("{HEAD}{rest}")
}

#[test]
fn endpoints_of_a_document() {
    let rest = "
servers: [{url: /api/}, {url: 'http://second'}]
paths:
  /a/{id}/b/{other}:
    parameters: [{name: id, in: path}, {$ref: '#/components/parameters/other'}]
    summary: s
    get: {responses: {200: {description: OK}}}
    patch: {responses: {}}
  /a.{format}:
    trace: {parameters: [{$ref: 'http://elsewhere/x'}], responses: {}}
  x-extension: 3
components: {parameters: {other: {name: other, in: path}}}
";
    let endpoints = ["TRACE /a.*", "GET /a/*/b/*", "PATCH /a/*/b/*"];
    check(&with(rest), Ok(("3.0.3", "http://docs.example.org/api", &endpoints, 0)));
    check(&with("paths: {}"), Ok(("3.0.3", "http://docs.example.org", &[], 0)));
}

#[test]
fn both_formats() {
    let json = r#"{"openapi":"3.1.0","info":{"title":"T","version":"1"},"paths":{"/a":{"get":{}}}}"#;
    let expected: Expected<'_> = Ok(("3.1.0", "http://docs.example.org", &["GET /a"], 0));
    check_as(Format::Json, json, expected);
    check_as(Format::Yaml, json, expected);
    check_as(Format::Json, HEAD, Err("openapi_parsing_error"));
    for (content_type, url, expected) in [
        (Some("application/json; charset=utf-8"), "http://h/api.yaml", Format::Json),
        (Some("application/x-yaml"), "http://h/api.json", Format::Yaml),
        (Some("text/plain"), "http://h/api.json?x", Format::Json),
        (Some("text/plain"), "http://h/api", Format::Yaml),
        (None, "http://h/api?x=.json", Format::Yaml),
    ] {
        assert_eq!(Format::of(content_type, url), expected, "{content_type:?} {url}");
    }
}

#[test]
fn versions() {
    for version in ["3.0.0", "3.0.4", "3.1.0"] {
        check(&format!("openapi: {version}\ninfo: {{title: T, version: 1}}\npaths: {{}}"), {
            Ok((version, "http://docs.example.org", &[], 0))
        });
    }
    for version in ["3.1.1", "3.2.0", "3.0", "3.0.", "3.0.x", "2.0", "4.0.0", "[]"] {
        check(&format!("openapi: {version}\npaths: {{}}"), Err("unsupported_openapi_version"));
    }
    check("swagger: '2.0'\npaths: {}", Err("unsupported_openapi_version"));
    check("paths: {}", Err("openapi_parsing_error"));
}

#[test]
fn faults_are_warnings() {
    let base = "http://docs.example.org";
    check("openapi: 3.0.0\npaths: {}", Ok(("3.0.0", base, &[], 2)));
    check(&with("paths: {'/a/{x}': {get: {responses: {}}}}"), Ok(("3.0.3", base, &["GET /a/*"], 1)));
    check(&with("paths: {/a: {get: {}}}"), Ok(("3.0.3", base, &["GET /a"], 1)));
    check(&with("paths: {a: {get: {responses: {}}}}"), Ok(("3.0.3", base, &["GET a"], 1)));
    let variable = "servers: [{url: 'https://{host}/r1'}]\npaths: {}";
    check(&with(variable), Ok(("3.0.3", "https://{host}/r1", &[], 1)));
    let defined = "servers: [{url: 'https://{host}/r1', variables: {host: {default: h}}}]\npaths: {}";
    check(&with(defined), Ok(("3.0.3", "https://{host}/r1", &[], 0)));
    let many: String = (0..200).map(|number| format!("  a{number}: {{}}\n")).collect();
    check(&with(&format!("paths:\n{many}")), Ok(("3.0.3", base, &[], 50)));
}

#[test]
fn refused_documents() {
    let bad = Err("openapi_parsing_error");
    for text in ["", "FooBar!", "[]", "{", "\u{0}", "openapi: 3.0.0", "openapi: 3.0.0\npaths: []", "a: *b"] {
        check(text, bad);
        check_as(Format::Json, text, bad);
    }
    check(&with("paths: {/a: {get: {}, get: {}}}"), bad);
    check(&with("paths: {/a: {}, /a: {}}"), bad);
    check_as(Format::Json, r#"{"openapi":"3.0.0","paths":{"/a":{"get":1,"\u0067et":2}}}"#, bad);
    check(&with("paths: {'/a/{x}': {get: {}}, '/a/{y}': {get: {}}}"), bad);
    check(&with("paths: {/a: 3}"), bad);
    check(&with("servers: 3\npaths: {}"), bad);
    check(&with("servers: [{}]\npaths: {}"), bad);
    check(&with("servers: [{url: 'ftp://h'}]\npaths: {}"), bad);
    check(&with("paths: {}\n---\npaths: {}"), bad);
    let many: String = (0..=MOST_ENDPOINTS).map(|number| format!("  /{number}: {{get: {{}}}}\n")).collect();
    check(&with(&format!("paths:\n{many}")), bad);
}

/// Small documents that unfold, and deep ones.
#[test]
fn bombs() {
    let bad = Err("openapi_parsing_error");
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        laughs += &format!("a{level}: &a{level} [{}]\n", [&*alias; 10].join(", "));
    }
    check(&laughs, bad);
    for depth in [1000, 1_000_000] {
        check(&"[".repeat(depth), bad);
        check(&"{a: ".repeat(depth), bad);
        check(&"- ".repeat(depth), bad);
        check_as(Format::Json, &r#"{"a":"#.repeat(depth), bad);
        check_as(Format::Json, &"[".repeat(depth), bad);
    }
    check(&" ".repeat(LARGE), bad);
    check_as(Format::Json, &format!("[{}0]", "0,".repeat(300_000)), bad);
    check(&format!("[{}0]", "0,".repeat(300_000)), bad);
}

const LARGE: usize = (10 << 20) + 1;
