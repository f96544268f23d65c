//! What expressions give: `cases/math.txt`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use watchbell_expression::MetricMath;

#[test]
fn every_expression_gives_its_values() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/math.txt");
    let cases = std::fs::read_to_string(file).expect("the file of cases");
    let mut metrics: Vec<(String, Vec<Option<f64>>)> = Vec::new();
    let mut wrong = String::new();
    for line in cases.lines() {
        if line.starts_with('#') {
            continue;
        }
        if line.is_empty() {
            metrics.clear();
        } else if let Some((expression, expected)) = line.split_once("=> ") {
            let got = evaluate(expression, &metrics);
            let expected = values(expected);
            let near = |(got, expected): (&Option<f64>, &Option<f64>)| match (got, expected) {
                (Some(got), Some(expected)) => (got - expected).abs() <= 1e-12 * expected.abs(),
                (got, expected) => got == expected,
            };
            if got.len() != expected.len() || !got.iter().zip(&expected).all(near) {
                writeln!(wrong, "{expression}\n  expected {expected:?}\n  got      {got:?}")
                    .expect("writing to a string");
            }
        } else if let Some((id, series)) = line.split_once(": ") {
            metrics.push((id.to_owned(), values(series)));
        } else {
            panic!("neither a metric nor a case: {line}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn evaluate(expression: &str, metrics: &[(String, Vec<Option<f64>>)]) -> Vec<Option<f64>> {
    let ids: Vec<&str> = metrics.iter().map(|(id, _)| id.as_str()).collect();
    let series: BTreeMap<&str, &[Option<f64>]> =
        metrics.iter().map(|(id, series)| (id.as_str(), series.as_slice())).collect();
    let parsed = MetricMath::parse(expression, &ids).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let printed = parsed.to_string();
    assert_eq!(
        MetricMath::parse(&printed, &ids).as_ref(),
        Ok(&parsed),
        "{expression} is printed as {printed}"
    );
    parsed.evaluate(metrics[0].1.len(), 60, &|id| series[id])
}

fn values(text: &str) -> Vec<Option<f64>> {
    let value = |word: &str| (word != "-").then(|| word.parse().expect("a number"));
    text.split_whitespace().map(value).collect()
}

#[test]
fn ids_stand_in_the_order_of_the_text_with_their_places() {
    let text = "IF(b > 1, SUM(METRICS(\"m\")) / a, b)";
    let math = MetricMath::parse(text, &["m1", "x", "m2"]).unwrap();
    let ids: Vec<(&str, &str)> =
        math.ids().iter().map(|id| (id.name.as_str(), &text[id.span.clone()])).collect();
    assert_eq!(ids, [("b", "b"), ("m1", "METRICS(\"m\")"), ("m2", "METRICS(\"m\")"), ("a", "a"), ("b", "b")]);
}

#[test]
fn an_expression_is_printed_with_few_parentheses() {
    for (written, printed) in [
        ("((m1))+(2*3)", "m1 + 2 * 3"),
        ("(m1+2)*3", "(m1 + 2) * 3"),
        ("m1-(2-3)", "m1 - (2 - 3)"),
        ("(m1-2)-3", "m1 - 2 - 3"),
        ("(2^3)^m1", "(2 ^ 3) ^ m1"),
        ("2^(3^m1)", "2 ^ 3 ^ m1"),
        ("(-m1)^2", "(-m1) ^ 2"),
        ("-(m1^2)", "-m1 ^ 2"),
        ("2^-(m1)", "2 ^ -m1"),
        ("-(m1*2)", "-(m1 * 2)"),
        ("(m1<2)==(m1>3)", "(m1 < 2) == (m1 > 3)"),
        ("m1<2&&(m1>0||0)", "m1 < 2 AND (m1 > 0 OR 0)"),
        ("1e300*m1+1e-300", "1e300 * m1 + 1e-300"),
        ("SUM( [m1,METRICS( \"m\" )] )", "SUM([m1, METRICS(\"m\")])"),
        ("FILL(IF(m1,1),REPEAT)", "FILL(IF(m1, 1), REPEAT)"),
    ] {
        assert_eq!(MetricMath::parse(written, &["m1"]).map(|math| math.to_string()).as_deref(), Ok(printed));
    }
}

#[test]
fn only_a_number_for_all_slots_is_a_scalar() {
    let is_scalar = |text| MetricMath::parse(text, &["m1"]).unwrap().is_scalar();
    for scalar in ["5", "SUM(m1)", "AVG(m1) / 2", "PERIOD(m1)", "-MAX(m1)", "IF(1, 2, 3)", "1 < 2"] {
        assert!(is_scalar(scalar), "{scalar}");
    }
    for series in ["m1", "m1 / 2", "SUM([m1])", "TIME_SERIES(5)", "IF(1, 2, m1)", "IF(m1, 2)", "FILL(m1, 0)"]
    {
        assert!(!is_scalar(series), "{series}");
    }
}

#[test]
fn the_limits_hold_on_both_sides() {
    let fits = format!("1{}", " ".repeat(2047));
    assert!(MetricMath::parse(&fits, &[]).is_ok());
    let error = MetricMath::parse(&format!("{fits}é"), &[]).unwrap_err();
    assert_eq!(error.span, 2048..2050);

    for (open, close) in [("(", ")"), ("ABS(", ")"), ("[", "]"), ("-", ""), ("2^", ""), ("IF(1,", ")")] {
        let nested = |depth: usize| format!("MAX([{}m1{}])", open.repeat(depth), close.repeat(depth));
        assert!(MetricMath::parse(&nested(126), &[]).is_ok(), "{open}");
        let error = MetricMath::parse(&nested(127), &[]).unwrap_err();
        assert_eq!(error.message, "nested deeper than 128", "{open}");
    }
}

#[test]
fn the_longest_chain_is_evaluated() {
    let text = format!("m{}", "+m".repeat(1023));
    let math = MetricMath::parse(&text, &["m"]).unwrap();
    assert_eq!(math.evaluate(1, 60, &|_| &[Some(1.0)]), [Some(1024.0)]);
    assert_eq!(math.to_string().len(), 1 + 4 * 1023);
}
