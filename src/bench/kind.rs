//! Which logs, and which rules for them.

use clap::ValueEnum;
use serde::Serialize;
use watchbell_corpus::{Corpus, rules};

/// Which logs, and which rules for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Mixed text: eight kinds of program, and access lines; terms and regexes
    Text,
    /// Combined access lines; patterns over their fields
    Access,
    /// JSON records of 17 keys; two or three conditions each
    Json,
}

impl Kind {
    /// Its name in sentences.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Text => "mixed text",
            Kind::Access => "access lines",
            Kind::Json => "JSON",
        }
    }

    /// At least so many bytes of it.
    pub(super) fn corpus(self, bytes: usize, seed: u64) -> Corpus {
        match self {
            Kind::Text => Corpus::mixed(bytes, seed),
            Kind::Access => Corpus::access(bytes, seed),
            Kind::Json => Corpus::json(bytes, seed),
        }
    }

    /// The first so many patterns for it that a plan takes.
    pub(super) fn patterns(self, count: usize, corpus: &Corpus) -> Vec<String> {
        match self {
            Kind::Text => few_regexes(rules::text(count * 10 / 9 + 10, corpus), count),
            Kind::Access => rules::delimited(count),
            Kind::Json => rules::json(count),
        }
    }

    /// How a log group of it is parsed.
    pub(super) fn parse(self) -> &'static str {
        match self {
            Kind::Text => "plain",
            Kind::Access => "combined",
            Kind::Json => "json",
        }
    }
}

/// Regexes that a log group may have: CloudWatch's quota, which a plan keeps.
const REGEXES_MAX: usize = 5;

/// The first so many, without the regexes that are too many.
fn few_regexes(patterns: Vec<String>, count: usize) -> Vec<String> {
    let mut regexes = 0;
    let is_taken = |pattern: &String| {
        regexes += usize::from(pattern.contains('%'));
        !pattern.contains('%') || regexes <= REGEXES_MAX
    };
    patterns.into_iter().filter(is_taken).take(count).collect()
}
