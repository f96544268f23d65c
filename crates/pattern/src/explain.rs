//! A pattern in words: what it asks of an event, and what surprises those who meet the language.
//!
//! Promise: every pattern has an explanation, and it says what [`Pattern::matches`] does. Not here: how it is printed.

use std::collections::BTreeSet;

use ::regex::Regex;

use crate::cursor::quote;
use crate::delimited::Delimited;
use crate::expression::Expression;
use crate::json::{JsonPattern, Test};
use crate::pattern::Language;
use crate::term::{Term, Terms};
use crate::value::{Comparison, Order, Value};
use crate::{Pattern, PatternKind, regex};

/// A pattern in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The language it is in.
    pub kind: PatternKind,
    /// What an event must be for the condition to be looked at: "an event that is one JSON object".
    pub event: String,
    /// What must hold; `None`: nothing more.
    pub condition: Option<Words>,
    /// What the names of a space-delimited pattern stand for, from left to right.
    pub fields: Vec<ExplainedField>,
    /// What is easily taken for something else, most important first.
    pub notes: Vec<String>,
}

/// A condition in words, each without a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Words {
    /// One condition, which begins with its subject: `it contains "ERROR"`.
    One(String),
    /// All of them hold.
    All(Vec<Words>),
    /// At least one of them holds.
    Any(Vec<Words>),
}

/// A field of a space-delimited pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedField {
    /// How a metric's value selects it: `$status`, `$3`.
    pub selector: String,
    /// Which part of the line it is: `token 6`.
    pub place: String,
}

impl Pattern {
    /// The pattern in words.
    pub fn explain(&self) -> Explanation {
        let mut explainer = Explainer { pattern: self.as_str(), notes: Vec::new() };
        let (event, condition, fields) = match self.language() {
            Language::MatchAll => ("every event".to_owned(), None, Vec::new()),
            Language::Terms(terms) => explainer.terms(terms),
            Language::Json(json) => explainer.json(json),
            Language::Delimited(delimited) => explainer.delimited(delimited),
        };
        let mut said = BTreeSet::new();
        explainer.notes.retain(|note| said.insert(note.clone()));
        Explanation { kind: self.kind(), event, condition, fields, notes: explainer.notes }
    }
}

type Parts = (String, Option<Words>, Vec<ExplainedField>);

struct Explainer<'p> {
    pattern: &'p str,
    notes: Vec<String>,
}

