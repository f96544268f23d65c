//! Names of fields as paths: `a.b` is `b` in the object `a`, unless there is a field that is called `a.b`.

use serde_json::{Map, Value};

/// The fields of an event.
pub(super) type Fields = Map<String, Value>;

/// The field at `path`.
pub(crate) fn get<'f>(fields: &'f Fields, path: &str) -> Option<&'f Value> {
    if let Some(value) = fields.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    get(fields.get(first)?.as_object()?, rest)
}

/// Takes the field at `path` away.
pub(crate) fn remove(fields: &mut Fields, path: &str) -> Option<Value> {
    if let Some(value) = fields.remove(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    remove(fields.get_mut(first)?.as_object_mut()?, rest)
}

/// Puts `value` at `path`; what stands in the way of an object is replaced by one.
pub(crate) fn set(fields: &mut Fields, path: &str, value: Value) {
    let nested = path.split_once('.').filter(|_| !fields.contains_key(path));
    let Some((first, rest)) = nested else {
        fields.insert(path.to_owned(), value);
        return;
    };
    let inner = fields.entry(first).or_insert_with(|| Value::Object(Fields::new()));
    if !inner.is_object() {
        *inner = Value::Object(Fields::new());
    }
    set(inner.as_object_mut().expect("just made sure"), rest, value);
}

/// What a field holds, as text: a string without quotes, a number, `true` or `false`; `None` for anything else.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields() -> Fields {
        let fields = json!({ "a": { "b": 1, "c": { "d": 2 } }, "x.y": 3, "x": { "y": 4 }, "s": "text" });
        fields.as_object().unwrap().clone()
    }

    #[test]
    fn a_field_that_has_the_whole_name_comes_before_one_inside_an_object() {
        let mut fields = fields();
        assert_eq!(get(&fields, "a.b"), Some(&json!(1)));
        assert_eq!(get(&fields, "a.c.d"), Some(&json!(2)));
        assert_eq!(get(&fields, "x.y"), Some(&json!(3)));
        for missing in ["", ".", "a.", ".a", "a.z", "s.b", "a.b.c"] {
            assert_eq!(get(&fields, missing), None, "{missing}");
        }
        assert_eq!(remove(&mut fields, "x.y"), Some(json!(3)));
        assert_eq!(remove(&mut fields, "x.y"), Some(json!(4)));
        assert_eq!(remove(&mut fields, "x.y"), None);
    }

    #[test]
    fn objects_are_made_on_the_way_and_replace_what_is_none() {
        let mut fields = fields();
        set(&mut fields, "a.c.e", json!(5));
        set(&mut fields, "s.t", json!(6));
        set(&mut fields, "x.y", json!(7));
        let expected = json!({
            "a": { "b": 1, "c": { "d": 2, "e": 5 } }, "s": { "t": 6 }, "x.y": 7, "x": { "y": 4 },
        });
        assert_eq!(Value::Object(fields), expected);
    }
}
