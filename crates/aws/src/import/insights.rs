//! Queries of Metrics Insights, as far as an alarm with `each` does the same: a state for each value of dimensions.
//!
//! Source: Amazon CloudWatch User Guide, "Metrics Insights query components and syntax".

use std::collections::BTreeSet;

use watchbell_model::{Dimensions, MetricName, MetricStat, Statistic};

use super::found::Lost;

/// Reads `SELECT MAX("m") FROM SCHEMA("ns", "d") [WHERE "e" = 'v' [AND …]] GROUP BY "d" [ORDER BY …]`: the metric, and
/// the dimensions that have a state for each value.
pub(super) fn read(query: &str) -> Result<(MetricStat, Vec<String>), Lost> {
    parse(query).map_err(|reason| format!("this query of Metrics Insights is not available: {reason}"))
}

fn parse(query: &str) -> Result<(MetricStat, Vec<String>), Lost> {
    let words = words(query)?;
    let mut words = Words { words: &words };
    words.keyword("SELECT")?;
    let function = words.name()?;
    let statistic = match function.to_ascii_uppercase().as_str() {
        "COUNT" => Statistic::SampleCount,
        "SUM" => Statistic::Sum,
        "AVG" => Statistic::Average,
        "MIN" => Statistic::Minimum,
        "MAX" => Statistic::Maximum,
        _ => return Err(format!("there is no function {function}")),
    };
    words.sign("(")?;
    let name = words.name()?;
    words.sign(")")?;
    words.keyword("FROM")?;
    words
        .keyword("SCHEMA")
        .map_err(|_| "without SCHEMA it is about metrics with any dimensions".to_owned())?;
    words.sign("(")?;
    let namespace = words.name()?;
    let mut schema = BTreeSet::new();
    while words.sign(",").is_ok() {
        schema.insert(words.name()?);
    }
    words.sign(")")?;
    let mut dimensions = Dimensions::new();
    if words.keyword("WHERE").is_ok() {
        loop {
            let dimension = words.name()?;
            words.sign("=")?;
            dimensions.insert(dimension, words.value()?);
            if words.keyword("AND").is_err() {
                break;
            }
        }
    }
    let mut each = Vec::new();
    if words.keyword("GROUP").is_ok() {
        words.keyword("BY")?;
        each.push(words.name()?);
        while words.sign(",").is_ok() {
            each.push(words.name()?);
        }
    }
    // Which series count if there are too many: here all do.
    if words.keyword("ORDER").is_ok() {
        words.keyword("BY")?;
        words.name()?;
        words.sign("(")?;
        words.sign(")")?;
        let _ = words.keyword("ASC").or_else(|_| words.keyword("DESC"));
    }
    if let Some(word) = words.words.first() {
        return Err(format!("{word:?} is not understood"));
    }
    let named: BTreeSet<String> = dimensions.keys().chain(&each).cloned().collect();
    if each.is_empty() || named != schema {
        return Err("not each dimension of its SCHEMA is in WHERE or GROUP BY".to_owned());
    }
    let metric = MetricName { namespace, name };
    Ok((MetricStat { metric, dimensions, unit: None, statistic }, each))
}

/// A piece of a query.
#[derive(Debug, PartialEq)]
enum Word {
    /// In double quotes, or bare.
    Name(String, bool),
    /// In single quotes.
    Value(String),
    Sign(char),
}

fn words(query: &str) -> Result<Vec<Word>, Lost> {
    let mut words = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let quoted = |quote: char| rest[1..].split_once(quote).ok_or("a quote does not end".to_owned());
        match first {
            '"' => {
                let (name, after) = quoted('"')?;
                words.push(Word::Name(name.to_owned(), true));
                rest = after;
            }
            '\'' => {
                let (value, after) = quoted('\'')?;
                words.push(Word::Value(value.to_owned()));
                rest = after;
            }
            c if c.is_alphanumeric() || c == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                words.push(Word::Name(rest[..end].to_owned(), false));
                rest = &rest[end..];
            }
            sign => {
                words.push(Word::Sign(sign));
                rest = &rest[sign.len_utf8()..];
            }
        }
        rest = rest.trim_start();
    }
    Ok(words)
}

/// The words that are not read yet.
struct Words<'w> {
    words: &'w [Word],
}

impl Words<'_> {
    fn keyword(&mut self, keyword: &str) -> Result<(), Lost> {
        match self.words.split_first() {
            Some((Word::Name(word, false), rest)) if word.eq_ignore_ascii_case(keyword) => {
                self.words = rest;
                Ok(())
            }
            _ => Err(format!("{keyword} is not where it is expected")),
        }
    }

    fn sign(&mut self, sign: &str) -> Result<(), Lost> {
        match self.words.split_first() {
            Some((Word::Sign(found), rest)) if sign.starts_with(*found) => {
                self.words = rest;
                Ok(())
            }
            _ => Err(format!("{sign:?} is not where it is expected")),
        }
    }

    fn name(&mut self) -> Result<String, Lost> {
        match self.words.split_first() {
            Some((Word::Name(name, _), rest)) => {
                self.words = rest;
                Ok(name.clone())
            }
            _ => Err("a name is missing".to_owned()),
        }
    }

    fn value(&mut self) -> Result<String, Lost> {
        match self.words.split_first() {
            Some((Word::Value(value), rest)) => {
                self.words = rest;
                Ok(value.clone())
            }
            _ => Err("a value is missing".to_owned()),
        }
    }
}
