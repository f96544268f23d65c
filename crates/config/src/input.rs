//! What of `[log_groups.NAME]` says where else events come from: `syslog`, `journald`, `stdin` and `otlp`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ipnet::IpNet;
use watchbell_model::{Inputs, Journald, Otlp, Syslog, Transport};

use crate::keys::quoted;
use crate::problem::{Problem, quote};
use crate::reader::{Context, Field, Table, Text};
use crate::{http, network};

/// What is listened on, and for which log group: nobody can listen where another one does.
#[derive(Default)]
pub(crate) struct Listeners<'a> {
    /// By address, and whether datagrams or connections come there.
    sockets: BTreeMap<(SocketAddr, Transport), &'a str>,
    stdin: Option<&'a str>,
    services: BTreeMap<String, &'a str>,
}

impl<'a> Listeners<'a> {
    /// Takes note of a group's; those that another group has are noted as wrong.
    pub(crate) fn add(&mut self, context: &Context<'a>, group: &Text<'a>, inputs: &Inputs) {
        if inputs.stdin
            && let Some(other) = self.stdin.replace(group.value)
        {
            let message =
                format!("log groups {} and {} both read standard input", quote(other), quote(group.value));
            context.report(Problem::error(group.span.clone(), message).help("remove stdin from one of them"));
        }
        for service in inputs.otlp.iter().flat_map(|otlp| &otlp.services) {
            if let Some(other) = self.services.insert(service.clone(), group.value) {
                let (other, one, service) = (quote(other), quote(group.value), quote(service));
                let message =
                    format!("log groups {other} and {one} both take the records of service {service}");
                context.report(Problem::error(group.span.clone(), message).help("name it in one of them"));
            }
        }
        let Some(Syslog { listen, transports, .. }) = &inputs.syslog else { return };
        // Port 0 takes a free one each time.
        for transport in transports.iter().filter(|_| listen.port() != 0) {
            let socket = if *transport == Transport::Udp { Transport::Udp } else { Transport::Tcp };
            if let Some(other) = self.sockets.insert((*listen, socket), group.value)
                && other != group.value
            {
                let (one, other) = (quote(group.value), quote(other));
                let message = format!("log groups {other} and {one} both listen on {transport}://{listen}");
                let problem = Problem::error(group.span.clone(), message);
                context.report(problem.help("give one of them another port"));
            }
        }
    }
}

/// What is wrong is noted and left out.
pub(crate) fn read(table: &mut Table<'_>) -> Inputs {
    Inputs {
        syslog: table.field("syslog").and_then(|field| syslog(&field)),
        journald: table.field("journald").and_then(|field| journald(&field)),
        stdin: table.field("stdin").and_then(|field| field.flag()).unwrap_or(false),
        otlp: table.field("otlp").and_then(|field| otlp(&field)),
    }
}

/// `otlp = { service }`.
fn otlp(field: &Field<'_>) -> Option<Otlp> {
    let mut table = field.table(format!("{} of {}", quote("otlp"), field.owner()))?;
    let services = table.need("service").map(|field| {
        if field.is_empty_array() {
            field.refuse(format!("{} is empty", field.title()), "name at least one service; \"*\" is every");
        }
        field.texts().iter().map(|text| text.value.to_owned()).collect()
    });
    table.finish();
    Some(Otlp { services: services? })
}

/// `journald = { units, command }`.
fn journald(field: &Field<'_>) -> Option<Journald> {
    let mut table = field.table(format!("{} of {}", quote("journald"), field.owner()))?;
    let units = table.field("units").map(|field| field.texts()).unwrap_or_default();
    let command = match table.field("command") {
        Some(field) => field.text().map(|text| text.value.to_owned()),
        None => Some("journalctl".to_owned()),
    };
    table.finish();
    Some(Journald { command: command?, units: units.iter().map(|unit| unit.value.to_owned()).collect() })
}

/// `syslog = { listen, transport, tls, allow }`.
fn syslog(field: &Field<'_>) -> Option<Syslog> {
    let mut table = field.table(format!("{} of {}", quote("syslog"), field.owner()))?;
    let tls_field = table.field("tls");
    let tls = tls_field.as_ref().map(http::tls);
    let allow = table.field("allow").map(|field| network::read_list(&field, network::ONLY_THIS_MACHINE));
    let transport_field = table.field("transport");
    let transports = match &transport_field {
        Some(field) => transports(field),
        None if tls.is_some() => Some(vec![Transport::Tls]),
        None => Some(vec![Transport::Udp, Transport::Tcp]),
    };
    if let Some(transports) = &transports {
        check_certificate(transport_field.as_ref(), tls_field.as_ref(), transports);
    }
    let listen = table.need("listen").and_then(|field| {
        let transports = transports.as_deref().unwrap_or_default();
        let address = listen(&field, transports)?;
        check_protection(&field, address, transports, allow.as_deref());
        Some(address)
    });
    table.finish();
    let tls = match tls {
        Some(tls) => Some(tls?),
        None => None,
    };
    Some(Syslog { listen: listen?, transports: transports?, tls, allow: allow.unwrap_or_default() })
}

