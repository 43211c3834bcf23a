//! `--junit FILE`: the tests of a run as JUnit XML, with the names, messages and attributes that
//! pytest's own junitxml gives them, so that what reads those files reads these. Attempts that
//! were repeated are written as Maven's Surefire does. Pure.

use std::borrow::Cow;
use std::time::SystemTime;

use anyhow::{Context, Result};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use crate::model::{Case, Ending, NodeId, PhaseSeconds};
use crate::model::{Failure, Phase};

/// A whole file.
#[derive(Clone, Debug)]
pub(crate) struct Suite<'a> {
    /// pytest's `junit_suite_name`.
    pub name: &'a str,
    /// Where the project is, if there are several.
    pub within: Option<Within<'a>>,
    /// pytest's `junit_family` is `xunit1`: tests have the attribute `file`.
    pub files: bool,
    /// When the run began.
    pub began: SystemTime,
    /// How long it took.
    pub seconds: f64,
    /// What there is to know of a run that is not whole: names and values.
    pub properties: Vec<(&'a str, String)>,
    /// The tests.
    pub cases: Vec<Case<'a>>,
}

/// One of several projects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Within<'a> {
    /// What the project is called.
    pub project: &'a str,
    /// Where its node ids begin, from the top of the repository: classes and files are named from
    /// there. Empty at the top.
    pub rootdir: &'a str,
}

/// The text of the file.
pub(crate) fn render(suite: &Suite<'_>) -> Result<String> {
    let text = written(|xml| {
        xml.0.write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
        xml.element("testsuites", SUITES, |xml| xml.suite(suite))
    });
    Ok(text? + "\n")
}

/// The element of one suite, to be joined with others.
pub(crate) fn element(suite: &Suite<'_>) -> Result<String> {
    written(|xml| xml.suite(suite))
}

/// The text of a file with the elements of several suites.
pub(crate) fn joined<'a>(elements: impl IntoIterator<Item = &'a str>) -> Result<String> {
    let text = written(|xml| {
        xml.0.write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
        xml.element("testsuites", SUITES, |xml| {
            let mut all = elements.into_iter();
            // They are XML already.
            all.try_for_each(|it| {
                xml.0.write_event(Event::Text(BytesText::from_escaped(format!("\n{it}\n"))))
            })
        })
    });
    Ok(text? + "\n")
}

const SUITES: &[(&str, &str)] = &[("name", "pytest tests")];

fn written(write: impl FnOnce(&mut Xml) -> std::io::Result<()>) -> Result<String> {
    let mut xml = Xml(Writer::new_with_indent(Vec::new(), b' ', 2));
    write(&mut xml).context("failed to write JUnit XML")?;
    String::from_utf8(xml.0.into_inner()).context("failed to write JUnit XML")
}

struct Xml(Writer<Vec<u8>>);

impl Xml {
    fn suite(&mut self, suite: &Suite<'_>) -> std::io::Result<()> {
        let nodes: Vec<Node<'_>> = suite.cases.iter().flat_map(nodes).collect();
        let count = |tag: &str| {
            let tags = nodes.iter().flat_map(|node| &node.results).map(|result| result.tag);
            tags.filter(|it| *it == tag).count().to_string()
        };
        let name = suite.within.map_or(suite.name, |it| it.project);
        let attributes = [
            ("name", name),
            ("errors", &count("error")),
            ("failures", &count("failure")),
            ("skipped", &count("skipped")),
            ("tests", &nodes.len().to_string()),
            ("time", &seconds(suite.seconds)),
            ("timestamp", &humantime::format_rfc3339_millis(suite.began).to_string()),
        ];
        self.element("testsuite", &attributes, |xml| {
            let properties = suite.properties.iter();
            xml.properties(properties.map(|(name, value)| (*name, value.as_str())))?;
            nodes.iter().try_for_each(|node| xml.node(node, suite))
        })
    }

