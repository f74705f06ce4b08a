//! Sockets to a desk by hand, for what no client library would send.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("https://").replace("localhost", "127.0.0.1").parse().unwrap()
}

/// A connection from one of this machine's own addresses.
pub(crate) async fn plain(url: &str, from: IpAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(address(url)).await
}

/// The same with TLS.
pub(crate) async fn secure(url: &str, from: IpAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, plain(url, from).await?).await
}

/// An address where the desk is found without TLS, for somebody on the line who has to read along. Ends with the test.
pub(crate) async fn without_tls(url: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, url) = (listener.local_addr().unwrap(), url.to_owned());
    tokio::spawn(async move {
        while let Ok((mut client, from)) = listener.accept().await {
            let url = url.clone();
            tokio::spawn(async move {
                // A connection that breaks is what this is for.
                let Ok(mut desk) = secure(&url, from.ip()).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut client, &mut desk).await;
            });
        }
    });
    address
}

/// The desk's stream, for the owner of a cookie.
pub(crate) async fn stream(url: &str, cookie: &str) -> WebSocketStream<TlsStream<TcpStream>> {
    let mut request = format!("{}/api/v1/stream", url.replace("https", "wss")).into_client_request().unwrap();
    request.headers_mut().insert("cookie", cookie.parse().unwrap());
    request.headers_mut().insert("origin", url.parse().unwrap());
    let socket = secure(url, IpAddr::from([127, 0, 0, 1])).await.unwrap();
    tokio_tungstenite::client_async(request, socket).await.unwrap().0
}

/// The desk's certificate is its own.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
