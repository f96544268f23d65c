//! Rules the specification's own cases hardly touch, each with its section.

use watchbell_pattern::{Pattern, PatternKind, Selector, number};

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error} at {:?}", error.span))
}

#[track_caller]
fn holds(text: &str, messages: &[&str]) {
    for message in messages {
        assert!(pattern(text).matches(message), "{text} should match {message:?}");
    }
}

#[track_caller]
fn fails(text: &str, messages: &[&str]) {
    for message in messages {
        assert!(!pattern(text).matches(message), "{text} should not match {message:?}");
    }
}

#[track_caller]
fn extracts(text: &str, message: &str, expected: &[(&str, &str)]) {
    let extracted =
        pattern(text).extract(message).unwrap_or_else(|| panic!("{text} should match {message:?}"));
    let expected = expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    assert_eq!(extracted, expected);
}

fn select(selector: &str, text: &str, message: &str) -> Option<String> {
    let selector =
        Selector::parse(selector, &pattern(text)).unwrap_or_else(|error| panic!("{selector}: {error}"));
    selector.value(message).map(std::borrow::Cow::into_owned)
}

// Section 1: languages.

#[test]
fn the_first_character_tells_the_language() {
    for (text, kind) in [
        ("", PatternKind::MatchAll),
        (" \t\r\n", PatternKind::MatchAll),
        ("\"\"", PatternKind::Terms),
        ("%x%", PatternKind::Terms),
        (" \n{ $.a = 1 }\t", PatternKind::Json),
        ("\r\n [a] ", PatternKind::SpaceDelimited),
    ] {
        assert_eq!(pattern(text).kind(), kind, "{text:?}");
        assert_eq!(pattern(text).as_str(), text);
    }
}

#[test]
fn patterns_are_equal_if_their_texts_are() {
    assert_eq!(pattern("a b"), pattern("a b"));
    assert_ne!(pattern("a b"), pattern("b a"));
    assert_eq!(format!("{:?}", pattern("a b")), "Pattern(\"a b\")");
}

#[test]
fn a_percent_sign_in_quotes_is_no_regex() {
    assert!(pattern("a ?%x%").has_regex());
    assert!(!pattern("\"%a%\" \"%b%\" \"%c%\"").has_regex());
    assert!(pattern("[a = %x%]").has_regex());
    assert!(!pattern("{ $.['%a%'] = \"%x%\" }").has_regex());
}

// Section 2: terms.

#[test]
fn optional_terms_lose_their_effect_beside_any_other() {
    holds("?a ?b", &["a", "b"]);
    fails("?a ?b", &["c", ""]);
    holds("?a b", &["b"]);
    fails("?a b", &["a"]);
    holds("-a ?b", &["c", ""]);
    fails("-a ?b", &["ab"]);
}

#[test]
fn regexes_and_phrases_take_signs() {
    holds("-%^x% a", &["ax"]);
    fails("-%^x% a", &["xa"]);
    holds("?%^x% ?\"y z\"", &["x", "ay z"]);
    fails("?%^x% ?\"y z\"", &["ax", "y  z"]);
    fails("-\"\"", &["", "anything"]);
}

#[test]
fn a_hyphen_inside_a_word_is_text() {
    holds("hello-world -x-y", &["say hello-world"]);
    fails("hello-world", &["hello", "hello world"]);
    fails("hello-world -x-y", &["hello-world x-y"]);
}

