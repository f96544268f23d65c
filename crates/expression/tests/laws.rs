//! Laws on random input: any text is read or refused with a place in it, what is printed reads back the same, and
//! expressions and rules give what the plainest evaluation gives.

use proptest::prelude::*;
use watchbell_expression::{AlarmRule, ExpressionError, MetricMath};
use watchbell_model::AlarmState;

const METRICS: [&str; 3] = ["m1", "m2", "m3"];
const SLOTS: usize = 6;

type Slots = Vec<Option<f64>>;

/// Texts made of the language's own pieces: some are valid, the others are nearly so.
fn text(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::collection::vec(prop::sample::select(pieces), 0..16).prop_map(|pieces| pieces.concat()),
        1 => ".{0,40}",
    ]
}

const MATH: &[&str] = &[
    "m1",
    "m2",
    "m3",
    "e1",
    "1",
    "0",
    "2.5",
    "1e3",
    "1e-300",
    "(",
    ")",
    "[",
    "]",
    ",",
    ", ",
    " ",
    "+",
    "-",
    "*",
    "/",
    "^",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    " AND ",
    " OR ",
    "&&",
    "||",
    "SUM(",
    "AVG(",
    "MAX([m1, m2])",
    "ABS(",
    "RATE(m1)",
    "PERIOD(m1)",
    "TIME_SERIES(",
    "METRICS()",
    "METRICS(\"1\")",
    "FIRST(",
    "IF(",
    "IF(m1, ",
    "FILL(m1, ",
    "REPEAT)",
    "LINEAR)",
    "sum(",
    "é",
    "\"",
    "=",
    "!",
    "SORT(",
];

const RULES: &[&str] = &[
    "ALARM(a)",
    "OK(b)",
    "INSUFFICIENT_DATA(c)",
    "ALARM(\"a b\")",
    "ALARM(",
    "a",
    "\"",
    "\\",
    "(",
    ")",
    " ",
    ",",
    " AND ",
    " OR ",
    "NOT ",
    "TRUE",
    "FALSE",
    "AT_LEAST(1, ALARM, (a, b))",
    "AT_LEAST(50%, NOT OK, (c, b, a))",
    "AT_LEAST(",
    "2",
    "%",
    "ALARM, ",
    "and",
    "&&",
    "é",
];

fn has_a_place(text: &str, error: &ExpressionError) -> Result<(), TestCaseError> {
    prop_assert!(text.get(error.span.clone()).is_some(), "{:?} in {:?}", error, text);
    prop_assert!(error.help.is_some(), "{:?}", error);
    Ok(())
}

fn values() -> impl Strategy<Value = [Slots; 3]> {
    let value = prop_oneof![
        3 => (-4_i8..5).prop_map(|value| Some(f64::from(value))),
        2 => Just(None),
        1 => (-1e3..1e3).prop_map(Some),
        1 => prop::sample::select(vec![f64::MAX, -f64::MAX, f64::MIN_POSITIVE, -0.0]).prop_map(Some),
    ];
    prop::array::uniform3(prop::collection::vec(value, SLOTS))
}

fn evaluate(math: &MetricMath, values: &[Slots; 3]) -> Slots {
    math.evaluate(SLOTS, 60, &|id| match id {
        "m1" => &values[0],
        "m2" => &values[1],
        _ => &values[2],
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8000, ..ProptestConfig::default() })]

    #[test]
    fn any_expression_is_read_or_refused_with_a_place(text in text(MATH), values in values()) {
        match MetricMath::parse(&text, &METRICS) {
            Ok(math) => {
                let printed = math.to_string();
                let again = MetricMath::parse(&printed, &METRICS);
                prop_assert_eq!(again.as_ref(), Ok(&math), "{}", printed);
                prop_assert_eq!(again.unwrap().to_string(), printed);
                for id in math.ids() {
                    prop_assert!(text.get(id.span.clone()).is_some_and(|place| !place.is_empty()));
                }
                let result = evaluate(&math, &values);
                prop_assert_eq!(result.len(), SLOTS);
                prop_assert!(result.iter().flatten().all(|value| value.is_finite()));
            }
            Err(error) => has_a_place(&text, &error)?,
        }
    }

    #[test]
    fn any_rule_is_read_or_refused_with_a_place(text in text(RULES)) {
        match AlarmRule::parse(&text) {
            Ok(rule) => {
                let printed = rule.to_string();
                let again = AlarmRule::parse(&printed);
                prop_assert_eq!(again.as_ref(), Ok(&rule), "{}", printed);
                prop_assert_eq!(again.unwrap().to_string(), printed);
            }
            Err(error) => has_a_place(&text, &error)?,
        }
    }

    #[test]
    fn a_name_in_quotes_is_itself(name in ".{1,30}", other in "[a-z\"\\\\]{1,5}") {
        let quote = |name: &str| format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
        let rule = AlarmRule::parse(&format!("ALARM({}) OR OK({})", quote(&name), quote(&other))).unwrap();
        prop_assert_eq!(&rule.names()[0].name, &name);
        prop_assert_eq!(&rule.names()[1].name, &other);
        prop_assert_eq!(AlarmRule::parse(&rule.to_string()), Ok(rule));
    }

    #[test]
    fn expressions_give_what_the_plainest_evaluation_gives(math in math(), values in values()) {
        let (text, plain) = (math.text(), math.evaluate(&values));
        let parsed = MetricMath::parse(&text, &METRICS).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        let got = evaluate(&parsed, &values);
        prop_assert_eq!(&got, &plain, "{}", &text);
        let reprinted = MetricMath::parse(&parsed.to_string(), &METRICS).unwrap();
        prop_assert_eq!(reprinted, parsed);
    }

    #[test]
    fn rules_hold_when_the_plainest_reading_holds(
        rule in rule(), states in prop::array::uniform3(prop::sample::select(STATES.to_vec()))
    ) {
        let text = rule.text();
        let parsed = AlarmRule::parse(&text).unwrap();
        let holds = parsed.holds(&|name| states[NAMES.iter().position(|known| *known == name).unwrap()]);
        prop_assert_eq!(holds, rule.holds(states), "{}", text);
        prop_assert_eq!(AlarmRule::parse(&parsed.to_string()), Ok(parsed));
    }
}

