//! From a name to the addresses that are connected to.

use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;

use crate::target::{Refused, Rules, Target};

/// Who knows the addresses of names. The program asks the system; a test answers as somebody would who means ill.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// All addresses of a host.
    async fn addresses(&self, host: &str, port: u16) -> std::io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn addresses(&self, host: &str, port: u16) -> std::io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.map(|address| address.ip()).collect())
    }
}

/// Why there is no address to connect to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupFailure {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the name of the host cannot be resolved")]
    Unknown,
}

/// The addresses behind a target. All of them have to be allowed: one that is not among others is what an attacker would
/// hope to be connected to.
pub(crate) async fn pinned(
    resolver: &dyn Resolve,
    rules: &Rules,
    target: &Target,
) -> Result<Vec<SocketAddr>, LookupFailure> {
    let port = target.port();
    let found = match target.address() {
        Some(address) => vec![address],
        None => resolver.addresses(target.host(), port).await.map_err(|_| LookupFailure::Unknown)?,
    };
    if found.is_empty() {
        return Err(LookupFailure::Unknown);
    }
    for address in &found {
        rules.check(*address, port, target.is_plain())?;
    }
    Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}
