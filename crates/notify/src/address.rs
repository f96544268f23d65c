//! The web address of a receiver: a secret, of which only the host may be shown.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use crate::SendError;

/// An `http` or `https` address. Prints as its host, with a port that is not the usual one.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) url: Url,
}

/// Text that shares this many bytes in a row with the secret part of an address is taken to repeat it.
const REPEATED_BYTES: usize = 8;

/// A part of an address that is shorter than this keeps no secret, and words would repeat it by chance.
const SECRET_BYTES_MIN: usize = 4;

impl Address {
    /// Checks and wraps an address.
    ///
    /// # Errors
    /// [`SendError::Never`], naming no part of it, if it is not an `http` or `https` address.
    pub(crate) fn new(text: &str) -> Result<Address, SendError> {
        let never = |why: String| SendError::Never { reason: format!("not a usable web address: {why}") };
        let url = Url::parse(text.trim()).map_err(|error| never(error.to_string()))?;
        match url.scheme() {
            "http" | "https" => Ok(Address { url }),
            _ => Err(never("it must begin with http:// or https://".to_owned())),
        }
    }

    pub(crate) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether it stays on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = host == "localhost" || host.ends_with(".localhost");
        name || bare.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
    }

    /// Whether `text` repeats anything of the address that is not its host: many servers name the path in a 404.
    pub(crate) fn is_repeated_in(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        let parts = [
            self.url.username(),
            self.url.password().unwrap_or_default(),
            self.url.path().trim_matches('/'),
            self.url.query().unwrap_or_default(),
            self.url.fragment().unwrap_or_default(),
        ];
        parts.into_iter().filter(|part| part.len() >= SECRET_BYTES_MIN).any(|part| {
            let part = part.to_ascii_lowercase();
            let window = REPEATED_BYTES.min(part.len());
            part.as_bytes().windows(window).any(|piece| text.as_bytes().windows(window).any(|it| it == piece))
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.host_str().unwrap_or_default())?;
        self.url.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_address_is_refused_without_being_named() {
        for malformed in ["", "hooks.example.com/T0KEN", "ftp://a/T0KEN", "https://", "http://[T0KEN"] {
            let Err(SendError::Never { reason }) = Address::new(malformed) else {
                panic!("{malformed:?} passed")
            };
            assert!(!reason.contains("T0KEN"), "{reason}");
        }
    }

    #[test]
    fn only_the_host_is_shown() {
        let shown = |text| Address::new(text).unwrap().to_string();
        assert_eq!(shown("https://user:pw@hooks.example.com/services/T0KEN?k=v"), "hooks.example.com");
        assert_eq!(shown("http://[::1]:8080/x\n"), "[::1]:8080");
        assert_eq!(shown("https://hooks.example.com:443/x"), "hooks.example.com");
    }

    #[test]
    fn loopback_is_known_by_name_and_number() {
        let loopback = |text| Address::new(text).unwrap().is_loopback();
        for here in [
            "http://localhost",
            "http://a.localhost/",
            "http://127.8.0.1:1",
            "http://[::1]",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(loopback(here), "{here}");
        }
        for elsewhere in ["http://localhost.example.com", "http://10.0.0.1", "http://[fe80::1]"] {
            assert!(!loopback(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn an_answer_that_repeats_the_address_is_recognised() {
        let address =
            Address::new("https://user@hooks.example.com/services/T0/B0/s3cr3ts3cr3t?key=abcdefgh").unwrap();
        for leak in ["Cannot POST /services/T0/B0/s3cr3ts3cr3t", "…3CR3TS3C…", "no key=abcdefgh", "user?"]
        {
            assert!(address.is_repeated_in(leak), "{leak}");
        }
        assert!(!address.is_repeated_in("no_service at hooks.example.com"));
        assert!(!Address::new("https://hooks.example.com/").unwrap().is_repeated_in("not found"));
    }
}
