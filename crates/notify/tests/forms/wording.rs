//! What messages say in the cases that are easy to get wrong.

use watchbell_model::{
    AlarmState, Comparison, Datapoint, GroupName, Statistic, Timestamp, Transition, Watched,
};

use super::{burst, message, rule};

/// The burst with other datapoints, a minute apart: `(value, samples)`, breaching if at least 10.
fn with_datapoints(values: &[(f64, u64)], matched: u64, needed: u32) -> Transition {
    let mut transition = burst();
    let last = transition.datapoints[0].start;
    let starts = (0..).map(|i: i64| last.plus_ms(60_000 * (i + 1 - i64::try_from(values.len()).unwrap())));
    let datapoint = |(start, &(value, samples)): (Timestamp, &(f64, u64))| Datapoint {
        start,
        value: Some(value),
        samples,
        breaching: value >= 10.0,
        estimated: false,
    };
    transition.datapoints = starts.zip(values).map(datapoint).collect();
    transition.matched = matched;
    let rule = rule(&mut transition);
    rule.datapoints_to_alarm = needed;
    rule.evaluation_periods = u32::try_from(values.len()).unwrap();
    transition
}

fn happened(transition: &Transition) -> String {
    message(transition).summary().split_once(": ").unwrap().1.to_owned()
}

#[test]
fn values_are_called_matches_only_where_they_count_them() {
    assert_eq!(
        happened(&with_datapoints(&[(11.0, 11), (12.0, 12)], 23, 1)),
        "2 of 2 datapoints >= 10, the last of them 12 matches in 60 s"
    );
    let mut zeros = with_datapoints(&[(11.0, 40), (12.0, 50)], 23, 1);
    zeros.filters[0].default = Some(0.0);
    assert_eq!(happened(&zeros), "2 of 2 datapoints >= 10, the last of them 12 matches in 60 s");
    // Two events that added 11 and 12 are not 23 matches.
    let mut selected = with_datapoints(&[(11.0, 1), (12.0, 1)], 23, 1);
    selected.filters[0].value = "$size".to_owned();
    assert_eq!(happened(&selected), "2 of 2 datapoints >= 10, the last of them Sum 12 in 60 s");
    let mut largest = with_datapoints(&[(12.0, 12)], 12, 1);
    let Watched::Stat(stat) = &mut rule(&mut largest).watched else { panic!() };
    stat.statistic = Statistic::Maximum;
    assert_eq!(happened(&largest), "Maximum 12 in 60 s, threshold >= 10");
}

#[test]
fn one_match_is_one_match() {
    let mut single = with_datapoints(&[(1.0, 1)], 1, 1);
    rule(&mut single).comparison = Comparison::GreaterThanThreshold;
    rule(&mut single).threshold = 0.0;
    assert_eq!(happened(&single), "1 match in 60 s, threshold > 0");
    assert!(message(&single).text(80, false).contains("\n  matched      1 event\n"));
}

#[test]
fn an_ok_speaks_of_the_end_of_an_alarm_only_after_one() {
    let mut ok = with_datapoints(&[(12.0, 12), (3.0, 3), (2.0, 2)], 17, 2);
    ok.to = AlarmState::Ok;
    ok.from = AlarmState::Alarm;
    assert_eq!(happened(&ok), "no longer 2 of 3 datapoints >= 10");
    ok.from = AlarmState::InsufficientData;
    assert_eq!(happened(&ok), "not 2 of 3 datapoints >= 10");
}

#[test]
fn only_the_newest_datapoints_are_listed_for_people_and_all_for_programs() {
    let many = with_datapoints(&[(11.0, 11); 12], 132, 12);
    let text = message(&many).text(80, false);
    assert!(
        text.contains("(2 older ones left out)") && text.contains("21:02:00") && !text.contains("21:01:00"),
        "{text}"
    );
    assert_eq!(message(&many).json()["datapoints"].as_array().unwrap().len(), 12);
}

#[test]
fn a_decision_without_datapoints_still_makes_a_message() {
    let mut bare = burst();
    bare.datapoints.clear();
    bare.filters.clear();
    assert_eq!(happened(&bare), "no datapoints, threshold >= 10");
    assert!(message(&bare).text(80, false).contains("when         2026-11-22 21:11:52.125 UTC\n"));
}

#[test]
fn commands_are_for_files_of_the_filters_own_log_group_each_once() {
    let commands =
        |transition: &Transition| message(transition).json()["look_further"].as_array().unwrap().len();
    let mut transition = burst();
    assert_eq!(commands(&transition), 2, "three lines of two files");
    transition.last_lines[0].group = GroupName::new("shop/other").unwrap();
    assert_eq!(commands(&transition), 1);
    transition.first_lines.iter_mut().for_each(|line| line.stream = "i-0abc".to_owned());
    assert_eq!(commands(&transition), 0);
    let line = transition.first_lines[0].clone();
    let numbered = (0..9).map(|i| (i, line.clone()));
    transition.first_lines = numbered
        .map(|(i, mut line)| {
            line.stream = format!("/var/log/{i}.log");
            line
        })
        .collect();
    assert_eq!(commands(&transition), 5);
    transition.filters[0].pattern = "a\tb".to_owned();
    assert_eq!(commands(&transition), 0, "what must be escaped to be shown cannot be copied");
}

#[test]
fn slack_shows_no_command_that_would_differ_from_the_real_one() {
    let shown = |transition: &Transition| message(transition).slack().to_string().contains("look further");
    let mut transition = burst();
    assert!(shown(&transition));
    transition.filters[0].pattern = "``".to_owned();
    assert!(!shown(&transition));
    transition.filters[0].pattern = "<".repeat(1000);
    assert!(!shown(&transition));
}
