//! What of `[log_groups.NAME]` says where else events come from: `syslog`, `journald`, `stdin` and `otlp`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use watchbell_model::{Inputs, Journald, Otlp, Syslog, Transport};

use crate::keys::quoted;
use crate::problem::{Problem, quote};
use crate::reader::{Context, Field, Table, Text};

/// What is listened on, and for which log group: nobody can listen where another one does.
#[derive(Default)]
pub(crate) struct Listeners<'a> {
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
        let Some(Syslog { listen, transports }) = &inputs.syslog else { return };
        // Port 0 takes a free one each time.
        for transport in transports.iter().filter(|_| listen.port() != 0) {
            if let Some(other) = self.sockets.insert((*listen, *transport), group.value) {
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

/// `syslog = { listen, transport }`.
fn syslog(field: &Field<'_>) -> Option<Syslog> {
    let mut table = field.table(format!("{} of {}", quote("syslog"), field.owner()))?;
    let listen = table.need("listen").and_then(|field| listen(&field));
    let transports = match table.field("transport") {
        Some(field) => transports(&field),
        None => Some(vec![Transport::Udp, Transport::Tcp]),
    };
    table.finish();
    Some(Syslog { listen: listen?, transports: transports? })
}

/// A loopback address.
fn listen(field: &Field<'_>) -> Option<SocketAddr> {
    let text = field.text()?;
    let Ok(address) = text.value.parse::<SocketAddr>() else {
        let message = format!("{} is not an IP address and a port: {}", field.title(), quote(text.value));
        field.refuse(message, "write it as \"127.0.0.1:5514\" or \"[::1]:5514\"; port 0 takes a free one");
        return None;
    };
    if !address.ip().is_loopback() {
        let message = format!(
            "listening for syslog on {address} is not available in this version, which has no TLS there"
        );
        field.refuse(message, "write a loopback address: \"127.0.0.1:5514\"");
        return None;
    }
    Some(address)
}

fn transports(field: &Field<'_>) -> Option<Vec<Transport>> {
    if field.is_empty_array() {
        field.refuse(format!("{} is empty", field.title()), "write \"udp\", \"tcp\" or both");
        return None;
    }
    let known = [Transport::Udp, Transport::Tcp];
    let texts = field.texts();
    let mut found = Vec::new();
    for text in &texts {
        let Some(transport) = known.into_iter().find(|known| known.to_string() == text.value) else {
            let message = format!("{} cannot be {}", field.title(), quote(text.value));
            let help = format!("write one or both of {}", quoted(&["udp", "tcp"]));
            field.context.report(Problem::error(text.span.clone(), message).help(help));
            continue;
        };
        found.push(transport);
    }
    found.sort_unstable();
    found.dedup();
    (!found.is_empty()).then_some(found)
}
