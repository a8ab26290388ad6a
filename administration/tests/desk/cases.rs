//! What is tried.

use serde_json::json;

use super::Running;
use super::client::{Answer, raw, send};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

impl Running {
    async fn send(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        send((self.address, self.folder.path()), line, headers, body.as_bytes()).await
    }

    async fn log_in(&self, user: &str) -> Vec<(String, String)> {
        let body = format!("username={user}&password=correct+horse");
        let answer = self.send("POST /login", &[FORM], &body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let (id, xsrf) = (answer.cookie("JSESSIONID").unwrap(), answer.cookie("XSRF-TOKEN").unwrap());
        let cookie = format!("JSESSIONID={id}; XSRF-TOKEN={xsrf}");
        vec![("Cookie".to_owned(), cookie), ("X-XSRF-TOKEN".to_owned(), xsrf)]
    }

    async fn as_user(&self, session: &[(String, String)], line: &str, body: &str) -> Answer {
        let mut headers = vec![JSON];
        headers.extend(session.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        self.send(line, &headers, body).await
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.0.lock().unwrap())
    }
}

#[tokio::test]
async fn a_session_does_what_its_roles_may() {
    let server = Running::start(|_| ()).await;
    let (mai, lan) = (server.log_in("mai").await, server.log_in("lan").await);
    server.told();
    let thing = r#"{"name":"a"}"#;
    for (session, line, body, expected) in [
        (&mai, "GET /api/v1/things", "", "200 -"),
        (&lan, "GET /api/v1/things", "", "200 -"),
        (&lan, "POST /api/v1/things", thing, "403 access_denied"),
        (&mai, "POST /api/v1/things", thing, "201 -"),
        (&mai, "POST /api/v1/things", thing, "409 thing_exists"),
        (&mai, "POST /api/v1/things", r#"{"name":""}"#, "400 validation_failure"),
        (&mai, "POST /api/v1/things", r#"{"name":"odd"}"#, "400 warnings_detected"),
        (&mai, "POST /api/v1/things", r#"{"name":"odd","ignore_warnings":true}"#, "201 -"),
        (&mai, "POST /api/v1/things", r#"{"name":1}"#, "400 validation_failure"),
        (&mai, "POST /api/v1/things", r#"{"name":"b"} x"#, "400 validation_failure"),
        (&mai, "POST /api/v1/things", r#"{"name":"panic"}"#, "500 internal_error"),
        (&mai, "DELETE /api/v1/things/a", "", "204 -"),
        (&mai, "DELETE /api/v1/things/a%2F..%2Fb", "", "404 thing_not_found"),
        (&mai, "DELETE /api/v1/things/%FF", "", "400 validation_failure"),
        (&mai, "DELETE /api/v1/nothing", "", "404 not_found"),
        (&mai, "PATCH /api/v1/things", "", "405 method_not_allowed"),
        (&lan, "GET /api/v1/ping", "", "200 -"),
    ] {
        assert_eq!(server.as_user(session, line, body).await.verdict(), expected, "{line} {body}");
    }
    assert_eq!(
        server.told(),
        [
            r#"Add thing: lan access_denied {"operation":"addThing"}"#,
            r#"Add thing: mai done {"name":"a"}"#,
            r#"Add thing: mai thing_exists {"name":"a"}"#,
            r#"Add thing: mai validation_failure {"name":""}"#,
            r#"Add thing: mai warnings_detected {"name":"odd"}"#,
            r#"Add thing: mai done {"name":"odd"}"#,
            "Add thing: mai validation_failure {}",
            "Add thing: mai validation_failure {}",
            r#"Add thing: mai internal_error {"name":"panic"}"#,
            r#"Delete thing: mai done {"name":"a"}"#,
            r#"Delete thing: mai thing_not_found {"name":"a/../b"}"#,
            "Delete thing: mai validation_failure {}",
        ]
    );
}

#[tokio::test]
async fn nobody_comes_in_without_proof() {
    let server = Running::start(|_| ()).await;
    let mai = server.log_in("mai").await;
    let cookie = mai[0].1.as_str();
    let other = server.log_in("mai").await;
    for (headers, expected) in [
        (vec![], "401 unauthorized"),
        (vec![("Cookie", cookie)], "403 access_denied"),
        (vec![("Cookie", cookie), ("X-XSRF-TOKEN", other[1].1.as_str())], "403 access_denied"),
        (vec![("Cookie", "JSESSIONID=x; XSRF-TOKEN=y"), ("X-XSRF-TOKEN", "y")], "401 unauthorized"),
        (vec![("Authorization", "X-Road-ApiKey token=5f2c")], "401 unauthorized"),
        (vec![("Authorization", "Basic bWFpOmNvcnJlY3QgaG9yc2U=")], "401 unauthorized"),
    ] {
        assert_eq!(server.send("GET /api/v1/things", &headers, "").await.verdict(), expected, "{headers:?}");
    }
    let out = server.as_user(&mai, "POST /logout", "").await;
    assert_eq!(out.verdict(), "200 -");
    assert_eq!(server.as_user(&mai, "GET /api/v1/things", "").await.verdict(), "401 unauthorized");
    // Who is removed from the file is out at once, sessions included.
    causeway_administration::access::remove_user(&server.folder.path().join("users.toml"), "mai").unwrap();
    assert_eq!(server.as_user(&other, "GET /api/v1/things", "").await.verdict(), "401 unauthorized");
}

#[tokio::test]
async fn a_login_gives_a_new_session_and_wrong_passwords_slow_down() {
    let server = Running::start(|_| ()).await;
    let fixed = ("Cookie", "JSESSIONID=chosen-by-somebody");
    let answer = server.send("POST /login", &[FORM, fixed], "username=mai&password=correct+horse").await;
    let cookies: Vec<&str> =
        answer.head.lines().filter(|line| line.starts_with("set-cookie: JSESSIONID=")).collect();
    assert_eq!(cookies.len(), 1);
    assert!(
        !cookies[0].contains("chosen") && cookies[0].ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict")
    );
    for header in [
        "x-content-type-options: nosniff",
        "x-frame-options: DENY",
        "content-security-policy: default-src 'self'",
        "strict-transport-security: max-age=31536000 ; includeSubDomains",
        "x-road-ui-correlation-id: ",
    ] {
        assert!(answer.head.contains(header), "{header} in {}", answer.head);
    }
    let mut verdicts = Vec::new();
    for _ in 0..7 {
        verdicts.push(server.send("POST /login", &[FORM], "username=lan&password=wrong").await.verdict());
    }
    assert_eq!(verdicts[..5], ["401 unauthorized"; 5]);
    assert_eq!(verdicts[5..], ["429 too_many_requests"; 2]);
    // Another user from the same place is not concerned.
    server.log_in("mai").await;
}

#[tokio::test]
async fn api_keys_are_made_used_changed_and_removed() {
    let server = Running::start(|_| ()).await;
    let mai = ("Authorization", "Basic bWFpOmNvcnJlY3QgaG9yc2U=");
    let lan = ("Authorization", "Basic bGFuOmNvcnJlY3QgaG9yc2U=");
    let roles = r#"["XROAD_SECURITY_OFFICER"]"#;
    let path = "POST /api/v1/api-keys";
    for (who, body, expected) in [
        (lan, roles, "403 access_denied"),
        (mai, "[]", "400 invalid_role"),
        (mai, r#"["XROAD_KING"]"#, "400 invalid_role"),
        (mai, r#"["XROAD_REGISTRATION_OFFICER"]"#, "403 access_denied"),
        (mai, r#"["XROAD_MANAGEMENT_SERVICE"]"#, "200 -"),
    ] {
        assert_eq!(server.send(path, &[who, JSON], body).await.verdict(), expected, "{body}");
    }
    let made = server.send(path, &[mai, JSON], roles).await.json();
    assert_eq!((&made["id"], &made["roles"]), (&json!(2), &json!(["XROAD_SECURITY_OFFICER"])));
    let key = format!("x-road-apikey Token={}", made["key"].as_str().unwrap());
    let key = ("Authorization", key.as_str());
    let things = "GET /api/v1/things";
    assert_eq!(server.send(things, &[key], "").await.verdict(), "200 -");
    let one = server.send("GET /api/v1/api-keys/2", &[mai], "").await.json();
    assert_eq!(one, json!({"id": 2, "roles": ["XROAD_SECURITY_OFFICER"]}));
    let other = r#"["XROAD_SYSTEM_ADMINISTRATOR"]"#;
    assert_eq!(server.send("PUT /api/v1/api-keys/2", &[mai, JSON], other).await.verdict(), "200 -");
    assert_eq!(server.send(things, &[key], "").await.verdict(), "403 access_denied");
    assert_eq!(server.send("DELETE /api/v1/api-keys/2", &[key], "").await.verdict(), "200 -");
    assert_eq!(server.send(things, &[key], "").await.verdict(), "401 unauthorized");
    assert_eq!(server.send("DELETE /api/v1/api-keys/2", &[mai], "").await.verdict(), "404 api_key_not_found");
    let made = r#"API key create: mai done {"apiKeyId":2}"#.to_owned();
    assert!(server.told().contains(&made));
}

#[tokio::test]
async fn addresses_and_rates_are_bounded() {
    let server = Running::start(|settings| settings.requests_per_second = 3).await;
    let mut verdicts = Vec::new();
    for _ in 0..8 {
        verdicts.push(server.send("GET /api/v1/ping", &[], "").await.verdict());
    }
    assert_eq!(verdicts[..3], ["401 unauthorized"; 3]);
    assert!(verdicts[3..].contains(&"429 too_many_requests".to_owned()), "{verdicts:?}");
    let server = Running::start(|settings| settings.addresses = vec!["10.0.0.0/8".parse().unwrap()]).await;
    assert_eq!(server.send("GET /api/v1/openapi.yaml", &[], "").await.verdict(), "403 access_denied");
}

#[tokio::test]
async fn bodies_are_bounded() {
    let server = Running::start(|_| ()).await;
    let mai = server.log_in("mai").await;
    let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(60_000));
    assert_eq!(server.as_user(&mai, "POST /api/v1/things", &long).await.verdict(), "413 payload_too_large");
    let octets = "y".repeat(1 << 20);
    assert_eq!(server.as_user(&mai, "PUT /api/v1/octets", &octets).await.body, octets.len().to_string());
    let octets = "y".repeat((10 << 20) + 1);
    assert_eq!(server.as_user(&mai, "PUT /api/v1/octets", &octets).await.verdict(), "413 payload_too_large");
    let mut form = mai.clone();
    form.push(("Content-Type".to_owned(), "multipart/form-data; boundary=b".to_owned()));
    let headers: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nabc\r\n--b--\r\n";
    assert_eq!(server.send("POST /api/v1/files", &headers, body).await.body, "3");
    assert_eq!(server.send("POST /api/v1/files", &headers, "--b").await.verdict(), "400 validation_failure");
    for (request, expected) in [
        ("GET /api/v1/ping HTTP/1.1\r\nHost: a\r\nX: a\nb\r\n\r\n", 400),
        ("GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404),
        ("GET /api/v1/%2e%2e/ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404),
    ] {
        let answer = raw(server.address, server.folder.path(), request.as_bytes()).await;
        assert_eq!(answer.status, expected, "{request} {}", answer.head);
    }
}

#[tokio::test]
async fn the_document_needs_no_login() {
    let server = Running::start(|_| ()).await;
    let document = server.send("GET /api/v1/openapi.yaml", &[], "").await.json();
    assert_eq!(document["openapi"], "3.0.3");
    let add = &document["paths"]["/things"]["post"];
    assert_eq!(add["operationId"], "addThing");
    assert_eq!(add["x-permissions"], json!(["CHANGE"]));
    let body = &add["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(body, "#/components/schemas/Thing");
    assert!(document["components"]["schemas"]["Thing"]["properties"]["name"].is_object());
    let parameter = &document["paths"]["/things/{name}"]["delete"]["parameters"][0];
    assert_eq!(parameter["name"], "name");
}
