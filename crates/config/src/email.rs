//! `email` and `sms` of a topic.

use watchbell_model::{Channel, Email};

use crate::problem::{Problem, holds_password, quote};
use crate::reader::{Field, Table, Text};
use crate::{secret, web_address};

/// Longest address. Source: RFC 5321, 4.5.3.1.3, without the angle brackets.
const ADDRESS_CHARS_MAX: usize = 254;
/// Digits of a telephone number. Source: ITU-T E.164, 6.2.1; the least is ours.
const DIGITS: std::ops::RangeInclusive<usize> = 5..=15;

/// Mail to some people.
pub(crate) fn email(mut table: Table<'_>) -> Option<Channel> {
    let to = table.need("to").and_then(|field| receivers(&field, "an address", is_address, ADDRESS_HELP));
    let from_field = table.field("from");
    let from = from_field.as_ref().map(sender);
    let smtp = table.field("smtp").map(|field| (field.span(), server(&field)));
    let user_field = table.field("user");
    let user = user_field.as_ref().map(|field| field.text().map(|text| text.value.to_owned()));
    let password_field = table.field("password");
    let password = password_field.as_ref().map(secret::read);
    let (context, title) = (table.context, table.title.clone());
    table.finish();
    let half = |message: String, place: std::ops::Range<usize>, help: &str| {
        context.report_absence(Problem::error(place, message).help(help));
    };
    match (&user_field, &password_field) {
        (Some(field), None) => half(
            format!("{title} has \"user\" and no \"password\""),
            field.span(),
            "add password = { env = \"NAME\" }, or remove user",
        ),
        (None, Some(field)) => half(
            format!("{title} has \"password\" and no \"user\""),
            field.span(),
            "add user, or remove password",
        ),
        _ => {}
    }
    match (&smtp, &from_field) {
        (Some((place, _)), None) => half(
            format!("{title} has \"smtp\" and no \"from\""),
            place.clone(),
            "add from = \"watchbell@example.com\"",
        ),
        (None, Some(field)) => half(
            format!("{title} has \"from\" and no \"smtp\""),
            field.span(),
            "add smtp = \"smtp://HOST:587\", or remove from: on AWS both are Amazon's",
        ),
        _ => {}
    }
    if let (None, Some(field)) = (&smtp, &user_field) {
        half(
            format!("{title} has \"user\" and no \"smtp\""),
            field.span(),
            "add smtp = \"smtp://HOST:587\", or remove user and password",
        );
    }
    let good = |value: Option<Option<String>>| value.map_or(Some(None), |value| value.map(Some));
    Some(Channel::Email(Email {
        to: to?,
        from: good(from)?,
        smtp: good(smtp.map(|(_, smtp)| smtp))?,
        user: good(user)?,
        password: match password {
            Some(password) => Some(password?),
            None => None,
        },
    }))
}

/// Text messages to some people.
pub(crate) fn sms(mut table: Table<'_>) -> Option<Channel> {
    let help = "write it with its country and without spaces, such as \"+491701234567\"";
    let to = table.need("to").and_then(|field| receivers(&field, "a telephone number", is_number, help));
    table.finish();
    Some(Channel::Sms { to: to? })
}

const ADDRESS_HELP: &str = "write it as in \"ops@example.com\", without a name";

/// The receivers, each once; `None` if one of them is wrong, which is noted.
fn receivers(field: &Field<'_>, noun: &str, fits: impl Fn(&str) -> bool, help: &str) -> Option<Vec<String>> {
    if field.is_empty_array() {
        field.refuse(format!("{} is empty", field.title()), help);
        return None;
    }
    let texts = field.texts();
    let mut receivers: Vec<String> = Vec::new();
    let refuse = |text: &Text<'_>, message: String, help: &str| {
        field.context.report(Problem::error(text.span.clone(), message).help(help));
    };
    for text in &texts {
        if !fits(text.value) {
            refuse(text, format!("{}: {} is not {noun}", field.title(), quote(text.value)), help);
        } else if receivers.iter().any(|receiver| receiver == text.value) {
            refuse(
                text,
                format!("{} names {} twice", field.title(), quote(text.value)),
                "remove one of them",
            );
        } else {
            receivers.push(text.value.to_owned());
        }
    }
    (!receivers.is_empty() && receivers.len() == texts.len()).then_some(receivers)
}

fn sender(field: &Field<'_>) -> Option<String> {
    let text = field.text()?.value;
    if !is_address(text) {
        field.refuse(format!("{} is not an address: {}", field.title(), quote(text)), ADDRESS_HELP);
        return None;
    }
    Some(text.to_owned())
}

/// `smtp://host:587` or `smtps://host:465`.
fn server(field: &Field<'_>) -> Option<String> {
    let text = field.text()?.value;
    if holds_password(text) {
        let message = format!("{} holds a password, which must not stand in the file", field.title());
        field.refuse(message, "write user and password = { env = \"NAME\" } beside it");
        return None;
    }
    let rest = text.strip_prefix("smtp://").or_else(|| text.strip_prefix("smtps://"));
    let is_good = rest.is_some_and(|authority| {
        let has_port =
            authority.rsplit_once(':').is_some_and(|(_, port)| port.parse().is_ok_and(|port: u16| port > 0));
        let is_plain = authority.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
        has_port && is_plain && web_address::host(authority).is_some()
    });
    if !is_good {
        let message = format!("{} is not the address of a mail server: {}", field.title(), quote(text));
        field.refuse(message, "write \"smtp://HOST:587\", or \"smtps://HOST:465\"");
    }
    is_good.then(|| text.to_owned())
}

/// Whether a text looks like an address of mail; only the other side can tell whether it is one.
fn is_address(text: &str) -> bool {
    let is_local = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    text.len() <= ADDRESS_CHARS_MAX
        && !local.is_empty()
        && local.split('.').all(|part| !part.is_empty() && part.chars().all(is_local))
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

/// `+491701234567`.
fn is_number(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        DIGITS.contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        for good in ["ops@example.com", "a.b+c@x-y.example.org"] {
            assert!(is_address(good), "{good}");
        }
        let long = format!("{}@example.com", "a".repeat(250));
        for bad in [
            "",
            "ops",
            "@example.com",
            "ops@",
            "ops@host",
            "a b@example.com",
            "Ops <a@b.c>",
            ".a@b.c",
            "a@-b.c",
            "a@b..c",
            &long,
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn numbers_have_their_country_and_nothing_else() {
        for good in ["+491701234567", "+12025550123"] {
            assert!(is_number(good), "{good}");
        }
        for bad in ["", "+", "491701234567", "+0491701234567", "+49 170 1234567", "+1234567890123456", "+123"]
        {
            assert!(!is_number(bad), "{bad}");
        }
    }
}
