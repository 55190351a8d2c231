//! TLS: certificates are checked against the authorities that the machine trusts.

use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// What TLS connections are made by; read when the first one is made, since it takes some 10 ms.
/// What can't be read is read again for the next one: somebody may have mended it.
#[derive(Debug, Default)]
pub(super) struct Tls(OnceCell<Arc<ClientConfig>>);

impl Tls {
    /// The configuration, or why there is none.
    pub(super) async fn config(&self) -> Result<Arc<ClientConfig>, String> {
        self.config_by(load).await
    }

    async fn config_by(
        &self,
        load: impl FnOnce() -> Result<Arc<ClientConfig>, String> + Send + 'static,
    ) -> Result<Arc<ClientConfig>, String> {
        let load = || async {
            let loaded = tokio::task::spawn_blocking(load).await;
            loaded.unwrap_or_else(|error| Err(error.to_string()))
        };
        self.0.get_or_try_init(load).await.cloned()
    }
}

/// `SSL_CERT_FILE` and `SSL_CERT_DIR` name other authorities than the machine's, as for OpenSSL.
fn load() -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (count, _) = roots.add_parsable_certificates(found.certs);
    if count == 0 {
        let reason = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(format!(
            "no certificates of authorities are on this machine: install ca-certificates{reason}"
        ));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn authorities_that_could_not_be_read_are_read_again_and_others_are_not() {
        let tls = Tls::default();
        let error = tls.config_by(|| Err("no file".into())).await.expect_err("there is none");
        assert_eq!(error, "no file");
        let empty = || {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .expect("ring has them");
            let builder = builder.with_root_certificates(RootCertStore::empty());
            Ok(Arc::new(builder.with_no_client_auth()))
        };
        tls.config_by(empty).await.expect("it is mended");
        tls.config_by(|| panic!("it is known")).await.expect("it is kept");
    }
}