/// An address and a port; messages over TLS have a port of their own, which need not be written.
fn listen(field: &Field<'_>, transports: &[Transport]) -> Option<SocketAddr> {
    let text = field.text()?;
    let with_port = text.value.parse::<SocketAddr>().ok();
    let of_tls = || Some(SocketAddr::new(text.value.parse().ok()?, Syslog::TLS_PORT));
    let address = with_port.or_else(|| transports.contains(&Transport::Tls).then(of_tls)?);
    if address.is_none() {
        let message = format!("{} is not an IP address and a port: {}", field.title(), quote(text.value));
        field.refuse(message, "write it as \"127.0.0.1:5514\" or \"[::1]:5514\"; port 0 takes a free one");
    }
    address
}

/// A certificate is there exactly if messages come over TLS, and then plain TCP needs another port.
fn check_certificate(transport: Option<&Field<'_>>, tls: Option<&Field<'_>>, transports: &[Transport]) {
    match (transport, tls) {
        (Some(field), None) if transports.contains(&Transport::Tls) => {
            let message = format!("{} is \"tls\", and there is no certificate", field.title());
            let problem = Problem::error(field.span(), message);
            let help = "add tls = { certificate = \"…\", key = \"…\" }";
            field.context.report_absence(problem.help(help));
        }
        (_, Some(field)) if !transports.contains(&Transport::Tls) => {
            let message = format!("{} is of no use: no message comes over TLS", field.title());
            field.refuse(message, "write transport = \"tls\", or remove tls");
        }
        (Some(field), Some(_)) if transports.contains(&Transport::Tcp) => {
            let message = format!("{} has \"tcp\" and \"tls\", which cannot share a port", field.title());
            field.refuse(message, "write \"tls\"; or give \"tcp\" a log group and a port of its own");
        }
        _ => {}
    }
}

/// What other machines can reach needs `allow`; what they send there in the clear is told.
fn check_protection(
    field: &Field<'_>,
    address: SocketAddr,
    transports: &[Transport],
    allow: Option<&[IpNet]>,
) {
    if address.ip().is_loopback() {
        let of_this_machine = |it: &IpNet| it.addr().is_loopback() || it.contains(&address.ip());
        if allow.is_some_and(|allow| !allow.is_empty() && !allow.iter().any(of_this_machine)) {
            let message = format!("only this machine can reach {address}, and it is not in allow");
            field.refuse(message, "listen on an address of this network, or remove allow");
        }
        return;
    }
    if allow.is_none() {
        let message = format!("other machines can reach {address}, and there is no allow");
        let help = "add allow = [\"10.0.0.0/8\"] with the networks of those who may send; or listen on a loopback address: \"127.0.0.1:5514\"";
        field.context.report_absence(Problem::error(field.span(), message).help(help));
    }
    let plain = transports.iter().filter(|transport| **transport != Transport::Tls);
    let plain: Vec<String> = plain.map(ToString::to_string).collect();
    if allow.is_some() && !plain.is_empty() {
        let plain = plain.join(" and ");
        let message = format!("messages travel to {address} unencrypted over {plain}");
        let help = "whoever is on the way can read, change and forge them; transport = \"tls\" protects them";
        field.context.report(Problem::warning(field.span(), message).help(help));
    }
}

fn transports(field: &Field<'_>) -> Option<Vec<Transport>> {
    if field.is_empty_array() {
        field.refuse(format!("{} is empty", field.title()), "write \"udp\", \"tcp\" or \"tls\"");
        return None;
    }
    let known = [Transport::Udp, Transport::Tcp, Transport::Tls];
    let texts = field.texts();
    let mut found = Vec::new();
    for text in &texts {
        let Some(transport) = known.into_iter().find(|known| known.to_string() == text.value) else {
            let message = format!("{} cannot be {}", field.title(), quote(text.value));
            let help = format!("write one or more of {}", quoted(&["udp", "tcp", "tls"]));
            field.context.report(Problem::error(text.span.clone(), message).help(help));
            continue;
        };
        found.push(transport);
    }
    found.sort_unstable();
    found.dedup();
    (!found.is_empty()).then_some(found)
}