impl Explainer<'_> {
    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    fn terms(&mut self, terms: &Terms) -> Parts {
        let alone = terms.required.is_empty() && terms.excluded.is_empty();
        if !alone {
            for term in &terms.optional {
                self.note(format!(
                    "?{} has no effect: ? says \"at least one of these\" only where every term has a ?",
                    self.shown(term)
                ));
            }
        }
        let texts = || terms.required.iter().chain(&terms.excluded).chain(&terms.optional);
        for term in texts() {
            if let Term::Text(word) = term
                && ["or", "and", "not"].contains(&word.to_lowercase().as_str())
            {
                self.note(format!("{} is looked for like any word: there are no keywords", quote(word)));
            }
        }
        if texts().any(|term| matches!(term, Term::Text(text) if !text.is_empty())) {
            self.note("a term is found inside longer words too, and capitals differ from small letters");
        }
        if terms.required.is_empty() && !terms.excluded.is_empty() {
            self.note("an event matches as soon as nothing excluded is in it, an empty one too");
        }
        let contains = |term: &Term| Words::One(format!("it contains {}", self.found(term)));
        let lacks = |term: &Term| Words::One(format!("it does not contain {}", self.found(term)));
        let condition = if alone {
            join(terms.optional.iter().map(contains).collect(), Words::Any)
        } else {
            let required = terms.required.iter().map(contains);
            join(required.chain(terms.excluded.iter().map(lacks)).collect(), Words::All)
        };
        ("an event".to_owned(), Some(condition), Vec::new())
    }

    fn found(&self, term: &Term) -> String {
        match term {
            Term::Text(text) if text.is_empty() => "the empty text, as every event does".to_owned(),
            Term::Text(text) => quote(text),
            Term::Regex(regex) => format!("something that the regex {} finds", self.spelled(regex)),
        }
    }

    fn shown(&self, term: &Term) -> String {
        match term {
            Term::Text(text) => quote(text),
            Term::Regex(regex) => self.spelled(regex),
        }
    }

    fn spelled(&self, regex: &Regex) -> String {
        format!("%{}%", regex::spelling(self.pattern, regex).unwrap_or(regex.as_str()))
    }

    fn json(&mut self, json: &JsonPattern) -> Parts {
        let condition = self.expression(&json.expression, &mut |this, condition| {
            let path = condition.path.to_string();
            if condition.path.has_wildcard() {
                this.note(format!(
                    "{path} holds if any one of the nodes does; two conditions may be met by two different ones"
                ));
            }
            this.json_test(&path, &condition.test)
        });
        self.note("an event that is no JSON object matches nothing, NOT EXISTS included");
        ("an event that is one JSON object".to_owned(), Some(condition), Vec::new())
    }

    fn json_test(&mut self, path: &str, test: &Test) -> String {
        match test {
            Test::Comparison(comparison) => {
                match comparison {
                    Comparison::NotEqual(_) => self.note(format!(
                        "an event without {path} does not match !=, nor one where it is true, false, null, an \
                         object or an array; to include those without it add || {path} NOT EXISTS"
                    )),
                    Comparison::Equal(Value::Text(text)) if ["true", "false"].contains(&&*text.pieces().concat()) => {
                        let word = text.pieces().concat();
                        self.note(format!(
                            "= {word} is the text {}; for the boolean write {path} IS {}",
                            quote(&word),
                            word.to_uppercase()
                        ));
                    }
                    Comparison::Ordered(..) => {
                        self.note("a text is never greater or smaller than a number, even \"500\"");
                    }
                    Comparison::Equal(_) => {}
                }
                self.comparison(path, comparison, "a number or a text")
            }
            Test::IsNull => {
                self.note(format!(
                    "an event without {path} is not null there; for that write {path} NOT EXISTS"
                ));
                format!("{path} is null, or an array with a null in it")
            }
            Test::IsTrue => format!("{path} is the boolean true"),
            Test::IsFalse => format!("{path} is the boolean false"),
            Test::NotExists => format!("{path} is not there"),
        }
    }

    /// `anything` says what a value must be to be compared at all.
    fn comparison(&mut self, subject: &str, comparison: &Comparison, anything: &str) -> String {
        match comparison {
            Comparison::Equal(value) => format!("{subject} is {}", self.value(value, anything)),
            Comparison::NotEqual(Value::Text(text))
                if text.pieces().concat().is_empty() && text.pieces().len() > 1 =>
            {
                format!("{subject} is nothing at all: != * never holds")
            }
            Comparison::NotEqual(value) => {
                format!("{subject} is {anything}, but not {}", self.value(value, anything))
            }
            Comparison::Ordered(order, bound) => {
                let order = match order {
                    Order::Less => "less than",
                    Order::LessOrEqual => "at most",
                    Order::Greater => "greater than",
                    Order::GreaterOrEqual => "at least",
                };
                format!("{subject} is a number, {order} {bound}")
            }
        }
    }

    fn value(&self, value: &Value, anything: &str) -> String {
        match value {
            Value::Number(number) => format!("the number {number}, or the text {}", quote(number)),
            Value::Regex(regex) => {
                format!("{anything} in which the regex {} finds something", self.spelled(regex))
            }
            Value::Text(text) => match text.pieces().as_slice() {
                [""] => "the empty text".to_owned(),
                [whole] => quote(whole),
                pieces if pieces.iter().all(|piece| piece.is_empty()) => anything.to_owned(),
                [head, ""] => format!("{anything} that begins with {}", quote(head)),
                ["", tail] => format!("{anything} that ends with {}", quote(tail)),
                ["", inner, ""] => format!("{anything} that contains {}", quote(inner)),
                pieces => {
                    format!("{anything} like {}, where * is any run of characters", quote(&pieces.join("*")))
                }
            },
        }
    }

    fn delimited(&mut self, delimited: &Delimited) -> Parts {
        let fields = &delimited.fields;
        let conditions = fields.iter().enumerate().filter_map(|(number, field)| {
            let subject = selector(number, field.name.as_deref());
            Some((subject, field.conditions.as_ref()?))
        });
        let conditions: Vec<Words> = conditions
            .map(|(subject, conditions)| {
                self.expression(conditions, &mut |this, comparison| {
                    if matches!(comparison, Comparison::Ordered(..)) {
                        this.note(
                            "a token that does not read as a number is never greater or smaller than one",
                        );
                    }
                    this.comparison(&subject, comparison, "a token")
                })
            })
            .collect();
        if conditions.is_empty() {
            self.note(format!(
                "nothing is compared, only tokens are counted; to look for the text, quote it: {}",
                quote(self.pattern.trim())
            ));
        }
        self.note("a token ends at white space; \"…\" and […] hold one together, and are not part of it");
        let event = match (fields.len(), delimited.ellipsis) {
            (0 | 1, _) => "an event with at least 1 token".to_owned(),
            (least, _) => format!("an event with at least {least} tokens"),
        };
        let condition = (!conditions.is_empty()).then(|| join(conditions, Words::All));
        (event, condition, places(delimited))
    }

    fn expression<C>(
        &mut self,
        expression: &Expression<C>,
        one: &mut impl FnMut(&mut Self, &C) -> String,
    ) -> Words {
        let mut each =
            |parts: &[Expression<C>]| parts.iter().map(|part| self.expression(part, one)).collect();
        match expression {
            Expression::All(parts) => Words::All(each(parts)),
            Expression::Any(parts) => Words::Any(each(parts)),
            Expression::Condition(condition) => Words::One(one(self, condition)),
        }
    }
}