/// An expression that gives a series, written with every parenthesis.
#[derive(Debug, Clone)]
enum Math {
    Number(u8),
    Metric(usize),
    Binary(&'static str, Box<Math>, Box<Math>),
    Minus(Box<Math>),
    If(Box<Math>, Box<Math>, Option<Box<Math>>),
    FillWith(Box<Math>, Box<Math>),
    Repeat(Box<Math>),
    Total(&'static str, Vec<Math>),
    Diff(Box<Math>),
}

fn math() -> impl Strategy<Value = Math> {
    let leaf = prop_oneof![1 => (0_u8..4).prop_map(Math::Number), 3 => (0_usize..3).prop_map(Math::Metric)];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let operators = vec!["+", "-", "*", "/", "^", "==", "!=", "<", "<=", ">", ">=", "AND", "OR"];
        let boxed = inner.clone().prop_map(Box::new);
        prop_oneof![
            4 => (prop::sample::select(operators), boxed.clone(), boxed.clone())
                .prop_map(|(operator, left, right)| Math::Binary(operator, left, right)),
            1 => boxed.clone().prop_map(Math::Minus),
            2 => (boxed.clone(), boxed.clone(), prop::option::of(boxed.clone()))
                .prop_map(|(condition, then, otherwise)| Math::If(condition, then, otherwise)),
            1 => (boxed.clone(), boxed.clone()).prop_map(|(filled, with)| Math::FillWith(filled, with)),
            1 => boxed.clone().prop_map(Math::Repeat),
            1 => boxed.prop_map(Math::Diff),
            2 => (prop::sample::select(vec!["SUM", "AVG", "MIN", "MAX"]), prop::collection::vec(inner, 1..4))
                .prop_map(|(function, items)| Math::Total(function, items)),
        ]
    })
}

