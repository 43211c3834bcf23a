//! Text and numbers as a page wants them.

use std::borrow::Cow;

use camino::{Utf8Component, Utf8Path};

/// Text for HTML, in attributes too. Colours of terminals are left out; other control characters,
/// which a browser would drop or obey, become pictures.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Text in which every character shows; line breaks and tabs stay.
pub(super) fn visible(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => c,
        '\0'..='\x1f' => char::from_u32(0x2400 + c as u32).unwrap_or(c),
        '\x7f' => '␡',
        // What turns the direction of the text around it.
        '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    };
    console::strip_ansi_codes(text).replace("\r\n", "\n").chars().map(shown).collect()
}

/// A name on one line, and of one that is very long both ends.
pub(super) fn name(id: &str) -> Cow<'_, str> {
    const MOST: usize = 400;
    // Most are plain, and a page has one for each test.
    if id.len() <= MOST && id.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(id);
    }
    cut(&visible(id).replace('\n', "␊").replace('\t', "␉"), MOST).replace('\n', " ").into()
}

/// Of a long text both ends: at most `limit` bytes, and a line that says so.
pub(super) fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let boundary = |at: &usize| text.is_char_boundary(*at);
    let head = (0..=limit / 2).rev().find(boundary).unwrap_or_default();
    let tail = (text.len() - limit / 2..text.len()).find(boundary).unwrap_or(text.len());
    format!("{}\n[{} bytes left out]\n{}", &text[..head], tail - head, &text[tail..])
}

/// `11,433`.
pub(super) fn thousands(n: u64) -> String {
    match n {
        0..1000 => n.to_string(),
        _ => format!("{},{:03}", thousands(n / 1000), n % 1000),
    }
}

/// `1 test`, `11,433 tests`.
pub(super) fn count(n: usize, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(n as u64))
}

/// `4 ms`, `0.25 s`, `12.3 s`, `3 min 05 s`.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        ..0.1 => format!("{:.0} ms", 1000.0 * seconds),
        ..1.0 => format!("{seconds:.2} s"),
        ..100.0 => format!("{seconds:.1} s"),
        _ => {
            let whole = seconds.round() as u64;
            format!("{} min {:02} s", whole / 60, whole % 60)
        }
    }
}

/// One digit after the point; neither 0 nor 100 where it is not that.
pub(super) fn percent(percent: f64) -> String {
    let shown = match percent {
        p if p > 0.0 && p < 0.1 => 0.1,
        p if p < 100.0 && p > 99.9 => 99.9,
        p => p,
    };
    format!("{shown:.1}")
}

/// How a page in `folder` refers to a file; both absolute.
pub(super) fn link(folder: &Utf8Path, file: &Utf8Path) -> String {
    let names = |path: &Utf8Path| -> Vec<String> {
        path.components().map(|it: Utf8Component<'_>| it.as_str().to_owned()).collect()
    };
    let (from, to) = (names(folder), names(file));
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - common);
    let down = to[common..].iter().map(|name| percent_encoded(name));
    up.chain(down).collect::<Vec<_>>().join("/")
}

fn percent_encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    name.bytes().map(one).collect()
}
