//! `[aws]`

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net};
use watchbell_model::{Artifacts, Aws, AwsFleet, AwsNetwork, AwsTrail, Bastion, Nat, RETENTION_DAYS};

use crate::names::Names;
use crate::problem::{Problem, quote};
use crate::reader::{Field, Table};
use crate::{alarm, name, network, plan, web_address};

/// Most tags; services take 50, and some are our own.
const TAGS_MAX: usize = 40;
/// Longest key and value of a tag, in characters. Source: AWS Tagging Best Practices, "Tag naming limits".
const TAG_CHARS_MAX: [usize; 2] = [128, 256];
/// Keys of AWS itself.
const TAG_RESERVED: &str = "aws:";
/// Bits of the network's prefix. Ours: smaller ones leave no room for the subnets; AWS takes none above /16.
const CIDR_BITS: RangeInclusive<u8> = 16..=22;
/// Availability zones.
const ZONES: RangeInclusive<u32> = 2..=3;
/// What `volume` may be, in GiB: the image of Amazon Linux has 8.
const VOLUME_GIB: RangeInclusive<u64> = 8..=1024;
/// Longest name of a key pair. Source: Amazon EC2 API Reference, `CreateKeyPair`.
const KEY_PAIR_CHARS_MAX: usize = 255;

const NAME_DEFAULT: &str = "watchbell";
const CIDR_DEFAULT: &str = "10.0.0.0/16";
const ZONES_DEFAULT: u32 = 2;
const FLOW_LOGS_DAYS_DEFAULT: u32 = 30;
const BASTION_TYPE_DEFAULT: &str = "t3.nano";
const INSTANCE_TYPE_DEFAULT: &str = "t3.small";
const VOLUME_GIB_DEFAULT: u32 = 20;
const TRAIL_DAYS_DEFAULT: u32 = 90;

/// What only AWS needs, if the file says so; `None` if it is wrong, which is noted. Topics that the trail tells are added to
/// `told`.
#[expect(clippy::option_option, reason = "absent, wrong, good")]
pub(crate) fn read(
    root: &mut Table<'_>,
    fleets: &Names<'_>,
    topics: &Names<'_>,
    told: &mut BTreeSet<String>,
) -> Option<Option<Aws>> {
    root.optional("aws", |field| aws(field.table("[aws]".into())?, fleets, topics, told))
}

fn aws(
    mut table: Table<'_>,
    fleet_names: &Names<'_>,
    topics: &Names<'_>,
    told: &mut BTreeSet<String>,
) -> Option<Aws> {
    let region = table.need("region").and_then(|field| region(&field));
    let name = table.or("name", NAME_DEFAULT.to_owned(), |field| {
        let text = field.text()?;
        name::check_small(field.context, &field.title(), text.value, text.span).then(|| text.value.to_owned())
    });
    let endpoint = table.optional("endpoint", |field| {
        let help = "write \"https://HOST:PORT\", or \"http://127.0.0.1:PORT\" for this machine";
        web_address::read_server(field, "credentials", [help, "credentials come from the environment"])
    });
    let tags = tags(&mut table);
    let artifacts = table.optional("artifacts", artifacts);
    if let Some(None) = artifacts
        && let Some(fleet) = fleet_names.iter().next()
    {
        let message = format!("[aws] has no \"artifacts\", and there is fleet {}", quote(fleet));
        let help = "write artifacts = { url = \"s3://BUCKET/PREFIX\", watchbell_sha256 = \"…\" }: new instances install the program from there";
        table.context.report_absence(Problem::error(table.place.clone(), message).help(help));
    }
    let dashboard = table.or("dashboard", true, Field::flag);
    let network = table.or("network", network_default(), network);
    let fleet = fleets(&mut table, fleet_names, region.as_deref());
    let trail = table.or("trail", trail_default(), |field| trail(field, topics, told));
    table.finish();
    Some(Aws {
        name: name?,
        region: region?,
        endpoint: endpoint?,
        tags: tags?,
        artifacts: artifacts?,
        network: network?,
        fleet: fleet?,
        trail: trail?,
        dashboard: dashboard?,
    })
}

fn region(field: &Field<'_>) -> Option<String> {
    let text = field.text()?.value;
    let parts: Vec<&str> = text.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let fits = match parts[..] {
        [land, ref words @ .., number] => {
            land.len() == 2
                && is_word(&land)
                && !words.is_empty()
                && words.iter().all(is_word)
                && matches!(number.as_bytes(), [b'0'..=b'9'])
        }
        _ => false,
    };
    if !fits {
        let message = format!("{} is not the name of a region: {}", field.title(), quote(text));
        field.refuse(message, "write it as in \"eu-central-1\"");
    }
    fits.then(|| text.to_owned())
}