#[test]
fn a_backslash_escapes_only_quotes_and_itself() {
    holds(r#""say \"hi\"""#, &[r#"say "hi""#]);
    holds(r#""C:\\dir\new""#, &[r"C:\dir\new"]);
    fails(r#""C:\\dir\new""#, &["C:\\dir\new"]);
}

#[test]
fn white_space_of_any_kind_separates_terms() {
    holds("a\tb\r\nc", &["cba"]);
    fails("a\tb\r\nc", &["ab"]);
    fails("\"a\tb\"", &["a b"]);
}

// Section 3: regexes.

#[test]
fn sets_are_ascii_and_a_dot_is_one_character() {
    fails(r"%^\d$%", &["٣"]);
    fails(r"%^\w$%", &["é"]);
    holds(r"%^\W$%", &["é"]);
    holds("%^caf.$%", &["café"]);
    holds("%^caf[^e]$%", &["café"]);
    fails(r"%^a\sb$%", &["a\u{a0}b"]);
    holds(r"%^a\s\Sb$%", &["a\n\u{a0}b"]);
    holds(r"%^\s+$%", &[" \t\n\x0b\x0c\r"]);
    fails(r"%\S%", &[" \t\n\x0b\x0c\r"]);
}

#[test]
fn a_dot_does_not_match_a_line_feed_and_anchors_do_not_match_at_one() {
    fails("%a.b%", &["a\nb"]);
    holds("%a.b%", &["a\rb"]);
    fails("%^b%", &["a\nb"]);
    fails("%a$%", &["a\n", "a\nb"]);
}

#[test]
fn symbols_in_classes_are_themselves() {
    holds("%^[a-]$%", &["a", "-"]);
    holds("%^[-a]$%", &["a", "-"]);
    holds(r"%^[a\-c]$%", &["a", "-", "c"]);
    fails(r"%^[a\-c]$%", &["b"]);
    holds(r"%^[\[\]\\^$.*+?{}|]$%", &["[", "]", "\\", "^", "$", ".", "*", "+", "?", "{", "}", "|"]);
    fails("%^[.]$%", &["a"]);
    holds("%^[a-a]$%", &["a"]);
    holds(r"%^[\d\-x]$%", &["5", "-", "x"]);
    holds(r"%^[^\D5]$%", &["4"]);
    fails(r"%^[^\D5]$%", &["5", "a"]);
    holds(r"%^[\x41-\x43]$%", &["B"]);
    holds("%^[#:,=@/;_ ]$%", &["#", ":", ",", "=", "@", "/", ";", "_", " "]);
}

#[test]
fn escapes_make_operators_and_listed_symbols_literal() {
    holds(r"%^\^\$\?\[\]\{\}\|\\\*\+\.$%", &["^$?[]{}|\\*+."]);
    holds(r"%^\:\_\#\=\@\/\;\,\-$%", &[":_#=@/;,-"]);
    holds(r"%^a\tb\nc\rd$%", &["a\tb\nc\rd"]);
    holds(r"%^\x25\x28\x29\x21\x2a$%", &["%()!*"]);
    holds("%^]}$%", &["]}"]);
    holds(r"%\xe9%", &["café"]);
}

#[test]
fn repetitions_may_leave_out_a_bound() {
    holds("%^a{2}$%", &["aa"]);
    fails("%^a{2}$%", &["a", "aaa"]);
    holds("%^a{,2}$%", &["", "a", "aa"]);
    fails("%^a{,2}$%", &["aaa"]);
    holds("%^a{0}b$%", &["b"]);
    holds("%^[ab]{2,}?$%", &["abab"]);
    holds("%^[a]{02,003}b%", &["aab", "aaab"]);
    fails("%^[a]{02,003}b%", &["ab", "aaaab"]);
}

#[test]
fn an_alternative_may_be_empty_and_binds_last() {
    holds("%a|%", &["", "b"]);
    holds("%^a|b$%", &["ax", "xb"]);
    fails("%^a|b$%", &["xax"]);
}

#[test]
fn two_regexes_are_allowed_in_a_pattern_of_terms() {
    holds("%^a% %z$%", &["a to z"]);
    fails("%^a% %z$%", &["a"]);
}

// Section 4.1: the event.

#[test]
fn only_a_whole_json_object_is_an_event_for_a_json_pattern() {
    let absent = "{ $.b NOT EXISTS }";
    holds(absent, &["{}", " \t\r\n{ } \n", r#"{"a":"\ud800"}"#]);
    fails(
        absent,
        &[
            "",
            " ",
            "null",
            "1",
            "\"b\"",
            "[]",
            "{",
            "{}}",
            "{} {}",
            "{},",
            "x{}",
            "{a:1}",
            "{'a':1}",
            "{\"a\":01}",
        ],
    );
    fails(
        absent,
        &[
            "{\"a\":1,}",
            "{\"a\":NaN}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\x1f\"}",
            "\u{feff}{}",
            "{\"a\" 1}",
            "{\"a\":+1}",
        ],
    );
}

#[test]
fn the_last_of_a_repeated_key_counts_everywhere() {
    let message = r#"{"a":{"b":1},"a":{"c":2},"l":[1],"l":[2]}"#;
    fails("{ $.a.b = 1 }", &[message]);
    holds("{ $.a.b NOT EXISTS && $.a.c = 2 && $.l[0] = 2 }", &[message]);
    fails("{ $.*[0] = 1 }", &[message]);
    holds("{ $.*[0] = 2 }", &[message]);
    fails("{ $.* = 1 }", &[r#"{"v":1,"v":2}"#, r#"{"v":1,"\u0076":2}"#]);
    assert_eq!(select("$.v", "{ $.v = * }", r#"{"v":1,"v":2}"#), Some("2".to_owned()));
    assert_eq!(select("$.v", "{ $.v NOT EXISTS }", r#"{"v":1,"v":null}"#), None);
}

// Section 4.2: selectors.

#[test]
fn keys_are_compared_by_what_they_stand_for() {
    holds("{ $.a = 1 }", &[r#"{"\u0061":1}"#]);
    holds(r#"{ $.["a\"b"] = 1 }"#, &[r#"{"a\"b":1}"#]);
    holds(r"{ $.['a\'b\\'] = 1 }", &[r#"{"a'b\\":1}"#]);
    holds("{ $.[''] = 1 }", &[r#"{"":1}"#]);
    holds("{ $.['naïve ]'] = 1 }", &[r#"{"naïve ]":1}"#]);
    fails("{ $.a = 1 }", &[r#"{"A":1}"#]);
}

#[test]
fn an_index_is_for_arrays_and_a_name_for_objects() {
    fails("{ $.a[0] = 1 }", &[r#"{"a":{"0":1}}"#, r#"{"a":1}"#, r#"{"a":[]}"#]);
    fails("{ $.a.0 = 1 }", &[r#"{"a":[1]}"#]);
    holds("{ $.a.0 = 1 }", &[r#"{"a":{"0":1}}"#]);
    holds("{ $.a[00] = 1 }", &[r#"{"a":[1]}"#]);
    holds("{ $.a.[1][0] = 1 }", &[r#"{"a":[0,[1]]}"#]);
    fails("{ $.[0] = 1 }", &[r#"{"0":1}"#]);
    fails("{ $.a[''] = 1 }", &[r#"{"a":[1]}"#]);
}

#[test]
fn a_wildcard_reaches_direct_children_and_any_of_them_will_do() {
    holds("{ $.a[*] != 1 }", &[r#"{"a":[1,2]}"#]);
    fails("{ $.a[*] != 1 }", &[r#"{"a":[1,1]}"#, r#"{"a":[]}"#, r#"{"a":1}"#, r#"{"a":[null,[2]]}"#]);
    holds("{ $.*.b = 1 }", &[r#"{"x":0,"y":{"b":1}}"#]);
    fails("{ $.*.b = 1 }", &[r#"{"x":{"y":{"b":1}}}"#]);
    holds("{ $.a[*] NOT EXISTS }", &[r#"{"a":[]}"#, r#"{"a":{}}"#, r#"{"a":1}"#, "{}"]);
    fails("{ $.a[*] NOT EXISTS }", &[r#"{"a":[null]}"#, r#"{"a":{"b":0}}"#]);
    holds("{ $.a[*] IS NULL }", &[r#"{"a":[1,null]}"#, r#"{"a":[[null]]}"#]);
}

#[test]
fn three_wildcards_are_allowed_and_stars_in_values_do_not_count() {
    holds("{ $.* = \"*a*b*\" || $.a[*] = * || $.*.b = 4* }", &[r#"{"x":"xaxbx"}"#]);
}

// Section 4.3: comparisons.

#[test]
fn numbers_are_compared_by_value_and_exactly() {
    holds("{ $.v = 9007199254740993 }", &[r#"{"v":9007199254740993}"#, r#"{"v":9007199254740993.0}"#]);
    fails("{ $.v = 9007199254740993 }", &[r#"{"v":9007199254740992}"#]);
    holds("{ $.v = 0 }", &[r#"{"v":-0.0}"#, r#"{"v":0e9}"#]);
    holds("{ $.v > 1e308 }", &[r#"{"v":1e309}"#]);
    holds("{ $.v = +5 }", &[r#"{"v":5}"#, r#"{"v":"+5"}"#]);
    fails("{ $.v = +5 }", &[r#"{"v":"5"}"#]);
    holds("{ $.v >= 1 && $.v <= 1 && $.v < 1.1 && $.v > 0.9 }", &[r#"{"v":1.00}"#]);
}

#[test]
fn text_is_compared_with_a_number_as_it_is_spelled() {
    holds("{ $.v = \"1.0\" }", &[r#"{"v":1.0}"#, r#"{"v":"1.0"}"#]);
    fails("{ $.v != \"1\" }", &[r#"{"v":1}"#]);
    holds("{ $.v != \"1\" }", &[r#"{"v":1.0}"#]);
    holds("{ $.v = 1*0 }", &[r#"{"v":1000}"#]);
    holds("{ $.v = %^1e% }", &[r#"{"v":1e3}"#]);
    fails("{ $.v != %^1e% }", &[r#"{"v":1e3}"#, r#"{"v":true}"#, r#"{"v":null}"#]);
}

#[test]
fn a_star_stands_for_any_text_anywhere() {
    holds("{ $.v = a*b*c }", &[r#"{"v":"abc"}"#, r#"{"v":"a--b\nbc c"}"#]);
    fails("{ $.v = a*b*c }", &[r#"{"v":"acb"}"#, r#"{"v":"xabc"}"#, r#"{"v":"abcd"}"#]);
    holds("{ $.v = \"*\" }", &[r#"{"v":""}"#, r#"{"v":0}"#]);
    fails("{ $.v = \"*\" }", &[r#"{"v":[]}"#, r#"{"v":{}}"#, r#"{"v":false}"#]);
    fails("{ $.v != * }", &[r#"{"v":0}"#, "{}"]);
}

#[test]
fn strings_are_compared_unescaped() {
    holds("{ $.v = \"naïve é😀\" }", &[r#"{"v":"na\u00efve \u00E9\ud83d\ude00"}"#]);
    holds(r#"{ $.v = "a\\b" }"#, &[r#"{"v":"a\\b"}"#]);
    holds("{ $.v = %^a\\tb$% }", &[r#"{"v":"a\tb"}"#]);
    holds("{ $.v = \"a/b\" }", &[r#"{"v":"a\/b"}"#]);
}

#[test]
fn bare_words_are_text_even_if_they_look_like_keywords() {
    holds(
        "{ $.v = IS || $.v = true || $.v = NULL }",
        &[r#"{"v":"IS"}"#, r#"{"v":"true"}"#, r#"{"v":"NULL"}"#],
    );
    fails("{ $.v = IS || $.v = true || $.v = NULL }", &[r#"{"v":true}"#, r#"{"v":null}"#]);
    holds("{ $.v = 1.2.3 || $.v = - }", &[r#"{"v":"1.2.3"}"#, r#"{"v":"-"}"#]);
}

// Section 4: grammar.

#[test]
fn white_space_between_tokens_is_free() {
    holds("{$.a=1&&($.b!=2||$.c IS\tTRUE)&&$.d NOT\n EXISTS}", &[r#"{"a":1,"b":3}"#, r#"{"a":1,"c":true}"#]);
    holds("{ ( ( $.a  >=\n1 ) ) }", &[r#"{"a":1}"#]);
    holds("{ $.a[0]IS NULL&&$.['b']NOT EXISTS }", &[r#"{"a":[null]}"#]);
}

#[test]
fn and_binds_tighter_than_or_on_either_side() {
    let text = "{ $.a = 1 && $.b = 1 || $.c = 1 && $.d = 1 }";
    holds(text, &[r#"{"a":1,"b":1}"#, r#"{"c":1,"d":1}"#]);
    fails(text, &[r#"{"a":1,"d":1}"#, r#"{"b":1,"c":1}"#]);
}

// Section 5: space-delimited patterns.

#[test]
fn an_empty_list_and_an_ellipsis_alone_differ_on_an_empty_line() {
    fails("[]", &["", " \t "]);
    holds("[]", &["x"]);
    holds("[...]", &["", "x y"]);
    fails("[a]", &["", "  "]);
    fails("[a, ...]", &[""]);
}

#[test]
fn the_last_field_takes_the_raw_rest_only_if_tokens_are_left_over() {
    extracts("[a, b]", "x [y z]", &[("$a", "x"), ("$b", "y z")]);
    extracts("[a, b]", "x [y z]  \"w\" \t\r\n", &[("$a", "x"), ("$b", "[y z]  \"w\"")]);
    extracts("[a,]", "x y z ", &[("$a", "x"), ("$2", "y z")]);
    extracts("[a]", "  \"x y\"  ", &[("$a", "x y")]);
    // Only ASCII white space separates and is cut.
    extracts("[a]", "x\u{a0}y", &[("$a", "x\u{a0}y")]);
    extracts("[a]", "\"x\"\u{a0} y\u{a0}", &[("$a", "\"x\"\u{a0} y\u{a0}")]);
    extracts("[a, b]", "\"x\"\u{a0} y", &[("$a", "\"x\"\u{a0}"), ("$b", "y")]);
    holds("[a = 12]", &[" 12 "]);
    fails("[a, b > 1]", &["x 5 6"]);
}

#[test]
fn empty_entries_are_unnamed_fields_that_need_a_token() {
    extracts("[, b, ]", "x y z", &[("$1", "x"), ("$b", "y"), ("$3", "z")]);
    fails("[, b, ]", &["x y"]);
    extracts("[ , ]", "x y z", &[("$1", "x"), ("$2", "y z")]);
    extracts("[..., ]", "x y", &[("$1", "x"), ("$2", "y")]);
    extracts("[a, ..., ]", "x y", &[("$a", "x"), ("$2", "y")]);
}

#[test]
fn conditions_test_numbers_as_numbers_and_the_rest_as_text() {
    holds("[a = 1]", &["1", "1.0", "+1", "01", "1e0"]);
    fails("[a = 1]", &["1.", "one", "\"1 \""]);
    holds("[a = \"1\"]", &["1", "[1]"]);
    fails("[a = \"1\"]", &["1.0"]);
    holds("[a >= 1 && a < 2.5]", &["2", "2.49", "\"2\""]);
    fails("[a >= 1 && a < 2.5]", &["2.5", "x", "0"]);
    holds("[a != 1]", &["-", "true", "null"]);
    holds("[a = \"\"]", &["\"\"", "[]"]);
    holds("[a = *x*]", &["\"a x b\""]);
}

#[test]
fn quotes_brackets_commas_and_regexes_may_stand_in_a_condition() {
    holds("[a = \"x],y\", b]", &["\"x],y\" z"]);
    holds("[a = %[,]%, b]", &["x,y z"]);
    holds("[(a=x || a=y) && (a!=y), b]", &["x 1"]);
    fails("[(a=x || a=y) && (a!=y), b]", &["y 1"]);
}

#[test]
fn names_are_case_sensitive_and_may_be_digits() {
    extracts("[a, A]", "x y", &[("$a", "x"), ("$A", "y")]);
    extracts("[request-id, 404]", "x y", &[("$request-id", "x"), ("$404", "y")]);
    // A name that reads as another field's position wins over it, in the map and for a selector.
    extracts("[2, ]", "x y", &[("$2", "x")]);
    assert_eq!(select("$2", "[2, ]", "x y"), Some("x".to_owned()));
}

// Section 6: selectors for values.

#[test]
fn only_numbers_and_strings_of_the_event_have_a_value() {
    let any = "{ $.x NOT EXISTS }";
    for (message, value) in [
        (r#"{"v":1.50}"#, Some("1.50")),
        (r#"{"v":"\u0061"}"#, Some("a")),
        (r#"{"v":""}"#, Some("")),
        (r#"{"v":true}"#, None),
        (r#"{"v":null}"#, None),
        (r#"{"v":{}}"#, None),
        (r#"{"v":[1]}"#, None),
        ("{}", None),
        ("v", None),
    ] {
        assert_eq!(select("$.v", any, message).as_deref(), value, "{message}");
    }
}

#[test]
fn a_position_is_counted_as_the_pattern_lines_the_event_up() {
    assert_eq!(select("$2", "[a, , c]", "x y z w"), Some("y".to_owned()));
    assert_eq!(select("$c", "[a, , c]", "x y z w"), Some("z w".to_owned()));
    assert_eq!(select("$a", "[a, , c]", "x y"), None);
    assert_eq!(select("$2", "[a, ..., z]", "x y z"), Some("y".to_owned()));
    // The second token has the name z here, and a named token has no position.
    assert_eq!(select("$2", "[a, ..., z]", "x z"), None);
    assert_eq!(select("$z", "[a, ..., z]", "x y \"z z\""), Some("z z".to_owned()));
    assert_eq!(select("$9", "[]", "x y"), None);
    assert_eq!(select("$2", "[]", "x \"y y\""), Some("y y".to_owned()));
}

#[test]
fn the_selected_text_says_whether_it_is_a_number() {
    let value = select("$b", "[a, b]", "x 1e3").expect("two tokens");
    assert_eq!(number(&value), Some(1000.0));
    assert_eq!(number("12ms"), None);
}
