//! The page of a job: Markdown with the verdict, the totals, the worst files and the failures.

use std::fmt::Write;

use crate::report::coverage::{FileTotals, Rendered};
use crate::report::failures::Shown;
use crate::report::html::escape;
use crate::report::patch::Patch;
use crate::report::thresholds::{Missed, percent};

/// Files in the table.
const MOST_FILES: usize = 50;

/// What is on the page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page<'a> {
    pub project: &'a str,
    /// The ending in a word or two, with its mark.
    pub word: &'a str,
    /// The ending in a sentence, without a full stop.
    pub sentence: &'a str,
    /// This is the coverage of a part of the tests.
    pub partial: bool,
    /// What became of the tests, in a line.
    pub tests: &'a str,
    /// How long all of it took, in words.
    pub took: &'a str,
    /// None where nothing was reported.
    pub rendered: Option<&'a Rendered>,
    /// None where nobody asked.
    pub patch: Option<&'a Patch>,
    /// The thresholds that were missed.
    pub missed: &'a [&'a Missed],
    /// The failing tests.
    pub failures: &'a [Shown],
    /// How many there are besides those.
    pub more_failures: usize,
}

/// The page, in not more than `most` bytes: what does not fit is left out, and a sentence says so.
pub(crate) fn render(page: &Page<'_>, most: usize) -> String {
    let blocks = [head(page)].into_iter().chain(files(page)).chain(failures(page));
    let blocks: Vec<String> = blocks.collect();
    let mut out = String::new();
    for (at, block) in blocks.iter().enumerate() {
        let left_out =
            format!("{} parts of this page are left out: see the log.\n\n", blocks.len() - at);
        if out.len() + block.len() + left_out.len() > most {
            if out.len() + left_out.len() <= most {
                out.push_str(&left_out);
            }
            break;
        }
        out.push_str(block);
    }
    out
}

fn head(page: &Page<'_>) -> String {
    let measured = page.rendered.and_then(|it| it.totals.as_ref());
    let what = if measured.is_some() { "Coverage" } else { "Tests" };
    let mut out = format!("## {what} of {}: {}\n\n", plain(page.project), page.word);
    let _ = writeln!(out, "{}.\n\n| | |\n| --- | --- |", plain(page.sentence));
    if let Some(totals) = measured {
        let partly = if page.partial { " (partial)" } else { "" };
        let _ = writeln!(out, "| Coverage | {}%{partly} |", totals.percent_text);
    }
    if let Some(patch) = page.patch {
        let total = patch.total();
        let total = total.strip_prefix("Patch coverage: ").unwrap_or(&total);
        let _ = writeln!(out, "| Patch coverage | {} |", plain(total));
    }
    let _ = writeln!(out, "| Tests | {} |\n| Time | {} |\n", page.tests, page.took);
    if !page.missed.is_empty() {
        out.push_str("### Thresholds missed\n\n");
        for missed in page.missed {
            let _ = writeln!(out, "- {}", plain(&missed.what));
        }
        out.push('\n');
    }
    out
}

/// The files that are not covered entirely, the worst first.
fn files(page: &Page<'_>) -> Option<String> {
    let rendered = page.rendered?;
    let mut worst: Vec<&FileTotals> = rendered.files.iter().collect();
    let whole = worst.len();
    worst.retain(|file| file.percent < 100.0);
    if worst.is_empty() {
        return None;
    }
    worst.sort_by(|a, b| a.percent.total_cmp(&b.percent).then(b.missing.cmp(&a.missing)));
    let mut out =
        "### Files\n\n| File | Statements | Missing | Cover |\n| --- | ---: | ---: | ---: |\n"
            .to_owned();
    for file in worst.iter().take(MOST_FILES) {
        let cover = percent(file.percent, rendered.precision);
        let (path, FileTotals { statements, missing, .. }) = (plain(file.path.as_str()), file);
        let _ = writeln!(out, "| {path} | {statements} | {missing} | {cover} |");
    }
    let more = worst.len().saturating_sub(MOST_FILES);
    let notes = [(more, "more not covered entirely"), (whole - worst.len(), "covered entirely")];
    for (n, what) in notes.into_iter().filter(|(n, _)| *n > 0) {
        let (noun, verb) = if n == 1 { ("file", "is") } else { ("files", "are") };
        let _ = writeln!(out, "\n{n} {noun} {verb} {what}.");
    }
    out.push('\n');
    Some(out)
}

/// A block for each failing test, closed at first.
fn failures<'a>(page: &Page<'a>) -> impl Iterator<Item = String> + use<'a> {
    let heading = (!page.failures.is_empty()).then(|| "### Failures\n\n".to_owned());
    let more = page.more_failures;
    let noun = if more == 1 { "test" } else { "tests" };
    let more = (more > 0).then(|| format!("{more} more failing {noun}: see the log.\n\n"));
    heading.into_iter().chain(page.failures.iter().map(details)).chain(more)
}

fn details(test: &Shown) -> String {
    let Shown { title, text } = test;
    let title = escaped(title);
    // A fence ends at a line with as many ticks as it has.
    let ticks = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(3.max(ticks + 1));
    let text = text.trim_end();
    format!("<details><summary>{title}</summary>\n\n{fence}text\n{text}\n{fence}\n\n</details>\n\n")
}

/// Text that Markdown shows as it is, on one line of a table too.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in escaped(text).chars() {
        if "\\`*_[]|~#".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn escaped(text: &str) -> String {
    escape(text).replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(n: usize, text: &str) -> Shown {
        Shown { title: format!("tests/a.py::t[<{n}>] failed"), text: text.to_owned() }
    }

    fn page<'a>(failures: &'a [Shown], missed: &'a [&'a Missed]) -> Page<'a> {
        Page {
            project: "my_shop",
            word: "✗ tests failed",
            sentence: "2 of 4 tests failed",
            partial: false,
            tests: "2 passed, 2 failed",
            took: "3.2s",
            rendered: None,
            patch: None,
            missed,
            failures,
            more_failures: 1,
        }
    }

    #[test]
    fn a_page_holds_what_tests_print_as_text() {
        let missed = Missed { what: "a|b is less".to_owned(), ..Missed::default() };
        let failures = [shown(1, "```\n</details>\nE assert\n")];
        let wanted = "\
## Tests of my\\_shop: ✗ tests failed

2 of 4 tests failed.

| | |
| --- | --- |
| Tests | 2 passed, 2 failed |
| Time | 3.2s |

### Thresholds missed

- a\\|b is less

### Failures

<details><summary>tests/a.py::t[&lt;1&gt;] failed</summary>

````text
```
</details>
E assert
````

</details>

1 more failing test: see the log.

";
        assert_eq!(render(&page(&failures, &[&missed]), 1 << 20), wanted);
    }

    #[test]
    fn a_page_is_cut_between_its_parts() {
        let failures: Vec<Shown> = (0..20).map(|n| shown(n, &"é\n".repeat(100))).collect();
        let whole = render(&page(&failures, &[]), 1 << 20);
        for most in [0, 20, 300, 2000, 5000, whole.len() - 1] {
            let cut = render(&page(&failures, &[]), most);
            assert!(cut.len() <= most, "{most}: {}", cut.len());
            assert_eq!(cut.matches("<details>").count(), cut.matches("</details>").count());
            assert_eq!(cut.contains("left out: see the log."), most >= 300, "{cut}");
        }
    }
}
