//! The order of evaluation, and cycles.

use std::collections::BTreeMap;

use proptest::prelude::*;
use watchbell_expression::evaluation_order;

fn order<'n>(uses: &[(&'n str, &[&'n str])]) -> Result<Vec<&'n str>, Vec<&'n str>> {
    evaluation_order(&uses.iter().map(|(name, used)| (*name, used.to_vec())).collect())
}

#[test]
fn what_is_used_comes_first_and_the_smallest_name_before_others() {
    assert_eq!(order(&[]), Ok(vec![]));
    assert_eq!(order(&[("a", &["c"]), ("b", &["metric"]), ("c", &["b", "b"])]), Ok(vec!["b", "c", "a"]));
    assert_eq!(order(&[("c", &[]), ("a", &[]), ("b", &[])]), Ok(vec!["a", "b", "c"]));
}

#[test]
fn a_cycle_is_named_from_its_smallest_name() {
    assert_eq!(order(&[("a", &["a"])]), Err(vec!["a"]));
    assert_eq!(order(&[("c", &["b"]), ("b", &["a"]), ("a", &["c"])]), Err(vec!["a", "c", "b"]));
    // a only leads to the cycle, d only hangs on it.
    assert_eq!(order(&[("a", &["c"]), ("b", &["c"]), ("c", &["b"]), ("d", &["b"])]), Err(vec!["b", "c"]));
}

#[test]
fn a_long_chain_needs_no_deep_stack() {
    let names: Vec<String> = (0..20_000).map(|i| format!("{i:06}")).collect();
    let mut uses: BTreeMap<&str, Vec<&str>> =
        names.windows(2).map(|pair| (pair[0].as_str(), vec![pair[1].as_str()])).collect();
    uses.insert("019999", vec![]);
    assert_eq!(evaluation_order(&uses).unwrap().last(), Some(&"000000"));
    uses.insert("019999", vec!["000000"]);
    assert_eq!(evaluation_order(&uses).unwrap_err().len(), 20_000);
}

proptest! {
    #[test]
    fn an_order_obeys_every_use_and_a_cycle_is_one(
        uses in prop::collection::btree_map(0_u8..12, prop::collection::vec(0_u8..12, 0..3), 0..12)
    ) {
        const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
        let name = |i: &u8| NAMES[usize::from(*i)];
        let uses: BTreeMap<&str, Vec<&str>> =
            uses.iter().map(|(user, used)| (name(user), used.iter().map(name).collect())).collect();
        match evaluation_order(&uses) {
            Ok(order) => {
                prop_assert_eq!(order.len(), uses.len());
                let place = |name: &str| order.iter().position(|other| *other == name);
                for (user, used) in &uses {
                    for used in used.iter().filter(|used| uses.contains_key(*used)) {
                        prop_assert!(place(used).unwrap() < place(user).unwrap());
                    }
                }
            }
            Err(cycle) => {
                for (i, user) in cycle.iter().enumerate() {
                    prop_assert!(uses[user].contains(&cycle[(i + 1) % cycle.len()]));
                }
                prop_assert_eq!(cycle.first(), cycle.iter().min());
            }
        }
    }
}
