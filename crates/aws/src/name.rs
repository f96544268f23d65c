//! What things are called on AWS.

use watchbell_model::Aws;

/// Longest id; what is added to some of ours, such as `Policy`, has room beside it.
const ID_CHARS_MAX: usize = 240;

/// The id of a resource in its template: the kind, and the user's name for it in the letters that CloudFormation takes.
///
/// Two names never have the same id, and an id never depends on what else there is, as long as no kind is the beginning
/// of another: `Queue` and `PolicyOfQueue`, not `QueuePolicy`, which is the queue `policy-…`, too.
///
/// Source: AWS CloudFormation User Guide, Resources, "Logical ID": letters and digits; quotas, at most 255 of them.
pub(crate) fn logical_id(kind: &str, name: &str) -> String {
    let mut id = kind.to_owned();
    for word in name.split(|c: char| !c.is_ascii_alphanumeric()) {
        let mut characters = word.chars();
        id.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        id.push_str(characters.as_str());
    }
    if id.len() <= ID_CHARS_MAX && is_plain(name) {
        return id;
    }
    id.truncate(ID_CHARS_MAX - 8);
    format!("{id}{:08x}", hash(name.as_bytes()))
}

/// Whether the words of the name can be told from the id.
fn is_plain(name: &str) -> bool {
    name.split('-').all(|word| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    })
}

/// FNV-1a, 32 bits: names are told apart with it, nothing is proved.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The name of something that has one of its own: `shop-oncall`.
pub(crate) fn physical(aws: &Aws, name: &str) -> String {
    format!("{}-{name}", aws.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_readable_and_names_are_told_apart() {
        assert_eq!(logical_id("Topic", "oncall"), "TopicOncall");
        assert_eq!(
            logical_id("Alarm", "http-5xx-burst"),
            "AlarmHttp5xxBurst".to_owned() + &format!("{:08x}", hash(b"http-5xx-burst"))
        );
        assert!(logical_id("LogGroup", "shop/access").starts_with("LogGroupShopAccess"));
        let alike = ["a-b", "a_b", "aB", "a/b", "A-B", "ab", "a1", "a-1", "ä", ""];
        let mut ids: Vec<String> = alike.iter().map(|name| logical_id("X", name)).collect();
        assert!(ids.iter().all(|id| id.chars().all(|c| c.is_ascii_alphanumeric())));
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), alike.len());
        let long = ["a".repeat(600), "a".repeat(601)].map(|name| logical_id("LogGroup", &name));
        assert!(long.iter().all(|id| id.len() == ID_CHARS_MAX) && long[0] != long[1]);
    }
}