impl Math {
    fn text(&self) -> String {
        let series = |math: &Math| {
            if math.is_number() { format!("TIME_SERIES({})", math.text()) } else { math.text() }
        };
        match self {
            Math::Number(number) => number.to_string(),
            Math::Metric(metric) => METRICS[*metric].to_owned(),
            Math::Binary(operator, left, right) => format!("({} {operator} {})", left.text(), right.text()),
            Math::Minus(inner) => format!("(-{})", inner.text()),
            Math::If(condition, then, None) => format!("IF({}, {})", condition.text(), then.text()),
            Math::If(condition, then, Some(otherwise)) => {
                format!("IF({}, {}, {})", condition.text(), then.text(), otherwise.text())
            }
            Math::FillWith(filled, with) => format!("FILL({}, {})", series(filled), with.text()),
            Math::Repeat(filled) => format!("FILL({}, REPEAT)", series(filled)),
            Math::Diff(inner) => format!("DIFF({})", series(inner)),
            Math::Total(function, items) => {
                format!("{function}([{}])", items.iter().map(series).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// Whether it is one number for all slots.
    fn is_number(&self) -> bool {
        match self {
            Math::Number(_) => true,
            Math::Binary(_, left, right) => left.is_number() && right.is_number(),
            Math::Minus(inner) => inner.is_number(),
            Math::If(condition, then, otherwise) => {
                condition.is_number()
                    && then.is_number()
                    && otherwise.as_ref().is_none_or(|it| it.is_number())
            }
            _ => false,
        }
    }

    fn evaluate(&self, values: &[Slots; 3]) -> Slots {
        (0..SLOTS).map(|slot| self.slot(slot, values)).collect()
    }

    /// One slot, as if there were no other.
    fn slot(&self, slot: usize, values: &[Slots; 3]) -> Option<f64> {
        let at = |math: &Math| math.slot(slot, values);
        let result = match self {
            Math::Number(number) => Some(f64::from(*number)),
            Math::Metric(metric) => values[*metric][slot],
            Math::Binary(operator, left, right) => {
                let (mut a, mut b) = (at(left), at(right));
                if !left.is_number() && !right.is_number() && (a.is_some() || b.is_some()) {
                    (a, b) = (a.or(Some(0.0)), b.or(Some(0.0)));
                }
                a.zip(b).map(|(a, b)| plain(operator, a, b))
            }
            Math::Minus(inner) => at(inner).map(|value| -value),
            Math::If(condition, then, otherwise) => match at(condition) {
                None => None,
                Some(0.0) => otherwise.as_ref().and_then(|otherwise| at(otherwise)),
                Some(_) if condition.is_number() || then.is_number() => at(then),
                Some(_) => at(then).or(Some(0.0)),
            },
            Math::FillWith(filled, with) => at(filled).or_else(|| at(with)),
            Math::Repeat(filled) => (0..=slot).rev().find_map(|slot| filled.slot(slot, values)),
            Math::Diff(inner) => at(inner).and_then(|value| {
                let before = (0..slot).rev().find_map(|slot| inner.slot(slot, values))?;
                Some(value - before)
            }),
            Math::Total(function, items) => {
                let there: Vec<f64> = items.iter().filter_map(at).collect();
                let items = f64::from(u32::try_from(items.len()).expect("a few"));
                (!there.is_empty()).then(|| match *function {
                    "SUM" => there.iter().sum(),
                    "AVG" => there.iter().sum::<f64>() / items,
                    "MIN" => there.iter().copied().reduce(f64::min).expect("not empty"),
                    _ => there.iter().copied().reduce(f64::max).expect("not empty"),
                })
            }
        };
        result.filter(|value| value.is_finite())
    }
}

#[expect(clippy::float_cmp, reason = "== in an expression is equality, as written")]
fn plain(operator: &str, a: f64, b: f64) -> f64 {
    let truth = match operator {
        "+" => return a + b,
        "-" => return a - b,
        "*" => return a * b,
        "/" => return a / b,
        "^" => return a.powf(b),
        "==" => a == b,
        "!=" => a != b,
        "<" => a < b,
        "<=" => a <= b,
        ">" => a > b,
        ">=" => a >= b,
        "AND" => a != 0.0 && b != 0.0,
        _ => a != 0.0 || b != 0.0,
    };
    if truth { 1.0 } else { 0.0 }
}

const STATES: [AlarmState; 3] = [AlarmState::Alarm, AlarmState::Ok, AlarmState::InsufficientData];
const NAMES: [&str; 3] = ["a", "b c", "d\"e"];

/// A rule written with every parenthesis.
#[derive(Debug, Clone)]
enum Rule {
    State(AlarmState, usize),
    AtLeast { tenths: usize, not: bool, state: AlarmState, alarms: Vec<usize> },
    Not(Box<Rule>),
    Both(Box<Rule>, Box<Rule>),
    Either(Box<Rule>, Box<Rule>),
}

fn rule() -> impl Strategy<Value = Rule> {
    let state = prop::sample::select(STATES.to_vec());
    let leaf = prop_oneof![
        (state.clone(), 0_usize..3).prop_map(|(state, alarm)| Rule::State(state, alarm)),
        (1_usize..=10, any::<bool>(), state, prop::collection::vec(0_usize..3, 1..7))
            .prop_map(|(tenths, not, state, alarms)| Rule::AtLeast { tenths, not, state, alarms }),
    ];
    leaf.prop_recursive(5, 32, 2, |inner| {
        let boxed = inner.prop_map(Box::new);
        prop_oneof![
            boxed.clone().prop_map(Rule::Not),
            (boxed.clone(), boxed.clone()).prop_map(|(a, b)| Rule::Both(a, b)),
            (boxed.clone(), boxed).prop_map(|(a, b)| Rule::Either(a, b)),
        ]
    })
}

impl Rule {
    fn text(&self) -> String {
        let name = |alarm: &usize| format!("\"{}\"", NAMES[*alarm].replace('"', "\\\""));
        match self {
            Rule::State(state, alarm) => format!("{state}({})", name(alarm)),
            Rule::AtLeast { tenths, not, state, alarms } => {
                let names: Vec<String> = alarms.iter().map(name).collect();
                let not = if *not { "NOT " } else { "" };
                format!("AT_LEAST({tenths}0%, {not}{state}, ({}))", names.join(", "))
            }
            Rule::Not(inner) => format!("(NOT {})", inner.text()),
            Rule::Both(a, b) => format!("({} AND {})", a.text(), b.text()),
            Rule::Either(a, b) => format!("({} OR {})", a.text(), b.text()),
        }
    }

    fn holds(&self, states: [AlarmState; 3]) -> bool {
        match self {
            Rule::State(state, alarm) => states[*alarm] == *state,
            Rule::AtLeast { tenths, not, state, alarms } => {
                let holding = alarms.iter().filter(|alarm| (states[**alarm] == *state) ^ *not).count();
                holding * 10 >= tenths * alarms.len()
            }
            Rule::Not(inner) => !inner.holds(states),
            Rule::Both(a, b) => a.holds(states) & b.holds(states),
            Rule::Either(a, b) => a.holds(states) | b.holds(states),
        }
    }
}