    fn node(&mut self, node: &Node<'_>, suite: &Suite<'_>) -> std::io::Result<()> {
        let (classname, name) = NodeId(node.case.id).junit_names();
        let rootdir = suite.within.map_or("", |it| it.rootdir);
        let classname = within(&rootdir.replace('/', "."), '.', &classname);
        let time = node.seconds.map(seconds);
        let mut attributes = vec![("classname", classname.as_str()), ("name", name.as_str())];
        let file = NodeId(node.case.id).file();
        let file = within(rootdir, '/', file);
        attributes.extend(suite.files.then_some(("file", file.as_str())));
        attributes.extend(time.as_deref().map(|time| ("time", time)));
        self.element("testcase", &attributes, |xml| {
            let properties = node.case.properties.iter();
            xml.properties(properties.map(|(name, value)| (name.as_str(), value.as_str())))?;
            node.results.iter().try_for_each(|result| xml.result(result))?;
            node.attempts.iter().try_for_each(|(tag, attempt)| xml.attempt(tag, attempt))?;
            node.failures.last().map_or(Ok(()), |failure| xml.output(failure))
        })
    }

    fn result(&mut self, result: &Outcome<'_>) -> std::io::Result<()> {
        let mut attributes = vec![("message", result.message.as_ref())];
        attributes.extend(result.kind.map(|kind| ("type", kind)));
        self.text(result.tag, &attributes, result.text)
    }

    fn attempt(&mut self, tag: &str, attempt: &Failure) -> std::io::Result<()> {
        let message = message(attempt);
        let attributes = [("message", message), ("type", exception(message))];
        self.element(tag, &attributes, |xml| {
            xml.text("stackTrace", &[], &attempt.text)?;
            xml.output(attempt)
        })
    }

    /// Captured output: pytest names a section after the stream and the phase.
    fn output(&mut self, failure: &Failure) -> std::io::Result<()> {
        for (tag, is_err) in [("system-out", false), ("system-err", true)] {
            let sections = failure.sections.iter();
            let sections = sections.filter(|(title, _)| title.contains("stderr") == is_err);
            let text: Vec<String> =
                sections.map(|(title, text)| format!("{}\n{text}\n", ruled(title))).collect();
            if !text.is_empty() {
                self.text(tag, &[], &text.concat())?;
            }
        }
        Ok(())
    }

    fn properties<'a>(
        &mut self,
        properties: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> std::io::Result<()> {
        let mut properties = properties.peekable();
        if properties.peek().is_none() {
            return Ok(());
        }
        self.element("properties", &[], |xml| {
            for (name, value) in properties {
                xml.element("property", &[("name", name), ("value", value)], |_| Ok(()))?;
            }
            Ok(())
        })
    }

    fn text(&mut self, tag: &str, attributes: &[(&str, &str)], text: &str) -> std::io::Result<()> {
        self.element(tag, attributes, |xml| {
            xml.0.write_event(Event::Text(BytesText::new(&legal(text))))
        })
    }

    fn element(
        &mut self,
        tag: &str,
        attributes: &[(&str, &str)],
        inner: impl FnOnce(&mut Xml) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let mut start = BytesStart::new(tag);
        for (name, value) in attributes {
            start.push_attribute((name.as_bytes(), attribute(value).as_bytes()));
        }
        self.0.write_event(Event::Start(start))?;
        inner(self)?;
        self.0.write_event(Event::End(BytesEnd::new(tag)))
    }
}

/// An element `testcase`. A test that fails and then errs in its teardown has two, as with
/// pytest: the schema allows one kind of result in each.
struct Node<'a> {
    case: &'a Case<'a>,
    seconds: Option<f64>,
    results: Vec<Outcome<'a>>,
    attempts: Vec<(&'static str, &'a Failure)>,
    failures: Vec<&'a Failure>,
}

/// `failure`, `error` or `skipped`.
struct Outcome<'a> {
    tag: &'static str,
    message: Cow<'a, str>,
    kind: Option<&'static str>,
    text: &'a str,
}