fn tags(table: &mut Table<'_>) -> Option<BTreeMap<String, String>> {
    let named = table.named("tags", "tag");
    if let Some((name, _)) = named.get(TAGS_MAX) {
        let message = format!("[aws] has {} tags, more than {TAGS_MAX}", named.len());
        table.context.report(Problem::error(name.span.clone(), message).help("remove some"));
        return None;
    }
    let mut tags = Some(BTreeMap::new());
    for (name, field) in named {
        let is_key = is_tag(name.value, TAG_CHARS_MAX[0]) && !name.value.is_empty();
        let is_reserved =
            name.value.get(..TAG_RESERVED.len()).is_some_and(|it| it.eq_ignore_ascii_case(TAG_RESERVED));
        if !is_key || is_reserved {
            let message = format!("a tag cannot be called {}", quote(name.value));
            let help = "write 1 to 128 letters, digits, spaces and + - = . _ : / @, not with \"aws:\" first";
            table.context.report(Problem::error(name.span.clone(), message).help(help));
        }
        let value = field.text().filter(|text| {
            let fits = is_tag(text.value, TAG_CHARS_MAX[1]);
            if !fits {
                let help = "write up to 256 letters, digits, spaces and + - = . _ : / @";
                field.refuse(format!("{} cannot have this value", field.title()), help);
            }
            fits
        });
        match (value, &mut tags) {
            (Some(value), Some(tags)) if is_key && !is_reserved => {
                tags.insert(name.value.to_owned(), value.value.to_owned());
            }
            _ => tags = None,
        }
    }
    tags
}

/// Whether every service takes a tag's key or value. Source: AWS Tagging Best Practices, "Tag naming limits".
fn is_tag(text: &str, chars_max: usize) -> bool {
    let fits = |c: char| c.is_alphanumeric() || c == ' ' || "+-=._:/@".contains(c);
    text.chars().count() <= chars_max && text.chars().all(fits)
}

fn artifacts(field: &Field<'_>) -> Option<Artifacts> {
    let mut table = field.table(format!("{} of [aws]", quote("artifacts")))?;
    let place = table.need("url").and_then(|field| object_place(&field));
    let sha256 = table.need("watchbell_sha256").and_then(|field| sha256(&field));
    table.finish();
    let (bucket, prefix) = place?;
    Some(Artifacts { bucket, prefix, watchbell_sha256: sha256? })
}

/// Bucket and prefix of `s3://bucket/prefix`.
fn object_place(field: &Field<'_>) -> Option<(String, String)> {
    let text = field.text()?.value;
    let place = text.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, "")));
    let prefix_fits = |prefix: &str| {
        let part_fits = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "!-_.'()".contains(c))
        };
        prefix.is_empty() || prefix.trim_end_matches('/').split('/').all(part_fits)
    };
    let Some((bucket, prefix)) = place.filter(|(bucket, prefix)| is_bucket(bucket) && prefix_fits(prefix))
    else {
        field.refuse(
            format!("{} is not a place in S3: {}", field.title(), quote(text)),
            "write \"s3://BUCKET/PREFIX\"",
        );
        return None;
    };
    let prefix = prefix.trim_end_matches('/');
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    Some((bucket.to_owned(), prefix))
}

/// Whether a bucket can have the name. Source: Amazon S3 User Guide, "Bucket naming rules".
fn is_bucket(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (3..=63).contains(&text.len())
        && text.bytes().all(|byte| is_inner(byte) || byte == b'-' || byte == b'.')
        && text.bytes().next().is_some_and(is_inner)
        && text.bytes().last().is_some_and(is_inner)
        && !text.contains("..")
}

fn sha256(field: &Field<'_>) -> Option<String> {
    let text = field.text()?.value;
    let fits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !fits {
        let message = format!("{} is not a SHA-256: {}", field.title(), quote(text));
        field.refuse(message, "write the 64 hexadecimal digits that `sha256sum watchbell` prints");
    }
    fits.then(|| text.to_ascii_lowercase())
}

