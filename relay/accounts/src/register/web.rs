//! The small web server to which links in letters lead. In front of it stands whatever speaks TLS.

use super::code::Code;
use super::{Registration, page};
use crate::store::NotConfirmed;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Connections at once; more wait. Each takes some milliseconds.
const CONNECTIONS_MAX: usize = 64;
/// From a connection's first byte to its last: a request with a short path, and a page of 2 kB.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(15);
/// How long the head of a request may take.
const HEAD_TIME_MAX: Duration = Duration::from_secs(5);
/// Longest head of a request in bytes: browsers send about 1 kB, and proxies add a little. (The
/// least that hyper can do.)
const HEAD_SIZE_MAX: usize = 8 * 1024;
/// Rest after an accept that failed (no file descriptors): it would fail again at once.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Path of a code's page, before the code.
const PATH: &str = "/register/";

/// Serves until the task is aborted.
pub async fn serve(listener: TcpListener, registration: Arc<Registration>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = places.clone().acquire_owned().await.expect("it is never closed");
        match listener.accept().await {
            Ok((socket, _)) => {
                let registration = registration.clone();
                tokio::spawn(async move {
                    // Who is slow, or speaks no HTTP, is no business of ours.
                    let _ = timeout(CONNECTION_TIME_MAX, converse(socket, registration)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a web connection");
                sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn converse(socket: TcpStream, registration: Arc<Registration>) -> hyper::Result<()> {
    let service = service_fn(move |request| {
        let registration = registration.clone();
        async move { Ok::<_, Infallible>(answer(&request, &registration).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_SIZE_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(socket), service)
        .await
}

async fn answer(request: &Request<Incoming>, registration: &Registration) -> Response<Full<Bytes>> {
    let code = request.uri().path().strip_prefix(PATH).and_then(Code::parse);
    let (status, text) = match (request.method(), code) {
        (&Method::GET | &Method::HEAD, Some(code)) => (StatusCode::OK, page::question(&code)),
        (&Method::POST, Some(code)) => confirm(&code, registration).await,
        (_, None) => (StatusCode::NOT_FOUND, page::notice("There is no such page here.")),
        (_, Some(_)) => {
            (StatusCode::METHOD_NOT_ALLOWED, page::notice("This can only be read, or confirmed."))
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        // The key must stay nowhere, and the code in the address be told to nobody.
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, page::CONTENT_SECURITY_POLICY),
        (header::CONNECTION, "close"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn confirm(code: &Code, registration: &Registration) -> (StatusCode, String) {
    match registration.confirm(code.reveal()).await {
        Ok(confirmed) => (StatusCode::OK, page::key(&confirmed, &registration.paths.relay)),
        Err(NotConfirmed::Store(error)) => {
            tracing::warn!(%error, "a registration can't be confirmed");
            let text = "The relay can't do that now: try again in a minute.";
            (StatusCode::SERVICE_UNAVAILABLE, page::notice(text))
        }
        Err(gone) => {
            let text = gone.to_string();
            (StatusCode::GONE, page::notice(&format!("Sorry, {text}.")))
        }
    }
}
