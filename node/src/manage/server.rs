//! Sockets and connections: TLS 1.3, HTTP/1.1 and HTTP/2 by ALPN, each step within a time and a size.
//!
//! What ends a connection that does not behave: the handshake and the head of a request have
//! `api.header_timeout`; writes that stand still as long fail (`patience`); answers that are not taken
//! in `api.request_timeout`, and connections on which nothing happens, are ended (`activity`).
//! Between two requests an HTTP/1.1 connection waits for the shorter of `api.keep_alive` and
//! `api.header_timeout`: hyper counts from the answer on.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, Response, Version, header},
    middleware::from_fn_with_state,
};
use http_body_util::BodyExt as _;
use hyper::{
    body::{Body as _, Incoming},
    rt::Executor,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

use super::{
    activity::{Activity, Due, Patience, Underway},
    authenticate::authenticate,
    credentials::Presented,
    extract::Peer,
    kept::Kept,
    observe::observe,
    openapi,
    patience::Patient,
    plane::Plane,
};
use crate::{access::jwks, app::App, config::Api};

/// Streams of one HTTP/2 connection: × 1,024 connections, each a request that was authenticated.
const H2_STREAMS_MAX: u32 = 128;
/// The head of a request, and what HTTP/1.1 reads ahead.
const H2_HEADER_BYTES_MAX: u32 = 16 << 10;
const H1_BUFFER_BYTES_MAX: usize = 32 << 10;
/// Headers of a request.
const H1_HEADERS_MAX: usize = 64;
/// Streams that a client reset before they were accepted, and that we reset for its errors, before the
/// connection is ended (CVE-2023-44487, CVE-2025-8671).
const H2_PENDING_RESETS_MAX: usize = 20;
const H2_ERROR_RESETS_MAX: usize = 100;
/// What is buffered of the answers of one stream.
const H2_SEND_BYTES_MAX: usize = 64 << 10;
/// How often a silent HTTP/2 client is asked whether it is there, and how long it may think about it.
const H2_PING_EVERY: Duration = Duration::from_secs(20);
const H2_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// What a connection that is told to end may take to do so.
const CLOSING: Duration = Duration::from_secs(5);
/// The pause after a failed `accept`, which mostly means that there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the node stops; then finishes what is under way, ends streams, and returns.
///
/// # Cancel safety
/// Dropping the future ends all connections at once.
pub(crate) async fn serve(app: Arc<App>, listener: TcpListener) {
    let plane = Arc::new(Plane::new(Arc::clone(&app), openapi::openapi_json()));
    if let Some(logins) = plane.credentials.logins() {
        let follow = jwks::follow(logins, Arc::clone(&app.environment));
        let stop = app.stop.clone();
        app.tasks.spawn(stop.run_until_cancelled_owned(follow));
    }
    let connections = TaskTracker::new();
    let end = CancellationToken::new();
    let _end_all = end.clone().drop_guard();
    let tasks = Tasks {
        connections: connections.clone(),
        end,
    };
    let server = Arc::new(Server {
        router: router(&plane),
        plane,
        app: Arc::clone(&app),
        tasks,
    });
    let places = Arc::new(Semaphore::new(app.config.api.connections_max));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = app.stop.cancelled() => break,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Closed at once: a client that is told so quickly can go elsewhere.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::debug!(%peer, "no place for another connection");
            continue;
        };
        let serving = Arc::clone(&server);
        server
            .tasks
            .execute(async move { serving.connection(socket, peer, place).await });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// All routes with what stands around them.
pub(super) fn router(plane: &Arc<Plane>) -> Router {
    openapi::routes()
        .split_for_parts()
        .0
        .layer(from_fn_with_state(Arc::clone(plane), authenticate))
        .layer(from_fn_with_state(Arc::clone(plane), observe))
        .with_state(Arc::clone(plane))
}

struct Server {
    router: Router,
    plane: Arc<Plane>,
    app: Arc<App>,
    tasks: Tasks,
}

/// Connections and the streams of HTTP/2: tasks with an owner and an end.
#[derive(Clone)]
struct Tasks {
    connections: TaskTracker,
    end: CancellationToken,
}

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        let end = self.end.clone();
        self.connections.spawn(async move {
            end.run_until_cancelled(task).await;
        });
    }
}

