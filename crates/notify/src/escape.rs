//! Making text that anybody may have written safe to show: on a terminal, and in Slack.
//!
//! Promise: nothing is cut inside a character, an escape or an entity.

/// Stands where text was cut.
pub(crate) const CUT: char = '…';

/// A zero-width space: between two backticks it keeps them from closing a code block.
const APART: char = '\u{200b}';

/// `text` with every character that could steer a terminal or hide on it written out: `\n`, `\u{1b}`, `\u{202e}`.
///
/// Backslashes stay as they are: this is for reading, not for reading back.
pub fn visible(text: &str) -> String {
    cut_pieces(text.chars().map(visible_character), usize::MAX)
}

/// [`visible`], and cut to at most `width` characters.
pub fn visible_cut(text: &str, width: usize) -> String {
    cut_pieces(text.chars().map(visible_character), width)
}

/// `text` for Slack's mrkdwn: visible, `& < >` as entities, cut to at most `width` UTF-16 units.
///
/// Without `<` there is no `<!here>`, no `<@user>` and no link with a false label.
/// Source: Slack, Formatting text for app surfaces, "Escaping text".
pub(crate) fn mrkdwn(text: &str, width: usize) -> String {
    cut_pieces(text.chars().map(mrkdwn_character), width)
}

/// `text` as a mrkdwn code block of at most `width` UTF-16 units, fences included. Its line feeds stay; no two
/// backticks stand together, so nothing in it can close the block.
pub(crate) fn mrkdwn_code(text: &str, width: usize) -> String {
    const FENCES: usize = "```\n\n```".len();
    let mut after_backtick = false;
    let pieces = text.chars().map(|character| {
        let close = after_backtick && character == '`';
        after_backtick = character == '`';
        match character {
            '\n' => "\n".to_owned(),
            _ if close => format!("{APART}`"),
            _ => mrkdwn_character(character),
        }
    });
    format!("```\n{}\n```", cut_pieces(pieces, width.saturating_sub(FENCES)))
}

/// Whether [`visible`] leaves `text` as it is.
pub(crate) fn is_visible(text: &str) -> bool {
    !text.chars().any(steers)
}

fn visible_character(character: char) -> String {
    if steers(character) { character.escape_default().to_string() } else { character.to_string() }
}

fn steers(character: char) -> bool {
    character.is_control() || is_hidden(character)
}

/// Characters that change the order of others or show nothing: with them a line can look like another.
fn is_hidden(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn mrkdwn_character(character: char) -> String {
    match character {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        _ => visible_character(character),
    }
}

/// Joins whole pieces up to `width` UTF-16 units (never fewer than characters); a cut is marked within the width.
fn cut_pieces(pieces: impl Iterator<Item = String>, width: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    // The end of the longest text that leaves room for the mark.
    let mut end_with_room = 0;
    for piece in pieces {
        used += piece.encode_utf16().count();
        if used > width {
            out.truncate(end_with_room);
            out.extend((width > 0).then_some(CUT));
            return out;
        }
        out.push_str(&piece);
        if used < width {
            end_with_room = out.len();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_and_line_feeds_are_shown_not_obeyed() {
        assert_eq!(visible("\x1b[2Jgone\r\nFAKE\u{9b}31m\u{7f}"), r"\u{1b}[2Jgone\r\nFAKE\u{9b}31m\u{7f}");
        assert_eq!(visible("a\u{202e}cod.exe\u{feff}"), r"a\u{202e}cod.exe\u{feff}");
        assert_eq!(visible(r"Grüße 日本 \d"), r"Grüße 日本 \d");
    }

    #[test]
    fn a_cut_falls_between_characters_and_counts_its_mark() {
        assert_eq!(visible_cut("äöüß", 4), "äöüß");
        assert_eq!(visible_cut("äöüß!", 4), "äöü…");
        assert_eq!(visible_cut("ab\x1bcd", 5), "ab…");
        assert_eq!(visible_cut("abc", 0), "");
        assert_eq!(visible_cut("", 0), "");
    }

    #[test]
    fn mrkdwn_loses_mentions_links_and_never_half_an_entity() {
        assert_eq!(mrkdwn("<!here> & <@U1>", 99), "&lt;!here&gt; &amp; &lt;@U1&gt;");
        assert_eq!(mrkdwn("aa<b", 6), "aa…");
    }

    #[test]
    fn backticks_cannot_close_a_code_block() {
        let block = mrkdwn_code("``````x`", 99);
        let inside = block.strip_prefix("```\n").unwrap().strip_suffix("\n```").unwrap();
        assert!(!inside.contains("``"), "{inside:?}");
        assert_eq!(inside.matches('`').count(), 7);
    }

    proptest! {
        #[test]
        fn no_form_exceeds_its_width(text: String, width in 8_usize..60) {
            prop_assert!(visible_cut(&text, width).chars().count() <= width);
            prop_assert!(mrkdwn(&text, width).encode_utf16().count() <= width);
            prop_assert!(mrkdwn_code(&text, width).encode_utf16().count() <= width);
        }

        #[test]
        fn visible_text_has_nothing_to_steer_with(text: String) {
            prop_assert!(is_visible(&visible(&text)));
        }
    }
}