fn network_default() -> AwsNetwork {
    AwsNetwork {
        cidr: CIDR_DEFAULT.parse().expect("the default is a network"),
        zones: ZONES_DEFAULT,
        nat: Nat::Single,
        endpoints: false,
        flow_logs_days: Some(FLOW_LOGS_DAYS_DEFAULT),
        bastion: None,
    }
}

fn network(field: &Field<'_>) -> Option<AwsNetwork> {
    let default = network_default();
    let mut table = field.table("[aws.network]".into())?;
    let cidr = table.or("cidr", default.cidr, cidr);
    let zones = table.or("zones", default.zones, |field| {
        let zones = field.count()?;
        let fits = ZONES.contains(&zones);
        if !fits {
            field.refuse(format!("{} is out of range", field.title()), "write 2 or 3");
        }
        fits.then_some(zones)
    });
    let nat = table.or("nat", default.nat, |field| field.one_of(&[]));
    let endpoints = table.or("endpoints", default.endpoints, Field::flag);
    let flow_logs_days = table.or("flow_logs", default.flow_logs_days, |field| match field.days()? {
        0 => Some(None),
        _ => retention_days(field).map(Some),
    });
    let bastion = table.optional("bastion", bastion);
    table.finish();
    Some(AwsNetwork {
        cidr: cidr?,
        zones: zones?,
        nat: nat?,
        endpoints: endpoints?,
        flow_logs_days: flow_logs_days?,
        bastion: bastion?,
    })
}

/// A private network of the right size. Source: RFC 1918.
fn cidr(field: &Field<'_>) -> Option<Ipv4Net> {
    let text = field.text()?;
    let private: [Ipv4Net; 3] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
        .map(|text| text.parse().expect("written as networks are"));
    let help = format!(
        "write a part of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16, /{} to /{}, such as \"10.20.0.0/16\"",
        CIDR_BITS.start(),
        CIDR_BITS.end()
    );
    let IpNet::V4(cidr) = network::read(field, &text)? else {
        field.refuse(format!("{} is not an IPv4 network: {}", field.title(), quote(text.value)), help);
        return None;
    };
    let reason = if !private.iter().any(|whole| whole.contains(&cidr)) {
        "is not private"
    } else if !CIDR_BITS.contains(&cidr.prefix_len()) {
        "is too large or too small"
    } else {
        return Some(cidr);
    };
    field.refuse(format!("{} {reason}: {}", field.title(), quote(text.value)), help);
    None
}

/// One of [`RETENTION_DAYS`].
fn retention_days(field: &Field<'_>) -> Option<u32> {
    let days = field.days()?;
    if RETENTION_DAYS.contains(&days) {
        return Some(days);
    }
    let near: Vec<String> = [
        RETENTION_DAYS.iter().rev().find(|offered| **offered < days),
        RETENTION_DAYS.iter().find(|offered| **offered > days),
    ]
    .into_iter()
    .flatten()
    .map(|days| format!("\"{days}d\""))
    .collect();
    let message = format!("{}: CloudWatch does not keep events for {days} days", field.title());
    field.refuse(message, format!("write {}", near.join(" or ")));
    None
}

fn bastion(field: &Field<'_>) -> Option<Bastion> {
    let mut table = field.table(format!("{} of [aws.network]", quote("bastion")))?;
    let allow = table.need("allow").map(|field| {
        let networks = network::read_list(&field, ", or remove the bastion: Session Manager needs none");
        if networks.iter().any(|network| network.prefix_len() == 0) {
            let message = format!("{} would let everyone in the world connect", field.title());
            field.refuse(message, "write the networks of those who need it, such as \"203.0.113.0/24\"");
        }
        networks
    });
    let instance_type = table.or("instance_type", BASTION_TYPE_DEFAULT.to_owned(), instance_type);
    let key_pair = table.need("key_pair").and_then(|field| {
        let text = field.text_up_to(KEY_PAIR_CHARS_MAX)?;
        let fits = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        if !fits {
            let message = format!("{} is not the name of a key pair: {}", field.title(), quote(text));
            field.refuse(message, "write its name as EC2 shows it");
        }
        fits.then(|| text.to_owned())
    });
    table.finish();
    Some(Bastion { allow: allow?, instance_type: instance_type?, key_pair: key_pair? })
}

