//! Web addresses as they are written in the file.

use crate::problem::holds_password;
use crate::reader::Field;

/// What is known of a web address without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WebAddress {
    /// Whether what is sent there can be read on the way: `http`, and not to this machine.
    pub(crate) is_exposed: bool,
}

/// Why a text is not a web address that may stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WebAddressError {
    /// It holds a user or a password, and so is a secret.
    HoldsPassword,
    /// It is none; the end of a message about it.
    Malformed(&'static str),
}

/// Checks `http://host:port/path?query`.
pub(crate) fn parse(text: &str) -> Result<WebAddress, WebAddressError> {
    use WebAddressError::{HoldsPassword, Malformed};
    if holds_password(text) {
        return Err(HoldsPassword);
    }
    let lower = text.to_ascii_lowercase();
    let (is_plain, rest) = match (lower.strip_prefix("https://"), lower.strip_prefix("http://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return Err(Malformed("does not start with http:// or https://")),
    };
    if let Some(wrong) = text.chars().find(|c| !c.is_ascii_graphic() || "\\\"<>^`{|}".contains(*c)) {
        let reason =
            if wrong.is_whitespace() { "has a space in it" } else { "has a character that no address has" };
        return Err(Malformed(reason));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = host(authority).ok_or(Malformed("has no host, or a port that is no number"))?;
    Ok(WebAddress { is_exposed: is_plain && !is_loopback(host) })
}

/// A server that calls go to: a scheme, a host and a port, no slash at the end. What is wrong is noted, with what to
/// write; `exposes` says what would be sent to it without encryption.
pub(crate) fn read_server(field: &Field<'_>, exposes: &str, help: [&str; 2]) -> Option<String> {
    let [help, help_password] = help;
    let text = field.text()?.value;
    match parse(text) {
        Err(WebAddressError::HoldsPassword) => {
            let message = format!("{} holds a password, which must not stand in the file", field.title());
            field.refuse(message, help_password);
            return None;
        }
        Err(WebAddressError::Malformed(reason)) => {
            field.refuse(format!("{} {reason}", field.title()), help);
            return None;
        }
        Ok(address) if address.is_exposed => {
            field.refuse(format!("{} would send {exposes} without encryption", field.title()), help);
            return None;
        }
        Ok(_) => {}
    }
    let base = text.trim_end_matches('/');
    if base.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?', '#'])) {
        field.refuse(format!("{} has more than a host and a port", field.title()), help);
        return None;
    }
    Some(base.to_owned())
}

/// The host of `host`, `host:port`, `[v6]` or `[v6]:port`.
pub(crate) fn host(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port.strip_prefix(':').or(port.is_empty().then_some("0"))?)
        }
        None => authority.split_once(':').unwrap_or((authority, "0")),
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    (!host.is_empty() && is_port).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        for good in [
            "https://a.example/x?y#z",
            "http://127.0.0.1:80",
            "HTTPS://A",
            "http://[::1]:9/",
            "http://localhost",
        ] {
            assert!(!parse(good).unwrap().is_exposed, "{good}");
        }
        assert!(parse("http://hooks.example.com/").unwrap().is_exposed);
        for bad in [
            "",
            "ftp://a",
            "https://",
            "https:///x",
            "https://a b",
            "https://a:b",
            "https://a:99999",
            "http://[x]/",
            "https://ä",
        ] {
            assert!(matches!(parse(bad), Err(WebAddressError::Malformed(_))), "{bad}");
        }
        for secret in ["https://u:p@h/", "http://u@h", "ftp://u:p@h"] {
            assert_eq!(parse(secret), Err(WebAddressError::HoldsPassword), "{secret}");
        }
    }

    #[test]
    fn an_at_sign_in_the_path_is_no_password() {
        assert!(parse("https://a.example/@you").is_ok());
    }
}
