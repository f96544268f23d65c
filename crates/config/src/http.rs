//! `[http]`

use std::net::SocketAddr;

use toml::de::DeTable;
use watchbell_model::{Http, Tls};

use crate::problem::{Problem, quote};
use crate::reader::{Field, Table};
use crate::{network, plan};

/// Where HTTP is served; `document` tells whether there is a token.
pub(crate) fn read(root: &mut Table<'_>, document: &DeTable<'_>) -> Option<Http> {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 8420));
    let Some(field) = root.field("http") else {
        return Some(Http { listen: loopback, tls: None, allow: Vec::new() });
    };
    let mut table = field.table("[http]".into())?;
    let listen_field = table.field("listen");
    let listen = match &listen_field {
        Some(field) => listen(field),
        None => Some(loopback),
    };
    let tls = table.field("tls").map(|field| tls(&field));
    let allow = table.field("allow").map(|field| network::read_list(&field, network::ONLY_THIS_MACHINE));
    if let (Some(field), Some(address)) = (listen_field, listen) {
        let has = [
            (tls.is_some(), "tls", "tls = { certificate = \"…\", key = \"…\" }"),
            (allow.is_some(), "allow", "allow = [\"10.0.0.0/8\"] with the networks of those who may connect"),
            (has_token(document), "token", "[tokens.NAME] and its role"),
        ];
        refuse_unprotected(&field, address, &has);
    }
    table.finish();
    Some(Http {
        listen: listen?,
        tls: match tls {
            Some(tls) => Some(tls?),
            None => None,
        },
        allow: allow.unwrap_or_default(),
    })
}

fn has_token(document: &DeTable<'_>) -> bool {
    let tokens = document.get("tokens").and_then(|tokens| tokens.get_ref().as_table());
    tokens.is_some_and(|tokens| !tokens.is_empty())
}

fn listen(field: &Field<'_>) -> Option<SocketAddr> {
    address(field, "write it as \"127.0.0.1:8420\" or \"[::1]:8420\"; port 0 takes a free one")
}

/// An IP address and a port; what is wrong is noted.
pub(crate) fn address(field: &Field<'_>, help: &str) -> Option<SocketAddr> {
    let text = field.text()?;
    let address = text.value.parse::<SocketAddr>().ok();
    if address.is_none() {
        let message = format!("{} is not an IP address and a port: {}", field.title(), quote(text.value));
        field.refuse(message, help);
    }
    address
}

/// Other machines can reach the address: all of `has` must be there. Each with its name and how it is written.
fn refuse_unprotected(field: &Field<'_>, address: SocketAddr, has: &[(bool, &str, &str)]) {
    let missing: Vec<_> = has.iter().filter(|(is_there, ..)| !is_there).collect();
    if address.ip().is_loopback() || missing.is_empty() {
        return;
    }
    let names: Vec<String> = missing.iter().map(|(_, name, _)| format!("no {name}")).collect();
    let how: Vec<&str> = missing.iter().map(|(.., how)| *how).collect();
    let message = format!("other machines can reach {address}, and there is {}", names.join(", "));
    let help = format!("add {}; or listen on a loopback address: \"127.0.0.1:8420\"", how.join(", "));
    field.context.report_absence(Problem::error(field.span(), message).help(help));
}

/// A certificate and its key.
pub(crate) fn tls(field: &Field<'_>) -> Option<Tls> {
    let mut table = field.table(field.title())?;
    let path = |field: Field<'_>| plan::absolute_path(&field, field.text()?.value);
    let certificate = table.need("certificate").and_then(path);
    let key = table.need("key").and_then(path);
    table.finish();
    Some(Tls { certificate: certificate?, key: key? })
}
