//! The interface over real TLS, with a desk of three operations.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use causeway_administration::access::{Access, Permission, Role, set_user};
use causeway_administration::api::{
    Api, ApiError, Call, CodeWithDetails, Created, Done, Form, Json, NoContent, Octets, Path, delete, get,
    post, put,
};
use causeway_administration::audit::{Audit, Event};
use causeway_administration::server::Listener;
use causeway_administration::settings::{Settings, Written};
use causeway_administration::store::SledStore;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[path = "desk/cases.rs"]
mod cases;
#[path = "desk/client.rs"]
mod client;

#[derive(Clone, Copy)]
enum May {
    Look,
    Change,
}

impl Permission for May {
    fn name(self) -> &'static str {
        match self {
            Self::Look => "LOOK",
            Self::Change => "CHANGE",
        }
    }

    fn roles(self) -> &'static [Role] {
        match self {
            Self::Look => &[Role::Observer, Role::SecurityOfficer],
            Self::Change => &[Role::SecurityOfficer],
        }
    }
}

#[derive(Default)]
struct Desk(Mutex<Vec<String>>);

#[derive(Deserialize, JsonSchema, Serialize)]
struct Thing {
    name: String,
    #[serde(default, skip_serializing)]
    ignore_warnings: bool,
}

async fn list(call: Call<Desk>) -> Json<Vec<String>> {
    Json(call.node().0.lock().unwrap().clone())
}

async fn add(call: Call<Desk>, Json(thing): Json<Thing>) -> Result<Created<Thing>, ApiError> {
    call.fact("name", &thing.name);
    if thing.name.is_empty() {
        return Err(ApiError::validation("name", "NotBlank"));
    }
    if thing.name == "odd" && !thing.ignore_warnings {
        return Err(ApiError::warnings(vec![CodeWithDetails::new("odd_name", vec![thing.name])]));
    }
    if thing.name == "panic" {
        panic!("a handler that is wrong");
    }
    let mut things = call.node().0.lock().unwrap();
    if things.contains(&thing.name) {
        return Err(ApiError::conflict("thing_exists").with(thing.name));
    }
    things.push(thing.name.clone());
    Ok(Created(thing))
}

async fn remove(call: Call<Desk>, Path(name): Path<String>) -> Result<NoContent, ApiError> {
    call.fact("name", &name);
    let mut things = call.node().0.lock().unwrap();
    let place = things.iter().position(|thing| *thing == name);
    things.remove(place.ok_or_else(|| ApiError::not_found("thing_not_found").with(name))?);
    Ok(NoContent)
}

async fn upload(call: Call<Desk>, mut form: Form) -> Result<Json<usize>, ApiError> {
    let file = form.file("file").ok_or_else(|| ApiError::validation("file", "NotNull"))?;
    call.fact_hash("fileHash", &file.content);
    Ok(Json(file.content.len()))
}

async fn octets(_call: Call<Desk>, Octets(octets): Octets) -> Json<usize> {
    Json(octets.len())
}

async fn ping(_call: Call<Desk>) -> Done {
    Done
}

fn api() -> Api<Desk, May> {
    Api::new("A desk")
        .add(get("/things", "listThings").permission(May::Look).answers::<Vec<String>>(200), list)
        .add(
            post("/things", "addThing")
                .permission(May::Change)
                .event("Add thing")
                .takes::<Thing>()
                .answers::<Thing>(201)
                .refuses(409),
            add,
        )
        .add(
            delete("/things/{name}", "removeThing")
                .permission(May::Change)
                .event("Delete thing")
                .answers_nothing(204)
                .refuses(404),
            remove,
        )
        .add(
            post("/files", "upload")
                .permission(May::Change)
                .event("Upload")
                .takes_form::<Thing>()
                .answers::<usize>(200),
            upload,
        )
        .add(put("/octets", "octets").permission(May::Change).takes_octets().answers::<usize>(200), octets)
        .add(get("/ping", "ping").authenticated().answers_nothing(200), ping)
}

/// Keeps what it is told as text.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Audit for Told {
    fn record(&self, event: Event<'_>) {
        let who = event.actor.map_or("nobody", |actor| &actor.name);
        let how =
            event.outcome.map_or_else(|error| error.code().unwrap_or("?").to_owned(), |()| "done".into());
        let facts = serde_json::to_string(&event.facts).unwrap();
        self.0.lock().unwrap().push(format!("{}: {who} {how} {facts}", event.event));
    }
}

struct Running {
    address: SocketAddr,
    told: Arc<Told>,
    folder: tempfile::TempDir,
    _stop: tokio::sync::watch::Sender<bool>,
}

impl Running {
    async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let users = folder.path().join("users.toml");
        for (name, roles) in
            [("mai", vec![Role::SecurityOfficer, Role::SystemAdministrator]), ("lan", vec![Role::Observer])]
        {
            set_user(&users, name, "correct horse", &roles).unwrap();
        }
        let written = Written {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            users_file: Some(users),
            requests_per_second: Some(1000),
            requests_per_minute: Some(1000),
            ..Written::default()
        };
        let mut settings = written.check(folder.path(), folder.path()).unwrap();
        change(&mut settings);
        let store = Arc::new(SledStore::open(&folder.path().join("store")).unwrap());
        let access = Arc::new(Access::open(&settings, store).unwrap());
        let told = Arc::new(Told::default());
        let listener = Listener::open(&settings).unwrap();
        let address = listener.address().unwrap();
        let router = api().router(Arc::new(Desk::default()), access, told.clone());
        let (stop, stopped) = tokio::sync::watch::channel(false);
        tokio::spawn(listener.serve(router, stopped));
        Self { address, told, folder, _stop: stop }
    }
}
