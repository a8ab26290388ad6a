//! Bodies of `multipart/form-data`, which recordings cut off.

/// A body of form fields and files.
#[derive(Clone, Debug)]
pub struct Multipart {
    /// What stands in `Content-Type`.
    pub content_type: String,
    /// The bytes.
    pub body: Vec<u8>,
}

/// One part.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// A form field with its name and value.
    Field(&'a str, &'a str),
    /// A file: the field's name, the file's name, its bytes.
    File(&'a str, &'a str, &'a [u8]),
}

const BOUNDARY: &str = "------------------------25d3e3df98970556";

impl Multipart {
    /// The body of these parts.
    pub fn of(parts: &[Part<'_>]) -> Self {
        let mut body = Vec::new();
        for part in parts {
            let (head, content) = match part {
                Part::Field(name, value) => (format!("name=\"{name}\"\r\n"), value.as_bytes()),
                Part::File(name, file, content) => {
                    let kind = "application/octet-stream";
                    (format!("name=\"{name}\"; filename=\"{file}\"\r\nContent-Type: {kind}\r\n"), *content)
                }
            };
            let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        Self { content_type: format!("multipart/form-data; boundary={BOUNDARY}"), body }
    }
}