/// A kind of machine for x86-64.
fn instance_type(field: &Field<'_>) -> Option<String> {
    let text = field.text()?.value;
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let family = text.split_once('.').filter(|(family, size)| {
        is_part(family) && is_part(size) && family.starts_with(|c: char| c.is_ascii_lowercase())
    });
    let Some((family, size)) = family else {
        let message = format!("{} is not a type of instance: {}", field.title(), quote(text));
        field.refuse(message, "write it as in \"t3.small\"");
        return None;
    };
    if is_arm(family) {
        let message = format!("{}: {} has an ARM processor", field.title(), quote(text));
        let help =
            format!("the program that instances install is for x86-64: write one such as \"t3.{size}\"");
        field.refuse(message, help);
        return None;
    }
    Some(text.to_owned())
}

/// Whether a family has processors of ARM: Graviton, a `g` behind the generation, and what came before that rule.
///
/// Source: Amazon EC2 Instance Types, "Amazon EC2 instance type naming conventions".
fn is_arm(family: &str) -> bool {
    let options = family.trim_start_matches(|c: char| !c.is_ascii_digit());
    family == "a1"
        || options
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .split('-')
            .next()
            .is_some_and(|it| it.contains('g'))
}

/// For every fleet of the file; mistakes are noted.
fn fleets(
    table: &mut Table<'_>,
    names: &Names<'_>,
    region: Option<&str>,
) -> Option<BTreeMap<String, AwsFleet>> {
    let mut fleets: Option<BTreeMap<String, AwsFleet>> =
        Some(names.iter().map(|name| (name.to_owned(), fleet_default())).collect());
    let mut places = BTreeMap::new();
    for (name, entry) in table.named("fleet", "aws.fleet") {
        let is_known = names.resolve(entry.context, &name, "[aws]");
        places.insert(name.value.to_owned(), name.span.clone());
        let fleet = entry.entry(&name).and_then(|table| fleet(table, region));
        match (fleet, &mut fleets) {
            (Some(fleet), Some(fleets)) if is_known => {
                fleets.insert(name.value.to_owned(), fleet);
            }
            _ => fleets = None,
        }
    }
    let mut ports: BTreeMap<u16, &str> = BTreeMap::new();
    for (name, fleet) in fleets.iter().flatten() {
        let Some(other) = ports.insert(fleet.port, name) else { continue };
        let place = places.get(name).or_else(|| places.get(other)).unwrap_or(&table.place);
        let (name, other) = (quote(name), quote(other));
        let message = format!("fleets {other} and {name} both have port {} of the load balancer", fleet.port);
        let help = "write port = … in [aws.fleet.NAME] of one of them";
        table.context.report_absence(Problem::error(place.clone(), message).help(help));
    }
    fleets
}

fn fleet_default() -> AwsFleet {
    AwsFleet {
        instance_type: INSTANCE_TYPE_DEFAULT.into(),
        image: None,
        volume_gib: VOLUME_GIB_DEFAULT,
        setup: None,
        certificate: None,
        port: 80,
        allow: vec![everyone()],
    }
}

/// All of IPv4.
fn everyone() -> IpNet {
    IpNet::V4(Ipv4Net::default())
}

fn fleet(mut table: Table<'_>, region: Option<&str>) -> Option<AwsFleet> {
    let instance_type = table.or("instance_type", INSTANCE_TYPE_DEFAULT.to_owned(), instance_type);
    let image = table.optional("image", image);
    let volume_gib = table.or("volume", VOLUME_GIB_DEFAULT, volume_gib);
    let setup = table.optional("setup", |field| plan::absolute_path(field, field.text()?.value));
    let certificate = table.optional("certificate", |field| certificate(field, region));
    let port_default = if matches!(certificate, Some(None)) { 80 } else { 443 };
    let port = table.or("port", port_default, port);
    let allow = table.or("allow", vec![everyone()], |field| {
        Some(network::read_list(field, ", or remove the key: then everyone may"))
    });
    table.finish();
    Some(AwsFleet {
        instance_type: instance_type?,
        image: image?,
        volume_gib: volume_gib?,
        setup: setup?,
        certificate: certificate?,
        port: port?,
        allow: allow?,
    })
}

