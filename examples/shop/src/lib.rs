//! A small web shop on loopback that writes three logs: something real for Watchbell to watch.
//!
//! Promise: a log line says what a real request did; nothing is made up, nothing is random. A wrong password gives a
//! failed login, a payment back end that does not answer makes `/checkout` answer 503 and writes an `ERROR`.
//! Not here: carts that remember, TLS, anything about Watchbell.

mod clock;
mod logs;
pub mod payment;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Form;
use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::{ConnectInfo, Extension, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use clap::Args;
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::logs::{Access, App, Logs};

/// What the shop sells: name and price in cents.
pub const PRODUCTS: [(&str, u32); 4] =
    [("teapot", 2900), ("cup", 700), ("kettle", 4500), ("green-tea", 1250)];

/// Who may log in, and with which password. A toy: real passwords are never kept like this.
pub const CUSTOMERS: [(&str, &str); 3] = [("alice", "oolong"), ("bob", "sencha"), ("carol", "assam")];

/// What the shop needs to know.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The folder for access.log, app.log and auth.log
    #[arg(long, value_name = "FOLDER", default_value = "logs")]
    pub logs: PathBuf,
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The payment back end; without one every payment goes through
    #[arg(long, value_name = "ADDRESS")]
    pub payment: Option<SocketAddr>,
}

struct Shop {
    logs: Logs,
    payment: Option<SocketAddr>,
    requests: AtomicU64,
}

/// A shop that listens.
pub struct Open {
    listener: TcpListener,
    router: Router,
}

impl Open {
    /// Opens the logs and the door.
    ///
    /// # Errors
    /// What the operating system says about the folder or the address.
    pub async fn new(options: &Options) -> io::Result<Open> {
        let logs = Logs::open(&options.logs)?;
        let listener = TcpListener::bind(options.listen).await?;
        let shop = Arc::new(Shop { logs, payment: options.payment, requests: AtomicU64::new(0) });
        Ok(Open { listener, router: router(shop) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `closed`, then answers what has come in.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn serve(self, closed: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let service = self.router.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(self.listener, service).with_graceful_shutdown(closed).await
    }
}

fn router(shop: Arc<Shop>) -> Router {
    Router::new()
        .route("/", get(|| async { "Tea and what it needs: /products/teapot\n" }))
        .route("/products/{name}", get(product))
        .route(
            "/cart",
            get(|| async { "Your cart.\n" }).post(|| async { (StatusCode::CREATED, "In your cart.\n") }),
        )
        .route("/login", post(login))
        .route("/checkout", post(checkout))
        .layer(from_fn_with_state(Arc::clone(&shop), logged))
        .with_state(shop)
}

/// A request, as far as its log lines need it.
#[derive(Clone)]
struct Visit {
    id: String,
    from: IpAddr,
    port: u16,
    started: std::time::Instant,
}

impl Visit {
    fn latency_ms(&self) -> f64 {
        // Whole microseconds: more digits would only look exact.
        f64::from(u32::try_from(self.started.elapsed().as_micros()).unwrap_or(u32::MAX)) / 1000.0
    }
}

/// Answers a request and logs it, before the answer leaves.
async fn logged(
    State(shop): State<Arc<Shop>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let number = shop.requests.fetch_add(1, Ordering::Relaxed) + 1;
    // Like behind any load balancer, the visitor's own address stands in a header.
    let from = text(request.headers(), "x-forwarded-for").parse().unwrap_or(peer.ip());
    let visit = Visit { id: format!("r-{number:06}"), from, port: peer.port(), started: clock::start() };
    request.extensions_mut().insert(visit.clone());
    let (method, target) = (request.method().clone(), request.uri().to_string());
    let headers = request.headers().clone();
    let response = next.run(request).await;
    let status = response.status();
    shop.logs.access(&Access {
        from,
        method: method.as_str(),
        target: &target,
        status: status.as_u16(),
        bytes: response.body().size_hint().lower(),
        referer: text(&headers, header::REFERER.as_str()),
        agent: text(&headers, header::USER_AGENT.as_str()),
    });
    if !status.is_server_error() {
        shop.logs.app(&App {
            level: "INFO",
            logger: "shop.web",
            message: &format!("{method} {target} {}", status.as_u16()),
            request_id: &visit.id,
            latency_ms: visit.latency_ms(),
        });
    }
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn product(Path(name): Path<String>) -> (StatusCode, String) {
    match PRODUCTS.iter().find(|(known, _)| *known == name) {
        Some((name, cents)) => (StatusCode::OK, format!("{name}: {cents} cents\n")),
        None => (StatusCode::NOT_FOUND, "We do not sell that.\n".to_owned()),
    }
}

#[derive(Deserialize)]
struct Login {
    user: String,
    password: String,
}

async fn login(
    State(shop): State<Arc<Shop>>,
    Extension(visit): Extension<Visit>,
    Form(Login { user, password }): Form<Login>,
) -> (StatusCode, &'static str) {
    let accepted = CUSTOMERS.contains(&(user.as_str(), password.as_str()));
    shop.logs.login(&user, visit.from, visit.port, accepted);
    if accepted { (StatusCode::OK, "Welcome.\n") } else { (StatusCode::UNAUTHORIZED, "Wrong password.\n") }
}

async fn checkout(
    State(shop): State<Arc<Shop>>,
    Extension(visit): Extension<Visit>,
) -> (StatusCode, &'static str) {
    let paid = match shop.payment {
        None => Ok(()),
        Some(back_end) => payment::charge(back_end, PRODUCTS[0].1).await,
    };
    let Err(reason) = paid else { return (StatusCode::OK, "Thank you.\n") };
    shop.logs.app(&App {
        level: "ERROR",
        logger: "shop.checkout",
        message: &reason,
        request_id: &visit.id,
        latency_ms: visit.latency_ms(),
    });
    (StatusCode::SERVICE_UNAVAILABLE, "We cannot take your money now.\n")
}
