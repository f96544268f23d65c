//! Who calls, and whether it may: the `Authorization` header against the roles and tokens in force.
//!
//! Promise: what no role allows is denied; values of tokens are compared in constant time and never printed.

use std::collections::BTreeMap;
use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use subtle::ConstantTimeEq;
use watchbell_model::{Access, Action, Resource};

use crate::{Denied, DeniedReason};

/// Longest name of a resource that is passed on to the audit trail, in characters.
const RESOURCE_CHARS_MAX: usize = 512;

/// Roles and tokens with the values of the tokens.
pub struct AccessInForce {
    access: Access,
    values: BTreeMap<String, Vec<u8>>,
}

impl AccessInForce {
    /// `values` has the secret bytes of each token, by the token's name.
    ///
    /// A token without a value, or with an empty one, is configured all the same (so callers need a token), but
    /// nobody can show it. Of two tokens with one value, the first by name is meant.
    pub fn new(access: Access, mut values: BTreeMap<String, Vec<u8>>) -> AccessInForce {
        values.retain(|name, value| !value.is_empty() && access.tokens.contains_key(name));
        AccessInForce { access, values }
    }

    /// Whether no token is needed.
    pub(crate) fn is_open(&self) -> bool {
        self.access.tokens.is_empty()
    }

    /// Finds out who calls. Every value is looked at, whether an earlier one fitted or not.
    fn identify(&self, headers: &HeaderMap) -> Result<Principal, DeniedReason> {
        if self.access.tokens.is_empty() {
            return Ok(Principal::Loopback);
        }
        let shown = bearer(headers).ok_or(DeniedReason::NoToken)?;
        let mut found = None;
        for (name, value) in &self.values {
            if bool::from(value.as_slice().ct_eq(shown)) && found.is_none() {
                found = Some(name);
            }
        }
        found.cloned().map(Principal::Token).ok_or(DeniedReason::UnknownToken)
    }

    /// Who calls, if it may do this; `action` is `None` where any token will do.
    pub(crate) fn authorize(
        &self,
        headers: &HeaderMap,
        action: Option<Action>,
        resource: Resource<'_>,
    ) -> Result<Principal, Denied> {
        let denied = |token, reason| Denied {
            token,
            action,
            resource: resource.name().chars().take(RESOURCE_CHARS_MAX).collect(),
            reason,
        };
        let principal = self.identify(headers).map_err(|reason| denied(None, reason))?;
        match (&principal, action) {
            (Principal::Token(name), Some(action)) if !self.access.allows(name, action, resource) => {
                Err(denied(Some(name.clone()), DeniedReason::NotAllowed))
            }
            _ => Ok(principal),
        }
    }

    /// Whether this caller may do this.
    pub(crate) fn may(&self, principal: &Principal, action: Action, resource: Resource<'_>) -> bool {
        match principal {
            Principal::Loopback => true,
            Principal::Token(name) => self.access.allows(name, action, resource),
        }
    }
}

impl fmt::Debug for AccessInForce {
    /// Names only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.values.keys().collect();
        f.debug_struct("AccessInForce").field("access", &self.access).field("values_of", &names).finish()
    }
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// Anybody, while no token is configured.
    Loopback,
    /// The holder of the token of this name.
    Token(String),
}

impl Principal {
    /// As it stands in a batch's source.
    pub(crate) fn into_name(self) -> String {
        match self {
            Principal::Loopback => "loopback".to_owned(),
            Principal::Token(name) => format!("token {name}"),
        }
    }
}

/// What stands behind `Authorization: Bearer`; nothing if the header is missing, twice there or of another scheme.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use watchbell_model::{Role, SecretRef, Statement, Token};

    use super::*;

    fn in_force(values: &[(&str, &str)]) -> AccessInForce {
        let mut access = Access::default();
        let statement = Statement { allow: vec![Action::PutLogEvents], on: vec!["shop/*".into()] };
        access.roles.insert("shipper".into(), Role { statements: vec![statement] });
        for name in ["ci", "empty", "unset"] {
            let token = Token { value: SecretRef::Env(name.into()), roles: vec!["shipper".into()] };
            access.tokens.insert(name.into(), token);
        }
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        AccessInForce::new(access, values)
    }

    fn shown(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_the_whole_value_of_a_configured_token_is_known() {
        let access = in_force(&[("ci", "s3cret"), ("empty", ""), ("stranger", "other")]);
        let ci = Ok(Principal::Token("ci".into()));
        let (none, unknown) = (Err(DeniedReason::NoToken), Err(DeniedReason::UnknownToken));
        for (headers, expected) in [
            (&["Bearer s3cret"][..], &ci),
            (&["bearer  s3cret "], &ci),
            (&["Bearer s3cre"], &unknown),
            (&["Bearer s3cret2"], &unknown),
            (&["Bearer other"], &unknown),
            (&["Bearer "], &unknown),
            (&["Bearer"], &none),
            (&["Basic s3cret"], &none),
            (&["s3cret"], &none),
            (&["Bearer s3cret", "Bearer s3cret"], &none),
            (&[], &none),
        ] {
            assert_eq!(&access.identify(&shown(headers)), expected, "{headers:?}");
        }
    }

    #[test]
    fn tokens_without_values_lock_everybody_out() {
        let access = in_force(&[]);
        assert_eq!(access.identify(&shown(&["Bearer "])), Err(DeniedReason::UnknownToken));
        assert_eq!(access.identify(&shown(&[])), Err(DeniedReason::NoToken));
    }

    #[test]
    fn without_tokens_everybody_is_loopback() {
        let access = AccessInForce::new(Access::default(), BTreeMap::from([("ci".into(), b"x".to_vec())]));
        let put = Some(Action::PutLogEvents);
        for headers in [shown(&[]), shown(&["Bearer y"])] {
            assert_eq!(access.authorize(&headers, put, Resource::LogGroup("any")), Ok(Principal::Loopback));
        }
    }

    #[test]
    fn a_denial_says_who_what_and_why() {
        let access = in_force(&[("ci", "s3cret")]);
        let headers = shown(&["Bearer s3cret"]);
        let denied = access
            .authorize(&headers, Some(Action::PutLogEvents), Resource::LogGroup("bank/app"))
            .unwrap_err();
        assert_eq!(denied.token.as_deref(), Some("ci"));
        assert_eq!((denied.resource.as_str(), denied.reason), ("bank/app", DeniedReason::NotAllowed));
        assert!(access.authorize(&headers, None, Resource::Watchbell).is_ok());
    }

    #[test]
    fn values_are_not_printed() {
        let text = format!("{:?}", in_force(&[("ci", "s3cret")]));
        assert!(text.contains("ci") && !text.contains("s3cret") && !text.contains("115, 51"), "{text}");
    }
}
