//! A file of rows, to look things up in.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::value::{Fields, Value};

/// Why a text is no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// It cannot be read as CSV.
    #[error("no CSV: {0}")]
    Csv(String),
    /// It cannot be read as JSON.
    #[error("no JSON array of objects: {0}")]
    Json(String),
    /// Nothing has this name.
    #[error("no column {column:?}{}", if columns.is_empty() { String::new() } else { format!("; it has {}", columns.join(", ")) })]
    NoColumn {
        /// The name.
        column: String,
        /// What there is.
        columns: Vec<String>,
    },
    /// Two rows have the same key.
    #[error("rows {first} and {second} both have {key:?} in column {column:?}")]
    Twice {
        /// The key.
        key: String,
        /// Its column.
        column: String,
        /// The row it was found in first, from 1, the line of names not counted.
        first: usize,
        /// The other.
        second: usize,
    },
}

/// Rows by the value of one column.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    rows: BTreeMap<String, Fields<'static>>,
}

impl Table {
    /// Reads a text: JSON if it begins with `[`, else CSV (RFC 4180) with a first line of names. Values of CSV are texts.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn read(content: &str, column: &str) -> Result<Table, TableError> {
        let content = content.strip_prefix('\u{feff}').unwrap_or(content);
        let rows = if content.trim_start().starts_with('[') {
            let rows: Vec<serde_json::Map<_, _>> =
                serde_json::from_str(content).map_err(|error| TableError::Json(error.to_string()))?;
            rows.into_iter().map(Fields::from).collect()
        } else {
            csv_rows(content, column)?
        };
        Table::of_rows(rows, column)
    }

    fn of_rows(found: Vec<Fields<'static>>, column: &str) -> Result<Table, TableError> {
        let mut rows: BTreeMap<String, (usize, Fields<'static>)> = BTreeMap::new();
        for (number, mut row) in (1..).zip(found) {
            let key = row.remove(column).and_then(|key| key.text().map(Cow::into_owned));
            let Some(key) = key else {
                let columns = row.names().map(str::to_owned).collect();
                return Err(TableError::NoColumn { column: column.to_owned(), columns });
            };
            if let Some((first, _)) = rows.get(&key) {
                let (column, first) = (column.to_owned(), *first);
                return Err(TableError::Twice { key, column, first, second: number });
            }
            rows.insert(key, (number, row));
        }
        Ok(Table { rows: rows.into_iter().map(|(key, (_, row))| (key, row)).collect() })
    }

    /// The row whose key is `key`, without the key.
    pub(super) fn row(&self, key: &str) -> Option<&Fields<'static>> {
        self.rows.get(key)
    }
}

fn csv_rows(content: &str, column: &str) -> Result<Vec<Fields<'static>>, TableError> {
    let refused = |error: csv::Error| TableError::Csv(error.to_string());
    let mut reader = csv::Reader::from_reader(content.as_bytes());
    let names: Vec<String> = reader.headers().map_err(refused)?.iter().map(str::to_owned).collect();
    if !names.iter().any(|name| name == column) {
        return Err(TableError::NoColumn { column: column.to_owned(), columns: names });
    }
    let row = |record: csv::StringRecord| {
        let values = record.iter().map(|value| Value::Text(Cow::Owned(value.to_owned())));
        names.iter().cloned().map(Cow::Owned).zip(values).collect()
    };
    reader.records().map(|record| record.map(row).map_err(refused)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_found_by_the_value_of_their_column() {
        let csv = "ip,owner,rack\n10.0.0.7,\"a, b\",3\n10.0.0.8,,4\n";
        let json = r#"[{"ip":"10.0.0.7","owner":"a, b","rack":"3"},{"ip":"10.0.0.8","owner":"","rack":"4"}]"#;
        let table = Table::read(csv, "ip").unwrap();
        assert_eq!(table, Table::read(json, "ip").unwrap());
        let row = table.row("10.0.0.7").unwrap();
        assert_eq!(Value::Object(row.clone()), Value::from(json!({ "owner": "a, b", "rack": "3" })));
        assert_eq!(table.row("10.0.0.9"), None);
        let numbers = Table::read(r#"[{"code":7,"name":"x"}]"#, "code").unwrap();
        assert!(numbers.row("7").is_some());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let said = |content: &str| Table::read(content, "ip").unwrap_err().to_string();
        assert_eq!(said("owner,rack\na,1\n"), "no column \"ip\"; it has owner, rack");
        assert_eq!(said("ip,rack\na,1\nb,2\na,3\n"), "rows 1 and 3 both have \"a\" in column \"ip\"");
        assert!(said("ip,rack\na,1\nb\n").contains("line: 3"), "{}", said("ip,rack\na,1\nb\n"));
        assert!(said("[1]").starts_with("no JSON array of objects: "), "{}", said("[1]"));
        assert_eq!(said("[{\"rack\":1}]"), "no column \"ip\"; it has rack");
    }
}
