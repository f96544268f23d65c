//! Names of fields as paths: `a.b` is `b` in the object `a`, unless there is a field that is called `a.b`.

use super::value::{Fields, Value};

/// The field at `path`.
pub(super) fn get<'f, 'a>(fields: &'f Fields<'a>, path: &str) -> Option<&'f Value<'a>> {
    if let Some(value) = fields.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    let Value::Object(inner) = fields.get(first)? else { return None };
    get(inner, rest)
}

/// Takes the field at `path` away.
pub(super) fn remove<'a>(fields: &mut Fields<'a>, path: &str) -> Option<Value<'a>> {
    if let Some(value) = fields.remove(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    let Value::Object(inner) = fields.get_mut(first)? else { return None };
    remove(inner, rest)
}

/// Puts `value` at `path`; what stands in the way of an object is replaced by one.
pub(super) fn set<'a>(fields: &mut Fields<'a>, path: &'a str, value: Value<'a>) {
    let nested = path.split_once('.').filter(|_| fields.get(path).is_none());
    let Some((first, rest)) = nested else {
        *fields.entry(path) = value;
        return;
    };
    let inner = fields.entry(first);
    if !matches!(inner, Value::Object(_)) {
        *inner = Value::Object(Fields::default());
    }
    let Value::Object(inner) = inner else { unreachable!("just made sure") };
    set(inner, rest, value);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FIELDS: &str = r#"{"a":{"b":1,"c":{"d":2}},"x.y":3,"x":{"y":4},"s":"text"}"#;

    fn fields() -> Fields<'static> {
        let mut fields = Fields::default();
        fields.read(FIELDS).unwrap();
        fields
    }

    fn value(value: serde_json::Value) -> Value<'static> {
        value.into()
    }

    #[test]
    fn a_field_that_has_the_whole_name_comes_before_one_inside_an_object() {
        let mut fields = fields();
        assert_eq!(get(&fields, "a.b"), Some(&value(json!(1))));
        assert_eq!(get(&fields, "a.c.d"), Some(&value(json!(2))));
        assert_eq!(get(&fields, "x.y"), Some(&value(json!(3))));
        for missing in ["", ".", "a.", ".a", "a.z", "s.b", "a.b.c"] {
            assert_eq!(get(&fields, missing), None, "{missing}");
        }
        assert_eq!(remove(&mut fields, "x.y"), Some(value(json!(3))));
        assert_eq!(remove(&mut fields, "x.y"), Some(value(json!(4))));
        assert_eq!(remove(&mut fields, "x.y"), None);
    }

    #[test]
    fn objects_are_made_on_the_way_and_replace_what_is_none() {
        let mut fields = fields();
        set(&mut fields, "a.c.e", value(json!(5)));
        set(&mut fields, "s.t", value(json!(6)));
        set(&mut fields, "x.y", value(json!(7)));
        let expected = json!({
            "a": { "b": 1, "c": { "d": 2, "e": 5 } }, "s": { "t": 6 }, "x.y": 7, "x": { "y": 4 },
        });
        assert_eq!(Value::Object(fields), value(expected));
    }
}
