//! The shop on a real socket: what a request does to the logs.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use watchbell_example_shop::{Open, Options, payment};

struct Town {
    logs: TempDir,
    shop: SocketAddr,
    payment_works: watch::Sender<bool>,
}

async fn town() -> Town {
    let logs = tempfile::tempdir().unwrap();
    let (payment_works, is_working) = watch::channel(true);
    let back_end = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = back_end.local_addr().unwrap();
    tokio::spawn(payment::serve(back_end, is_working));
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = Options { logs: logs.path().to_owned(), listen, payment: Some(address) };
    let open = Open::new(&options).await.unwrap();
    let shop = open.address().unwrap();
    tokio::spawn(open.serve(std::future::pending()));
    Town { logs, shop, payment_works }
}

/// The status that a visitor from 203.0.113.7 gets.
async fn visit(town: &Town, method: &str, path: &str, form: &str) -> u16 {
    let mut stream = TcpStream::connect(town.shop).await.unwrap();
    let length = form.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\nx-forwarded-for: 203.0.113.7\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\r\n{form}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn lines(logs: &Path, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(logs.join(name)).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn every_request_is_one_line_in_the_access_log_and_one_in_the_app_log() {
    let town = town().await;
    let mut statuses = Vec::new();
    for (method, path) in
        [("GET", "/"), ("GET", "/products/cup"), ("GET", "/products/gun"), ("GET", "/admin")]
    {
        statuses.push(visit(&town, method, path, "").await);
    }
    assert_eq!(statuses, [200, 200, 404, 404]);
    let access = lines(town.logs.path(), "access.log");
    assert_eq!(access.len(), 4);
    assert!(access[2].starts_with("203.0.113.7 - - ["), "{}", access[2]);
    assert!(access[2].contains("] \"GET /products/gun HTTP/1.1\" 404 21 \"-\" \"-\""), "{}", access[2]);
    let app = lines(town.logs.path(), "app.log");
    assert_eq!(app.len(), 4);
    let event: serde_json::Value = serde_json::from_str(&app[0]).unwrap();
    assert_eq!((&event["level"], &event["request_id"]), (&"INFO".into(), &"r-000001".into()));
}

#[tokio::test]
async fn a_wrong_password_is_a_failed_login() {
    let town = town().await;
    assert_eq!(visit(&town, "POST", "/login", "user=alice&password=oolong").await, 200);
    assert_eq!(visit(&town, "POST", "/login", "user=root&password=oolong").await, 401);
    let auth = lines(town.logs.path(), "auth.log");
    assert_eq!(auth.len(), 2);
    assert!(auth[0].contains("Accepted password for alice from 203.0.113.7 port "), "{}", auth[0]);
    assert!(auth[1].contains("Failed password for root from 203.0.113.7 port "), "{}", auth[1]);
}

#[tokio::test]
async fn a_payment_back_end_that_does_not_answer_is_an_error_of_the_shop() {
    let town = town().await;
    assert_eq!(visit(&town, "POST", "/checkout", "").await, 200);
    town.payment_works.send_replace(false);
    assert_eq!(visit(&town, "POST", "/checkout", "").await, 503);
    town.payment_works.send_replace(true);
    assert_eq!(visit(&town, "POST", "/checkout", "").await, 200);
    let errors = |line: &String| line.contains("\"level\":\"ERROR\"");
    assert_eq!(lines(town.logs.path(), "app.log").into_iter().filter(errors).count(), 1);
}