impl Server {
    async fn connection(&self, socket: TcpStream, peer: SocketAddr, _place: OwnedSemaphorePermit) {
        let api = &self.app.config.api;
        let _slower_without = socket.set_nodelay(true);
        let acceptor = TlsAcceptor::from(self.app.identity.server_config());
        let socket = Patient::new(socket, api.header_timeout);
        match timeout(api.header_timeout, acceptor.accept(socket)).await {
            Ok(Ok(stream)) => self.requests(stream, peer).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
            Err(_elapsed) => tracing::debug!(%peer, "TLS handshake took too long"),
        }
    }

    async fn requests(&self, stream: TlsStream<Patient<TcpStream>>, peer: SocketAddr) {
        let api = &self.app.config.api;
        let activity = Activity::new();
        let shown = stream.get_ref().1.peer_certificates();
        let shown = shown.map(|chain| Arc::new(self.plane.credentials.present(chain)));
        let service = service_fn(|request| {
            let from = (peer, shown.clone());
            self.request(request, from, activity.begin())
        });
        let builder = builder(api, self.tasks.clone(), stream.get_ref().1.alpn_protocol());
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let patience = Patience {
            first: api.header_timeout,
            between: api.keep_alive,
        };
        let mut closing: Option<Instant> = None;
        loop {
            let due = activity.due(patience);
            let at = match (closing, due) {
                (Some(end), Some(Due::Idle(_))) => Some(end),
                (_, due) => due.map(Due::at),
            };
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%peer, error = &*error, "connection broke");
                    }
                    return;
                }
                () = self.app.stop.cancelled(), if closing.is_none() => {
                    connection.as_mut().graceful_shutdown();
                    closing = Some(Instant::now() + CLOSING);
                }
                () = activity.changed() => {}
                () = until(at) => match due {
                    Some(Due::Idle(_)) if closing.is_none() => {
                        connection.as_mut().graceful_shutdown();
                        closing = Some(Instant::now() + CLOSING);
                    }
                    _ => {
                        tracing::debug!(%peer, "connection ended: the client is too slow");
                        return;
                    }
                }
            }
        }
    }

    /// Hands one request to the router. The request counts as under way until its answer was taken.
    fn request(
        &self,
        request: Request<Incoming>,
        (peer, shown): (SocketAddr, Option<Arc<Presented>>),
        underway: Underway,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send + use<> {
        let router = self.router.clone();
        let limit = self.app.config.api.request_timeout;
        let tasks = self.tasks.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = Kept::new(body);
            // HTTP/1.1 has no reset that could overtake the answer.
            let lingers = head.version == Version::HTTP_2;
            let mut request = Request::from_parts(head, Body::new(body.clone()));
            request.extensions_mut().insert(Peer(peer));
            shown.and_then(|shown| request.extensions_mut().insert(shown));
            let answer = router.oneshot(request).await?;
            if !is_stream(&answer) {
                underway.must_be_taken_by(Instant::now() + limit);
            }
            let until_the_last = Held {
                _underway: underway,
                lingering: lingers.then_some((body, tasks)),
            };
            Ok(answer.map(|answer| {
                Body::new(answer.map_frame(move |frame| {
                    let _held = &until_the_last;
                    frame
                }))
            }))
        }
    }
}

/// What is held until the last of an answer was taken.
struct Held {
    _underway: Underway,
    lingering: Option<(Kept<Incoming>, Tasks)>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((body, tasks)) = self.lingering.take()
            && !body.is_end_stream()
        {
            tasks.execute(body.linger());
        }
    }
}

fn is_stream(answer: &Response<Body>) -> bool {
    let events = HeaderValue::from_static("text/event-stream");
    answer.headers().get(header::CONTENT_TYPE) == Some(&events)
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// HTTP as the handshake agreed on it, with its bounds. Nothing is guessed from the first bytes: a
/// client that sends none would have no time limit there.
fn builder(api: &Api, tasks: Tasks, alpn: Option<&[u8]>) -> auto::Builder<Tasks> {
    let mut builder = auto::Builder::new(tasks);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(api.header_timeout)
        .max_headers(H1_HEADERS_MAX)
        .max_buf_size(H1_BUFFER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS_MAX)
        .max_header_list_size(H2_HEADER_BYTES_MAX)
        .max_pending_accept_reset_streams(H2_PENDING_RESETS_MAX)
        .max_local_error_reset_streams(H2_ERROR_RESETS_MAX)
        .max_send_buf_size(H2_SEND_BYTES_MAX)
        .keep_alive_interval(H2_PING_EVERY)
        .keep_alive_timeout(H2_PING_TIMEOUT);
    if alpn == Some(b"h2") {
        builder.http2_only()
    } else {
        builder.http1_only()
    }
}