/// One condition stands for itself.
fn join(mut conditions: Vec<Words>, joined: fn(Vec<Words>) -> Words) -> Words {
    if conditions.len() == 1 { conditions.remove(0) } else { joined(conditions) }
}

fn selector(number: usize, name: Option<&str>) -> String {
    name.map_or_else(|| format!("${}", number + 1), |name| format!("${name}"))
}

/// Where each field stands.
fn places(delimited: &Delimited) -> Vec<ExplainedField> {
    let count = delimited.fields.len();
    let named = delimited.fields.iter().enumerate().filter(|(_, field)| field.name.is_some());
    let place = |number: usize| match delimited.ellipsis {
        Some(before) if number >= before => match count - number {
            1 => "the last token".to_owned(),
            from_end => format!("token {from_end} from the end"),
        },
        None if number + 1 == count => format!("token {count} and the rest of the line behind it"),
        _ => format!("token {}", number + 1),
    };
    named
        .map(|(number, field)| ExplainedField {
            selector: selector(number, field.name.as_deref()),
            place: place(number),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(pattern: &str) -> Explanation {
        Pattern::parse(pattern).unwrap().explain()
    }

    /// The condition on one line.
    fn condition(pattern: &str) -> String {
        fn line(words: &Words) -> String {
            match words {
                Words::One(words) => words.clone(),
                Words::All(parts) => {
                    format!("({})", parts.iter().map(line).collect::<Vec<_>>().join(" AND "))
                }
                Words::Any(parts) => format!("({})", parts.iter().map(line).collect::<Vec<_>>().join(" OR ")),
            }
        }
        explain(pattern).condition.as_ref().map_or_else(String::new, line)
    }

    fn notes(pattern: &str) -> String {
        explain(pattern).notes.join("\n")
    }

    #[test]
    fn terms_are_contained_or_not() {
        assert_eq!(
            condition("ERROR \"disk full\" -debug"),
            r#"(it contains "ERROR" AND it contains "disk full" AND it does not contain "debug")"#
        );
        assert_eq!(condition("?ERROR ?WARN"), r#"(it contains "ERROR" OR it contains "WARN")"#);
        assert_eq!(condition(r"%\d{3} x|y%"), r"it contains something that the regex %\d{3} x|y% finds");
        assert_eq!(condition("\"\""), "it contains the empty text, as every event does");
        assert_eq!((explain(" ").event.as_str(), explain(" ").condition), ("every event", None));
    }

    #[test]
    fn a_question_mark_beside_other_terms_is_told() {
        assert_eq!(condition("?ERROR ?%W+% disk"), r#"it contains "disk""#);
        let notes = notes("?ERROR ?%W+% disk");
        assert!(
            notes.starts_with("?\"ERROR\" has no effect") && notes.contains("?%W+% has no effect"),
            "{notes}"
        );
        assert!(!self::notes("?ERROR ?WARN").contains("no effect"));
    }

    #[test]
    fn words_that_look_like_keywords_are_told() {
        assert!(notes("ERROR OR WARN").contains("\"OR\" is looked for like any word"));
        assert!(!notes("ORACLE").contains("keyword"));
    }

    #[test]
    fn json_conditions_name_their_field() {
        for (pattern, expected) in [
            ("{ $.level = \"ERROR\" }", r#"$.level is "ERROR""#),
            ("{ $.status = 404 }", r#"$.status is the number 404, or the text "404""#),
            ("{ $.ms >= 1e3 }", "$.ms is a number, at least 1e3"),
            ("{ $.a < 1 }", "$.a is a number, less than 1"),
            ("{ $.a = 4* }", r#"$.a is a number or a text that begins with "4""#),
            ("{ $.a = *x }", r#"$.a is a number or a text that ends with "x""#),
            ("{ $.a = \"*x y*\" }", r#"$.a is a number or a text that contains "x y""#),
            ("{ $.a = a*b* }", r#"$.a is a number or a text like "a*b*", where * is any run of characters"#),
            ("{ $.a = * }", "$.a is a number or a text"),
            ("{ $.a = \"\" }", "$.a is the empty text"),
            (
                "{ $.a != %^x%  }",
                "$.a is a number or a text, but not a number or a text in which the regex %^x% finds something",
            ),
            ("{ $.a IS NULL }", "$.a is null, or an array with a null in it"),
            ("{ $.a IS TRUE && $.b IS FALSE }", "($.a is the boolean true AND $.b is the boolean false)"),
            (
                "{ ($.a = 1 || $.b NOT EXISTS) && $.['c.d'].e[0] = x }",
                r#"(($.a is the number 1, or the text "1" OR $.b is not there) AND $.["c.d"].e[0] is "x")"#,
            ),
        ] {
            assert_eq!(condition(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn json_traps_are_told() {
        for (pattern, note) in [
            ("{ $.a != 1 }", "an event without $.a does not match !="),
            ("{ $.a > 1 }", "a text is never greater"),
            ("{ $.a = true }", "for the boolean write $.a IS TRUE"),
            ("{ $.a IS NULL }", "for that write $.a NOT EXISTS"),
            ("{ $.a[*].b = 1 }", "$.a[*].b holds if any one"),
            ("{ $.a = 1 }", "no JSON object matches nothing"),
        ] {
            assert!(notes(pattern).contains(note), "{pattern}: {}", notes(pattern));
        }
        assert!(!notes("{ $.a = 1 }").contains("!="));
    }

    #[test]
    fn the_trap_of_brackets_is_told() {
        let explained = explain("[ERROR]");
        assert_eq!(explained.condition, None);
        assert_eq!(explained.event, "an event with at least 1 token");
        assert!(explained.notes[0].ends_with("quote it: \"[ERROR]\""), "{:?}", explained.notes);
        assert!(!notes("[level=ERROR]").contains("quote it"));
    }

    #[test]
    fn fields_have_their_places() {
        let places = |pattern| {
            let fields = explain(pattern).fields;
            fields
                .iter()
                .map(|field| format!("{} {}", field.selector, field.place))
                .collect::<Vec<_>>()
                .join(", ")
        };
        assert_eq!(places("[ip, , user]"), "$ip token 1, $user token 3 and the rest of the line behind it");
        assert_eq!(
            places("[ip, ..., status, size]"),
            "$ip token 1, $status token 2 from the end, $size the last token"
        );
        assert_eq!(places("[..., a]"), "$a the last token");
        assert_eq!(explain("[a, ..., b]").event, "an event with at least 2 tokens");
        assert_eq!(
            condition("[ip, status = 5* || status = 404, size > 1000]"),
            r#"(($status is a token that begins with "5" OR $status is the number 404, or the text "404") AND $size is a number, greater than 1000)"#
        );
    }
}
