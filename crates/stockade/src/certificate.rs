//! The desk's own certificate, for a machine that has no other: made once, kept, renewed before it ends.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use domain::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::home::Home;

/// Browsers refuse certificates that are valid for longer.
const DAYS: i32 = 397;
/// Renewed so long before its end.
const RENEW_DAYS: i32 = 30;
/// Stands before the certificate in its file, where readers of certificates do not look.
const ENDS: &str = "Ends: ";

/// The TLS settings with the desk's certificate, made or renewed if need be.
pub(crate) fn config(home: &Home, now: Timestamp) -> anyhow::Result<Arc<ServerConfig>> {
    let (certificate, key) = (home.path("certificate.pem"), home.path("certificate-key.pem"));
    let today = now.to_zoned(TimeZone::UTC).date();
    if !lasts(&certificate, today) || !key.exists() {
        make(&certificate, &key, today)?;
        tracing::info!(file = %certificate.display(), "a new certificate was made");
    }
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("{} cannot be read", certificate.display()))?;
    let key =
        PrivateKeyDer::from_pem_file(&key).with_context(|| format!("{} cannot be read", key.display()))?;
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Whether the certificate there is can still be used. Without the line that this program writes it is somebody's own,
/// and theirs to renew.
fn lasts(certificate: &Path, today: Date) -> bool {
    let Ok(text) = fs::read_to_string(certificate) else { return false };
    let Some(ends) = text.lines().find_map(|line| line.strip_prefix(ENDS)) else { return true };
    let renew_at = today.saturating_add(RENEW_DAYS.days());
    ends.parse::<Date>().is_ok_and(|ends| ends > renew_at)
}

fn make(certificate: &Path, key: &Path, today: Date) -> anyhow::Result<()> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(
        fs::read_to_string("/etc/hostname").ok().map(|name| name.trim().to_owned()).filter(|n| !n.is_empty()),
    );
    let mut wanted = CertificateParams::new(names)?;
    wanted.distinguished_name.push(DnType::CommonName, "Stockade desk");
    wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // From yesterday, for clients whose clock is a little behind.
    let (from, until) = (today.saturating_sub(1.days()), today.saturating_add(DAYS.days()));
    let midnight =
        |day: Date| date_time_ymd(day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs());
    wanted.not_before = midnight(from);
    wanted.not_after = midnight(until);
    let pair = KeyPair::generate()?;
    let signed = wanted.self_signed(&pair)?;
    // The key first: a certificate without its key would be taken for whole.
    write(key, &pair.serialize_pem())?;
    write(certificate, &format!("{ENDS}{until}\n{}", signed.pem()))
}

/// Writes a file that is either the old one or the new one, never half of it.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let written = || -> std::io::Result<()> {
        let mut file =
            fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    written().with_context(|| format!("{} cannot be written", path.display()))
}
