//! The peer of the benchmark: two nginx, one behind the other, mutual TLS 1.3 between them. It signs
//! nothing and logs nothing: the limit that a signed exchange is measured against.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose};

/// A running chain.
pub struct Chain {
    hops: Vec<Child>,
}

/// Whether nginx can be run here.
pub fn is_installed() -> bool {
    Command::new("nginx").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

impl Chain {
    /// Starts both hops with their files below `folder`: clients connect to `entry`, the hops talk at
    /// `between`, and `provider` is called at the end.
    ///
    /// # Errors
    /// When files cannot be written, or nginx does not start.
    pub fn start(
        folder: &Path,
        entry: SocketAddr,
        between: SocketAddr,
        provider: SocketAddr,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        certificates(folder).map_err(io::Error::other)?;
        let path = folder.display();
        let first = format!(
            "upstream next {{ server {between}; keepalive 1024; keepalive_requests 100000000; }}
server {{ listen {entry} reuseport; location / {{
  proxy_pass https://next; proxy_http_version 1.1; proxy_set_header Connection \"\";
  proxy_ssl_certificate {path}/first.pem; proxy_ssl_certificate_key {path}/first.key;
  proxy_ssl_verify on; proxy_ssl_trusted_certificate {path}/ca.pem; proxy_ssl_name second; proxy_ssl_protocols TLSv1.3;
}} }}"
        );
        let second = format!(
            "upstream provider {{ server {provider}; keepalive 1024; keepalive_requests 100000000; }}
server {{ listen {between} ssl reuseport; ssl_certificate {path}/second.pem; ssl_certificate_key {path}/second.key;
  ssl_protocols TLSv1.3; ssl_verify_client on; ssl_client_certificate {path}/ca.pem; location / {{
  proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection \"\";
}} }}"
        );
        let mut hops = Vec::new();
        for (name, servers) in [("first", first), ("second", second)] {
            let file = folder.join(format!("{name}.conf"));
            let text = format!(
                "daemon off; master_process off; worker_processes 1; pid {path}/{name}.pid; error_log {path}/{name}.log warn;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 3600; client_max_body_size 0;
proxy_request_buffering off; proxy_buffering on; proxy_max_temp_file_size 0;
client_body_temp_path {path}/{name}-body; proxy_temp_path {path}/{name}-proxy; fastcgi_temp_path {path}/{name}-f;
uwsgi_temp_path {path}/{name}-u; scgi_temp_path {path}/{name}-s;
{servers}
}}\n"
            );
            std::fs::write(&file, text)?;
            let child = Command::new("nginx")
                .arg("-c")
                .arg(&file)
                .args(["-e", "stderr"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
            hops.push(child);
        }
        Ok(Self { hops })
    }

    /// The processes, first hop first.
    pub fn pids(&self) -> Vec<u32> {
        self.hops.iter().map(Child::id).collect()
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        for hop in &mut self.hops {
            let _ = hop.kill();
            let _ = hop.wait();
        }
    }
}

/// A CA and a P-256 certificate for each hop.
fn certificates(folder: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::<String>::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    ca.distinguished_name = named("benchmark CA");
    let certificate = ca.self_signed(&ca_key)?;
    std::fs::write(folder.join("ca.pem"), certificate.pem())?;
    let issuer = rcgen::Issuer::from_params(&ca, &ca_key);
    for name in ["first", "second"] {
        let key = KeyPair::generate()?;
        let mut leaf = CertificateParams::new(vec![name.to_owned()])?;
        leaf.distinguished_name = named(name);
        let certificate = leaf.signed_by(&key, &issuer)?;
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem())?;
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem())?;
    }
    Ok(())
}

/// A name of its own for each: a leaf named like its issuer would pass for self-signed.
fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}
