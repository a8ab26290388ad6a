//! Canonicalises documents for comparison with other implementations; see `tests/kits/c14n.py`.
//!
//! Reads one JSON object a line: `xml` (base64), `method` (algorithm URI), `prefixes` and `id`, the value
//! of an attribute `Id`, or null for the whole document. Answers each with one line: the canonical octets
//! in base64, or `!` and a reason.

use std::io::{self, BufRead, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::xml::{Canonicalization, CanonicalizationMethod, Document, Limits};
use serde::Deserialize;

#[derive(Deserialize)]
struct Request {
    xml: String,
    method: String,
    prefixes: Vec<String>,
    id: Option<String>,
}

fn main() -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let answer = match canonicalise(&line?) {
            Ok(octets) => STANDARD.encode(octets),
            Err(reason) => format!("!{reason}"),
        };
        writeln!(out, "{answer}")?;
    }
    out.flush()
}

fn canonicalise(line: &str) -> Result<Vec<u8>, String> {
    let request: Request = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let xml = STANDARD.decode(&request.xml).map_err(|error| error.to_string())?;
    let method = CanonicalizationMethod::from_uri(&request.method).ok_or("unknown method")?;
    let form = Canonicalization { method, inclusive_prefixes: request.prefixes };
    let document = Document::parse(&xml, &Limits::default()).map_err(|error| error.to_string())?;
    match request.id {
        None => Ok(document.canonicalize(&form)),
        Some(id) => {
            let element = document.element_with_id(&id).ok_or("no such element")?;
            Ok(element.canonicalize(&form))
        }
    }
}