fn nodes<'a>(case: &'a Case<'a>) -> Vec<Node<'a>> {
    let called = case.failures.iter().any(|failure| failure.phase == Phase::Call);
    let own = |failure: &&Failure| called && failure.phase == Phase::Teardown;
    let (after, before): (Vec<_>, Vec<_>) = case.failures.iter().copied().partition(own);
    let time = |of: fn(PhaseSeconds) -> f64| case.seconds.map(of);
    let mut first = Node {
        case,
        seconds: time(|it| it.setup + it.call + it.teardown),
        results: results(case.ending, &before),
        attempts: attempts(case),
        failures: before,
    };
    if after.is_empty() {
        return vec![first];
    }
    first.seconds = time(|it| it.setup + it.call);
    let second = Node {
        case,
        seconds: time(|it| it.teardown),
        results: results(case.ending, &after),
        attempts: Vec::new(),
        failures: after,
    };
    vec![first, second]
}

fn results<'a>(ending: Ending<'a>, failures: &[&'a Failure]) -> Vec<Outcome<'a>> {
    let skipped = |message: &'a str, kind, text| {
        let message = Cow::Borrowed(message);
        vec![Outcome { tag: "skipped", message, kind, text }]
    };
    match ending {
        _ if !failures.is_empty() => failures.iter().map(|failure| result(failure)).collect(),
        Ending::Ran => Vec::new(),
        Ending::Skipped(why) => {
            let why = without(why, "Skipped: ");
            skipped(why, Some("pytest.skip"), why)
        }
        Ending::Xfailed(why) => skipped(without(why, "reason: "), Some("pytest.xfail"), ""),
        Ending::SkippedWhole(why) => skipped("collection skipped", None, without(why, "Skipped: ")),
    }
}

fn result(failure: &Failure) -> Outcome<'_> {
    let said = message(failure);
    let (tag, kind, message) = match failure.phase {
        Phase::Call => ("failure", None, Cow::Borrowed(said)),
        Phase::Setup => ("error", None, format!("failed on setup with \"{said}\"").into()),
        Phase::Teardown => ("error", None, format!("failed on teardown with \"{said}\"").into()),
        Phase::Late => ("error", None, format!("left an error behind: \"{said}\"").into()),
        Phase::Collect => ("error", None, "collection failure".into()),
        Phase::Crash => ("error", Some("crash"), said.into()),
        Phase::Timeout => ("error", Some("timeout"), said.into()),
    };
    Outcome { tag, message, kind, text: &failure.text }
}

/// `flaky…` where the test passed in the end, `rerun…` where it did not.
fn attempts<'a>(case: &Case<'a>) -> Vec<(&'static str, &'a Failure)> {
    let failed = !case.failures.is_empty();
    let tag = |attempt: &Failure| match (failed, attempt.phase == Phase::Call) {
        (true, true) => "rerunFailure",
        (true, false) => "rerunError",
        (false, true) => "flakyFailure",
        (false, false) => "flakyError",
    };
    case.repeated.iter().map(|attempt| (tag(attempt), *attempt)).collect()
}

/// The exception, or the line of the text that comes closest to one.
fn message(failure: &Failure) -> &str {
    let mut marked = failure.text.lines().filter_map(|line| line.strip_prefix("E "));
    match failure.message.as_str() {
        "" => marked.next().or(failure.text.lines().next()).unwrap_or_default().trim(),
        message => message,
    }
}

/// The name of an exception's class, which opens its message; an `assert` may come without.
fn exception(message: &str) -> &str {
    let word = message.split([':', '\n']).next().unwrap_or_default();
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    if word.is_empty() || !word.chars().all(is_name) { "AssertionError" } else { word }
}

/// A title as pytest writes it above captured output: in the middle of 80 dashes.
fn ruled(title: &str) -> String {
    format!("{:-^80}", format!(" {title} "))
}

fn without<'a>(text: &'a str, start: &str) -> &'a str {
    text.strip_prefix(start).unwrap_or(text)
}

/// A name within another.
fn within(outer: &str, between: char, name: &str) -> String {
    match (outer, name) {
        (one, "") | ("", one) => one.to_owned(),
        (outer, name) => format!("{outer}{between}{name}"),
    }
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.3}")
}