/// `ami-` and 8 or 17 hexadecimal digits.
fn image(field: &Field<'_>) -> Option<String> {
    let text = field.text()?.value;
    let digits = text.strip_prefix("ami-").filter(|digits| matches!(digits.len(), 8 | 17));
    let fits = digits.is_some_and(|it| it.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    if !fits {
        let message = format!("{} is not the id of an image: {}", field.title(), quote(text));
        field.refuse(message, "write it as in \"ami-0123456789abcdef0\"");
    }
    fits.then(|| text.to_owned())
}

fn volume_gib(field: &Field<'_>) -> Option<u32> {
    let bytes = field.size_bytes()?;
    let gib = bytes >> 30;
    if gib << 30 != bytes || !VOLUME_GIB.contains(&gib) {
        field.refuse(format!("{} is out of range", field.title()), "write whole GiB: \"8GiB\" to \"1TiB\"");
        return None;
    }
    u32::try_from(gib).ok()
}

/// The ARN of a certificate that a load balancer in `region` can use.
fn certificate(field: &Field<'_>, region: Option<&str>) -> Option<String> {
    let text = field.text()?.value;
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let found = match parts[..] {
        ["arn", partition, "acm", found, account, id] => {
            let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
            let is_id = id.strip_prefix("certificate/").is_some_and(|id| {
                !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            });
            (partition.starts_with("aws") && is_account && is_id).then_some(found)
        }
        _ => None,
    };
    let Some(found) = found else {
        let message = format!("{} is not the ARN of a certificate: {}", field.title(), quote(text));
        let help = "write it as Certificate Manager shows it: \"arn:aws:acm:REGION:ACCOUNT:certificate/ID\"";
        field.refuse(message, help);
        return None;
    };
    if let Some(region) = region.filter(|region| *region != found) {
        let message = format!("{} is of region {}, not of {}", field.title(), quote(found), quote(region));
        field.refuse(message, "a load balancer takes certificates of its own region only");
        return None;
    }
    Some(text.to_owned())
}

fn port(field: &Field<'_>) -> Option<u16> {
    let port = u16::try_from(field.count()?).ok();
    if port.is_none() {
        field.refuse(format!("{} is out of range", field.title()), "write 1 to 65535");
    }
    port
}

fn trail_default() -> AwsTrail {
    AwsTrail { enabled: true, retention_days: TRAIL_DAYS_DEFAULT, cis: false, notify: Vec::new() }
}

fn trail(field: &Field<'_>, topics: &Names<'_>, told: &mut BTreeSet<String>) -> Option<AwsTrail> {
    let default = trail_default();
    let mut table = field.table("[aws.trail]".into())?;
    let enabled = table.or("enabled", default.enabled, Field::flag);
    let retention_days = table.or("retention", default.retention_days, retention_days);
    let cis_field = table.field("cis");
    let cis = cis_field.as_ref().map_or(Some(default.cis), Field::flag);
    let notify_field = table.field("notify");
    let notify = notify_field.as_ref().map_or_else(Vec::new, |field| alarm::topics(field, topics));
    told.extend(notify.iter().cloned());
    table.finish();
    if let (Some(field), Some(true), Some(false)) = (&cis_field, cis, enabled) {
        let message = format!("{} needs a trail", field.title());
        field.refuse(message, "write enabled = true: its metric filters read the trail's log group");
        return None;
    }
    match (&cis_field, cis, &notify_field) {
        (Some(field), Some(true), _) if notify.is_empty() => {
            let message = format!("{}: these alarms tell nobody", field.title());
            let problem =
                Problem::warning(field.span(), message).help("write notify = [\"TOPIC\"] beside it");
            field.context.report_absence(problem);
        }
        (_, Some(false), Some(field)) => {
            let message = format!("{}: there is no alarm to tell of", field.title());
            let problem = Problem::warning(field.span(), message).help("write cis = true beside it");
            field.context.report_absence(problem);
        }
        _ => {}
    }
    Some(AwsTrail { enabled: enabled?, retention_days: retention_days?, cis: cis?, notify })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_of_arm_are_told_by_the_letters_behind_the_generation() {
        for family in ["t4g", "c7gn", "m6gd", "im4gn", "is4gen", "x2gd", "hpc7g", "g5g", "r8g", "a1"] {
            assert!(is_arm(family), "{family}");
        }
        for family in ["t3", "m7i", "m7i-flex", "g4dn", "g5", "p4d", "c6a", "u-6tb1", "i4i", "gr6", "hpc6a"] {
            assert!(!is_arm(family), "{family}");
        }
    }

    #[test]
    fn buckets_are_named_as_s3_takes_them() {
        for good in ["abc", "my-bucket", "a.b.c", "0ab"] {
            assert!(is_bucket(good), "{good}");
        }
        for bad in ["", "ab", "Abc", "a_b", "-ab", "ab-", "a..b", &"a".repeat(64)] {
            assert!(!is_bucket(bad), "{bad}");
        }
    }
}
