//! Colours, where a stream gets them.

/// Whether a stream gets colours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(pub(super) bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// For what went well.
    pub(crate) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    /// For what went wrong.
    pub(crate) fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    /// For what deserves a second look.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    /// For headings.
    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// For what may be passed over.
    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }
}