/// The value of an attribute. A parser makes a space of a line break that is not escaped.
pub(super) fn attribute(value: &str) -> String {
    let escaped = quick_xml::escape::escape(legal(value));
    escaped.replace('\n', "&#10;").replace('\r', "&#13;").replace('\t', "&#9;")
}

/// Text without what XML has no way to write, which is shown as pytest shows it: `#x1B`.
fn legal(text: &str) -> Cow<'_, str> {
    let illegal = |c: char| match c {
        '\t' | '\n' | '\r' => false,
        c => c < ' ' || matches!(c, '\x7f' | '\u{fffe}' | '\u{ffff}'),
    };
    if !text.contains(illegal) {
        return Cow::Borrowed(text);
    }
    let show = |c: char| match illegal(c) {
        true if u32::from(c) <= 0xff => format!("#x{:02X}", u32::from(c)),
        true => format!("#x{:04X}", u32::from(c)),
        false => c.to_string(),
    };
    text.chars().map(show).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PhaseFailure;

    fn failure(phase: Phase, text: &str) -> Failure {
        Failure::new("t.py::a".to_owned(), None, PhaseFailure::new(phase, text.to_owned()), None)
    }

    fn text(cases: Vec<Case<'_>>) -> String {
        let began = SystemTime::UNIX_EPOCH;
        let properties = Vec::new();
        let suite =
            Suite { name: "s", within: None, files: true, began, seconds: 1.5, properties, cases };
        render(&suite).expect("XML")
    }

    #[test]
    fn ids_are_cut_as_pytest_cuts_them() {
        let table = [
            ("t.py::a", "t", "a"),
            ("x/y/t.py::A::B::c", "x.y.t.A.B", "c"),
            ("x/t.py::a[b/c.py::d]", "x.t", "a[b/c.py::d]"),
            ("x/t.py", "", "x.t"),
            ("README.md::README.md", "README.md", "README.md"),
        ];
        for (id, classname, name) in table {
            assert_eq!(NodeId(id).junit_names(), (classname.to_owned(), name.to_owned()));
        }
    }

    #[test]
    fn a_whole_file() {
        let broken = failure(Phase::Setup, "file t.py\nE   fixture 'x' not found\n");
        let seconds = Some(PhaseSeconds { setup: 0.0, call: 0.25, teardown: 0.5 });
        let failing = Case { failures: vec![&broken], seconds, ..Case::new("t.py::a") };
        let skipped = Case { ending: Ending::Skipped("Skipped: \u{1}&"), ..Case::new("t.py::b") };
        let wanted = "\
<?xml version=\"1.0\" encoding=\"utf-8\"?>
<testsuites name=\"pytest tests\">
  <testsuite name=\"s\" errors=\"1\" failures=\"0\" skipped=\"1\" tests=\"2\" time=\"1.500\" \
timestamp=\"1970-01-01T00:00:00.000Z\">
    <testcase classname=\"t\" name=\"a\" file=\"t.py\" time=\"0.750\">
      <error message=\"failed on setup with &quot;fixture &apos;x&apos; not found&quot;\">\
file t.py
E   fixture &apos;x&apos; not found
</error>
    </testcase>
    <testcase classname=\"t\" name=\"b\" file=\"t.py\">
      <skipped message=\"#x01&amp;\" type=\"pytest.skip\">#x01&amp;</skipped>
    </testcase>
  </testsuite>
</testsuites>
";
        assert_eq!(text(vec![failing, skipped]), wanted);
    }

    #[test]
    fn attempts_are_flaky_or_reruns() {
        let (first, second) = (failure(Phase::Call, "1"), failure(Phase::Setup, "2"));
        let passed = Case { repeated: vec![&first, &second], ..Case::new("t.py::a") };
        let found = text(vec![passed.clone()]);
        assert!(found.contains("<flakyFailure") && found.contains("<flakyError"), "{found}");
        let found = text(vec![Case { failures: vec![&first], ..passed }]);
        assert!(found.contains("<rerunFailure") && found.contains("<rerunError"), "{found}");
        assert!(found.contains("failures=\"1\""), "{found}");
    }
}
