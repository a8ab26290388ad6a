//! A closed-loop client: a fixed number of connections, each sending its next request when the answer
//! to the last one has come and was checked.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One kind of request, sent again and again.
#[derive(Clone)]
pub struct Request {
    /// Where to connect.
    pub address: SocketAddr,
    /// Head and body as they go on the wire.
    pub bytes: Arc<[u8]>,
    /// Length that the body of every answer must have.
    pub answer_length: usize,
}

/// What a slice of load gave.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Good answers.
    pub answers: u64,
    /// Answers that were wrong, and connections that broke.
    pub errors: u64,
    /// The first error, for the reader.
    pub first_error: Option<String>,
    /// How long it took.
    pub elapsed: Duration,
    /// Latencies in microseconds, sorted.
    pub latencies: Vec<u32>,
}

impl Measured {
    /// Answers in a second.
    pub fn rate(&self) -> f64 {
        self.answers as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// The latency in milliseconds that `share` of the answers stayed below.
    pub fn latency(&self, share: f64) -> f64 {
        let at = ((self.latencies.len() as f64 * share) as usize).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
    }
}

/// Connections that stay open between slices, so that a slice starts warm.
pub struct Load {
    request: Request,
    connections: Vec<Option<TcpStream>>,
}

impl Load {
    /// `clients` connections for this request.
    pub fn new(request: Request, clients: usize) -> Self {
        Self { request, connections: (0..clients).map(|_| None).collect() }
    }

    /// Sends the request once on the first connection; gives what went wrong.
    pub async fn once(&mut self) -> Option<String> {
        let mut buffer = Vec::with_capacity(16 * 1024);
        let connection = self.connections.first_mut()?;
        match once(&self.request, connection, &mut buffer).await {
            Ok(()) => None,
            Err(error) => {
                *connection = None;
                Some(error.to_string())
            }
        }
    }

    /// Loads for `span`.
    pub async fn run(&mut self, span: Duration) -> Measured {
        let started = Instant::now();
        let until = started + span;
        let mut clients = tokio::task::JoinSet::new();
        for connection in self.connections.drain(..) {
            clients.spawn(client(self.request.clone(), connection, until));
        }
        let mut total = Measured::default();
        while let Some(joined) = clients.join_next().await {
            let Ok((connection, mut part)) = joined else { continue };
            self.connections.push(connection);
            total.answers += part.answers;
            total.errors += part.errors;
            total.latencies.append(&mut part.latencies);
            total.first_error = total.first_error.or(part.first_error);
        }
        total.elapsed = started.elapsed();
        total.latencies.sort_unstable();
        total
    }
}

async fn client(
    request: Request,
    mut connection: Option<TcpStream>,
    until: Instant,
) -> (Option<TcpStream>, Measured) {
    let mut measured = Measured::default();
    let mut buffer = Vec::with_capacity(16 * 1024);
    while Instant::now() < until {
        let sent = Instant::now();
        match once(&request, &mut connection, &mut buffer).await {
            Ok(()) => {
                measured.answers += 1;
                measured.latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            Err(error) => {
                measured.errors += 1;
                measured.first_error.get_or_insert_with(|| error.to_string());
                connection = None;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    (connection, measured)
}

/// Sends the request once and checks the answer's status and length.
async fn once(request: &Request, connection: &mut Option<TcpStream>, buffer: &mut Vec<u8>) -> io::Result<()> {
    let stream = match connection {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(request.address).await?;
            stream.set_nodelay(true)?;
            connection.insert(stream)
        }
    };
    stream.write_all(&request.bytes).await?;
    buffer.clear();
    let (body_at, length) = loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed"));
        }
        if let Some(head) = head(buffer) {
            break head?;
        }
        if buffer.len() > 64 * 1024 {
            return Err(io::Error::other("the head of the answer is too long"));
        }
    };
    if length != request.answer_length {
        return Err(io::Error::other(format!(
            "the answer has {length} bytes, not {}",
            request.answer_length
        )));
    }
    let mut left = (body_at + length).saturating_sub(buffer.len());
    if left < 64 * 1024 {
        while buffer.len() < body_at + length {
            if stream.read_buf(buffer).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer broke off"));
            }
        }
    } else {
        let mut sink = vec![0; 256 * 1024];
        while left > 0 {
            let want = left.min(sink.len());
            let Some(space) = sink.get_mut(..want) else { break };
            match stream.read(space).await? {
                0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer broke off")),
                count => left -= count,
            }
        }
    }
    Ok(())
}

/// Where the body begins and how long it is, once the head is there.
fn head(buffer: &[u8]) -> Option<io::Result<(usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(buffer) {
        Ok(httparse::Status::Partial) => None,
        Err(error) => Some(Err(io::Error::other(error))),
        Ok(httparse::Status::Complete(at)) => {
            if response.code != Some(200) {
                let body = buffer.get(at..).unwrap_or_default();
                let text = String::from_utf8_lossy(body);
                return Some(Err(io::Error::other(format!("status {:?}: {text}", response.code))));
            }
            let length = response
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case("content-length"))
                .and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse().ok());
            Some(length.map(|length| (at, length)).ok_or_else(|| io::Error::other("no content-length")))
        }
    }
}
