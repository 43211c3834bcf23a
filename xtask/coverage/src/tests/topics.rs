//! What `help` says about topics, and the documents that have the same text.
//! `UPDATE_TOPICS=1 cargo test -p xtask-coverage --lib tests::topics` writes them anew.

use std::fs;

use camino::Utf8PathBuf;

use super::repository;
use crate::cli::{TOPICS, topic};

/// Where the text of a topic stands: a document, what is before it, and what is after.
fn places() -> [(&'static str, &'static str, &'static str, &'static str); 4] {
    [
        ("exit-codes", "README.md", "## Exit codes\n\n", "\n## "),
        (
            "configuration",
            "docs/configuration.md",
            "<!-- configuration -->\n",
            "<!-- /configuration -->",
        ),
        ("environment", "docs/configuration.md", "<!-- environment -->\n", "<!-- /environment -->"),
        ("files", "docs/configuration.md", "<!-- files -->\n", "<!-- /files -->"),
    ]
}

fn document(name: &str) -> Utf8PathBuf {
    repository().join(name)
}

#[test]
fn documents_say_what_help_says() {
    for (name, file, begin, end) in places() {
        let text = fs::read_to_string(document(file)).expect(file);
        let (before, rest) = text.split_once(begin).expect("its beginning");
        let at = rest.find(end).expect("its end");
        let current = topic(name).expect("a topic");
        if std::env::var_os("UPDATE_TOPICS").is_some() {
            let text = format!("{before}{begin}{current}{}", &rest[at..]);
            fs::write(document(file), text).expect("a document");
        } else {
            let how = "UPDATE_TOPICS=1 cargo test -p xtask-coverage --lib tests::topics";
            assert_eq!(&rest[..at], current, "{name} in {file}: {how}");
        }
    }
    assert_eq!(places().map(|(name, ..)| name), TOPICS);
}
