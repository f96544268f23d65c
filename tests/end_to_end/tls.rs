//! HTTP over TLS: a renewed certificate, and what keeps the old one in force.

use std::time::Duration;

use watchbell::client::{Call, Client, NoAnswer};

use crate::support::authority::Authority;
use crate::support::eventually;
use crate::support::http::get;
use crate::support::process::{Up, run, said};
use crate::support::site::Site;

const TLS: &str = "tls = { certificate = \"server.pem\", key = \"server.key\" }\n[log_groups.app]\n";

/// What a client that trusts the authority in `ca.pem` gets.
fn call(site: &Site, up: &Up) -> Result<u16, NoAnswer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = Client::new(Some(&site.path("ca.pem"))).unwrap();
    let (url, timeout) = (format!("https://{}/readyz", up.address), Duration::from_mins(1));
    let method = axum::http::Method::GET;
    let call = Call { method, url, headers: axum::http::HeaderMap::new(), body: Vec::new(), timeout };
    runtime.block_on(client.call(call)).map(|answer| answer.status)
}

#[test]
fn a_renewed_certificate_needs_no_restart_and_a_bad_one_leaves_the_old_in_force() {
    let site = Site::new(TLS);
    let (old, new) = (Authority::new(), Authority::new());
    old.sign(&site);
    old.introduce(&site);
    let up = Up::start(&site);
    assert_eq!(call(&site, &up), Ok(200));

    site.write("server.pem", "not a certificate\n");
    up.signal("HUP");
    up.wait_for_log("not reloaded");
    let said = up.stderr();
    assert!(said.contains("server.pem: no certificate in PEM is in this file"), "{said}");
    assert_eq!(call(&site, &up), Ok(200));

    new.sign(&site);
    up.signal("HUP");
    new.introduce(&site);
    eventually("the new certificate is shown", || call(&site, &up) == Ok(200));
    old.introduce(&site);
    let error = call(&site, &up).unwrap_err();
    assert!(error.to_string().contains("not signed by an authority that is trusted here"), "{error}");
    up.stop();
}

#[test]
fn a_client_is_told_clearly_what_does_not_fit() {
    let site = Site::new(TLS);
    Authority::new().sign(&site);
    Authority::new().introduce(&site);
    let up = Up::start(&site);
    let plain = get(up.address, "/readyz");
    assert_eq!((plain.status, plain.json()["error"]["code"].as_str()), (400, Some("tls_needed")));
    let address = format!("https://{}", up.address);
    let (code, _, stderr) = said(&run(&site, &["sources", "--address", &address, "--ca", "ca.pem"]));
    assert!(code == Some(69) && stderr.contains("not signed by an authority"), "{stderr}");
    up.stop();
    let site = Site::new("[log_groups.app]\n");
    let up = Up::start(&site);
    let address = format!("https://{}", up.address);
    let (code, _, stderr) = said(&run(&site, &["sources", "--address", &address]));
    assert!(code == Some(69) && stderr.contains("it does not speak TLS"), "{stderr}");
    up.stop();
}

#[test]
fn a_certificate_that_cannot_be_used_keeps_it_from_starting() {
    let site = Site::new(TLS);
    let (code, _, stderr) = said(&run(&site, &["up"]));
    assert!(code == Some(78) && stderr.contains("server.pem"), "{stderr}");
    Authority::new().sign(&site);
    std::fs::copy(site.path("server.pem"), site.path("server.key")).unwrap();
    let (code, _, stderr) = said(&run(&site, &["up"]));
    assert!(code == Some(78) && stderr.contains("server.key"), "{stderr}");
    assert!(!site.data().exists(), "nothing was changed on disk");
}
