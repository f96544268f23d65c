//! Networks as they are written.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::problem::{Problem, quote};
use crate::reader::{Field, Text};

/// What holds without the key, where one lets machines in.
pub(crate) const ONLY_THIS_MACHINE: &str = ", or remove the key: then only this machine is let in";

/// `10.0.0.0/8`, or an address alone; what is wrong is noted.
pub(crate) fn read(field: &Field<'_>, text: &Text<'_>) -> Option<IpNet> {
    let refuse = |message: String, help: String| {
        field.context.report(Problem::error(text.span.clone(), message).help(help));
    };
    let parsed = text.value.parse::<IpNet>().ok();
    let Some(network) = parsed.or_else(|| text.value.parse::<IpAddr>().ok().map(IpNet::from)) else {
        let message = format!("{}: {} is not a network", field.title(), quote(text.value));
        refuse(message, "write it as \"10.0.0.0/8\" or \"fd00::/8\", or an address alone".into());
        return None;
    };
    if network.trunc() != network {
        let message = format!("{}: {} has bits behind its length", field.title(), quote(text.value));
        refuse(message, format!("did you mean {}?", quote(&network.trunc().to_string())));
        return None;
    }
    Some(network)
}

/// The networks of a list that must have some; wrong ones are noted and left out. `if_absent` says what holds without
/// the key.
pub(crate) fn read_list(field: &Field<'_>, if_absent: &str) -> Vec<IpNet> {
    if field.is_empty_array() {
        let help = format!("write at least one network{if_absent}");
        field.refuse(format!("{} is empty", field.title()), help);
    }
    field.texts().iter().filter_map(|text| read(field, text)).collect()
}
