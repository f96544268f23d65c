//! In which order things that name each other are evaluated.

use std::collections::{BTreeMap, BTreeSet};

/// Orders the keys of `uses` such that each comes after everything that it uses.
///
/// `uses` maps a name to the names it uses; names that are no keys are given from outside and do not count. Among
/// the orders possible the result is the one that takes the smallest name first, so it is the same every time.
///
/// # Errors
/// The first cycle, by its smallest name: `["a", "b"]` means that `a` uses `b` and `b` uses `a`.
///
/// ```
/// use std::collections::BTreeMap;
/// use watchbell_expression::evaluation_order;
///
/// let uses = BTreeMap::from([("site", vec!["shop", "db"]), ("shop", vec!["db"])]);
/// assert_eq!(evaluation_order(&uses), Ok(vec!["shop", "site"]));
/// ```
pub fn evaluation_order<'n>(uses: &BTreeMap<&'n str, Vec<&'n str>>) -> Result<Vec<&'n str>, Vec<&'n str>> {
    let mut waits_for: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut used_by: BTreeMap<&str, Vec<&'n str>> = BTreeMap::new();
    for (&name, used) in uses {
        let used: BTreeSet<&str> = used.iter().copied().filter(|name| uses.contains_key(name)).collect();
        for &used in &used {
            used_by.entry(used).or_default().push(name);
        }
        waits_for.insert(name, used);
    }
    let mut ready: BTreeSet<&'n str> =
        uses.keys().copied().filter(|name| waits_for[name].is_empty()).collect();
    let mut order = Vec::with_capacity(uses.len());
    while let Some(name) = ready.pop_first() {
        waits_for.remove(name);
        order.push(name);
        for user in used_by.get(name).into_iter().flatten() {
            let waits = waits_for.get_mut(user).expect("a name that waits for another is not in order yet");
            waits.remove(name);
            if waits.is_empty() {
                ready.insert(user);
            }
        }
    }
    if waits_for.is_empty() { Ok(order) } else { Err(cycle(uses, &waits_for)) }
}

/// A cycle among what is left. Whatever is left waits for something that is left, so walking on must come back.
fn cycle<'n>(uses: &BTreeMap<&'n str, Vec<&'n str>>, left: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<&'n str> {
    let mut seen = BTreeMap::new();
    let mut path: Vec<&'n str> = Vec::new();
    let mut name = *uses.keys().find(|name| left.contains_key(*name)).expect("something is left");
    while !seen.contains_key(name) {
        seen.insert(name, path.len());
        path.push(name);
        name = uses[name]
            .iter()
            .find(|used| left.contains_key(*used))
            .expect("what is left waits for something that is left");
    }
    let mut cycle = path.split_off(seen[name]);
    let smallest = (0..cycle.len()).min_by_key(|&i| cycle[i]).expect("a cycle has a member");
    cycle.rotate_left(smallest);
    cycle
}
