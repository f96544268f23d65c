//! Texts in scripts and units, where nothing in them means anything.

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Letters in a line of [`packed`].
const COLUMNS: usize = 120;

/// A text as one word of a shell.
///
/// Two opening braces never stand together, because Systems Manager looks for parameters there.
pub(super) fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''").replace('{', "{''"))
}

/// A text as one argument in a line of a systemd unit.
///
/// Source: systemd.service(5), "Command lines"; systemd.syntax(7), "Quoting".
pub(super) fn systemd(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '$' | '%' => quoted.extend([character, character]),
            _ if character.is_ascii_control() => {
                write!(quoted, "\\x{:02x}", u32::from(character)).expect("a String takes everything");
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// A text, smaller, in letters that mean nothing to anyone: gzip and Base64 in lines, with a line end.
///
/// The same for the same text: there is no time in it.
pub(super) fn packed(text: &str) -> String {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).expect("a Vec takes everything");
    let letters = BASE64_STANDARD.encode(encoder.finish().expect("a Vec takes everything"));
    let mut lines = String::new();
    for line in letters.as_bytes().chunks(COLUMNS) {
        lines.push_str(str::from_utf8(line).expect("Base64 is ASCII"));
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_takes_a_text_as_it_is() {
        for text in ["", "a b", "it's", "$(id) `id` \\ \" {{ x }} {{{{", "-n", "a\nb"] {
            let word = shell(text);
            assert!(!word.contains("{{"), "{word}");
            let script = format!("printf %s {word}");
            let output = Command::new("bash").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }

    #[test]
    fn systemd_takes_an_argument_as_it_is() {
        assert_eq!(systemd("a b"), r#""a b""#);
        assert_eq!(systemd("100% $HOME \\ \"\n"), r#""100%% $$HOME \\ \"\x0a""#);
    }

    #[test]
    fn what_is_packed_has_no_time_in_it() {
        let header = BASE64_STANDARD.decode(&packed("x")[..16]).unwrap();
        assert_eq!(header[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
    }
}
