//! Text and numbers as a page wants them.

use std::borrow::Cow;

use camino::{Utf8Component, Utf8Path};

use crate::report::html::visible;

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
pub(in crate::report) fn link(folder: &Utf8Path, file: &Utf8Path) -> String {
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
