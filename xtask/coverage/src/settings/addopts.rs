//! pytest's command line as we must understand it: in addopts, and after `--`. Pure.

use anyhow::Result;

use super::origin::Origin;
use crate::bounds;
use crate::exit;
use crate::split::Dist;

/// What a list of pytest's words asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Addopts {
    /// `--cov`: none where it is absent, empty where it has no value somewhere (coverage's
    /// configuration decides then, as in pytest-cov).
    pub sources: Option<Vec<String>>,
    /// `--cov-branch`.
    pub branch: bool,
    /// `--cov-config`.
    pub cov_config: Option<String>,
    /// `--cov-context`.
    pub cov_context: Option<String>,
    /// `--cov-fail-under`.
    pub fail_under: Option<f64>,
    /// `--cov-report`.
    pub cov_reports: Vec<String>,
    /// xdist's number of workers, as written: `4`, `auto`.
    pub workers: Option<String>,
    /// xdist's way of handing out tests: `load`, `loadscope`, …
    pub dist: Option<String>,
    /// `-x`, `--maxfail`: 0 means never.
    pub max_failures: Option<u32>,
    /// `--timeout` of pytest-timeout is there.
    pub has_timeout: bool,
    /// `--junitxml`.
    pub junit: Option<String>,
    /// Plugins that `-p no:NAME` turns off.
    pub blocked: Vec<String>,
    /// Plugins that `-p NAME` loads.
    pub named: Vec<String>,
    /// `--disable-plugin-autoload`.
    pub only_named: bool,
    /// `--store-durations` of pytest-split.
    pub store_durations: bool,
    /// `--reruns`.
    pub reruns: Option<String>,
    /// `-s`, `--capture=no`: what tests print is to be shown as it comes.
    pub shows_output: bool,
    /// An option with which pytest shows something and runs no test.
    pub only_shows: Option<String>,
    /// Only a part of the suite is selected by options; paths are not looked at.
    pub narrowed: bool,
    /// Files, folders and node ids.
    pub paths: Vec<String>,
    /// The words that pytest still gets: neither paths nor what is a setting of ours.
    pub rest: Vec<String>,
    /// What is worth saying once.
    pub notices: Vec<String>,
}

/// Reads words as pytest and its plugins would. `origin` says whose they are: addopts, or the
/// command line, where words after `--` are pytest's.
pub(crate) fn read(words: &[String], origin: &Origin) -> Result<Addopts> {
    let mut addopts = Addopts::default();
    let mut left = words;
    while let Some((first, rest)) = left.split_first() {
        if first == "--" {
            rest.iter().for_each(|word| addopts.positional(word));
            break;
        }
        let found = option(first, rest.first().map(String::as_str));
        let taken = found.as_ref().map_or(1, |options| options.words);
        match found {
            None => addopts.positional(first),
            Some(options) => addopts.options(&options, &left[..taken], origin)?,
        }
        left = &left[taken..];
    }
    addopts.tell(origin);
    Ok(addopts)
}

/// Options that nothing here knows, with a word behind them that may be their value.
pub(crate) fn unknown(words: &[String]) -> Vec<&str> {
    before_paths(words).windows(2).filter_map(|pair| may_take(&pair[0], &pair[1])).collect()
}

/// The words, with the values of these options in one word with them: `--name=value`, `-Xvalue`.
pub(crate) fn joined(words: &[String], with_value: &[String]) -> Vec<String> {
    let options = before_paths(words).len();
    let mut joined = Vec::new();
    let mut left = words.iter().enumerate().peekable();
    while let Some((at, word)) = left.next() {
        let next = left.peek().filter(|(next, _)| *next < options).map(|(_, next)| *next);
        let value = next.filter(|next| {
            at < options && may_take(word, next).is_some() && with_value.contains(word)
        });
        joined.push(match value {
            Some(value) if word.starts_with("--") => format!("{word}={value}"),
            Some(value) => format!("{word}{value}"),
            None => word.clone(),
        });
        if value.is_some() {
            left.next();
        }
    }
    joined
}

/// What stands before `--`.
fn before_paths(words: &[String]) -> &[String] {
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    &words[..end]
}

/// A long option, or a short one of a plugin: pytest leaves capital letters to them.
fn may_take<'a>(word: &'a str, next: &str) -> Option<&'a str> {
    let is_long = word.starts_with("--") && !word.contains('=');
    let is_plugins = matches!(word.as_bytes(), [b'-', b'A'..=b'Z']) && !matches!(word, "-V" | "-W");
    let known = WITH_VALUE.contains(&word) || MAYBE_VALUE.contains(&word);
    ((is_long || is_plugins) && !known && !next.starts_with('-')).then_some(word)
}

/// The options in one word, several where short ones are glued together (`-xq`), and how many
/// words they take: two if the value stands in a word of its own.
struct Options<'a> {
    all: Vec<(&'a str, Option<&'a str>)>,
    words: usize,
}

/// None for a path, or for what stands in a path's place.
fn option<'a>(word: &'a str, next: Option<&'a str>) -> Option<Options<'a>> {
    if word.starts_with("--") {
        Some(long(word, next))
    } else if word.starts_with('-') && word.len() > 1 {
        Some(short(word, next))
    } else {
        None
    }
}

fn long<'a>(word: &'a str, next: Option<&'a str>) -> Options<'a> {
    if let Some((name, value)) = word.split_once('=') {
        return Options { all: vec![(name, Some(value))], words: 1 };
    }
    // argparse takes a word that looks like an option for one, unless it is a negative number.
    let free = next.filter(|next| !next.starts_with('-') || next.parse::<f64>().is_ok());
    let value = free.filter(|_| WITH_VALUE.contains(&word) || MAYBE_VALUE.contains(&word));
    Options { all: vec![(word, value)], words: 1 + usize::from(value.is_some()) }
}

fn short<'a>(word: &'a str, next: Option<&'a str>) -> Options<'a> {
    const WITH_VALUE: &str = "kmcoprWn";
    let mut all = Vec::new();
    for (at, letter) in word.char_indices().skip(1) {
        let rest = &word[at + letter.len_utf8()..];
        let name = short_name(letter);
        if WITH_VALUE.contains(letter) {
            let glued =
                Some(rest.strip_prefix('=').unwrap_or(rest)).filter(|rest| !rest.is_empty());
            all.push((name, glued.or(next)));
            let words = 1 + usize::from(glued.is_none() && next.is_some());
            return Options { all, words };
        }
        all.push((name, None));
    }
    Options { all, words: 1 }
}

/// The long name where we need it, else none that means anything to us.
fn short_name(letter: char) -> &'static str {
    match letter {
        'k' => "-k",
        'm' => "-m",
        'p' => "-p",
        'n' => "--numprocesses",
        'd' => "-d",
        'x' => "--exitfirst",
        's' => "-s",
        'h' => "--help",
        'V' => "--version",
        _ => "-",
    }
}

/// Options of pytest and of well-known plugins that may stand before their value. Of any other
/// pytest is asked (`host/options.py`), which takes longer.
const WITH_VALUE: &[&str] = &[
    // pytest
    "--maxfail",
    "--rootdir",
    "--confcutdir",
    "--basetemp",
    "--ignore",
    "--ignore-glob",
    "--deselect",
    "--import-mode",
    "--tb",
    "--capture",
    "--color",
    "--code-highlight",
    "--show-capture",
    "--durations",
    "--durations-min",
    "--verbosity",
    "--junitxml",
    "--junit-xml",
    "--junitprefix",
    "--junit-prefix",
    "--pastebin",
    "--assert",
    "--pythonwarnings",
    "--override-ini",
    "--config-file",
    "--doctest-report",
    "--doctest-glob",
    "--pdbcls",
    "--last-failed-no-failures",
    "--lfnf",
    "--log-level",
    "--log-format",
    "--log-date-format",
    "--log-cli-level",
    "--log-cli-format",
    "--log-cli-date-format",
    "--log-file",
    "--log-file-mode",
    "--log-file-level",
    "--log-file-format",
    "--log-file-date-format",
    "--log-auto-indent",
    "--log-disable",
    // pytest-cov
    "--cov-report",
    "--cov-config",
    "--cov-fail-under",
    "--cov-context",
    "--cov-precision",
    // pytest-xdist
    "--numprocesses",
    "--maxprocesses",
    "--max-worker-restart",
    "--dist",
    "--tx",
    "--px",
    "--rsyncdir",
    "--rsyncignore",
    "--testrunuid",
    "--maxschedchunk",
    // pytest-split
    "--splits",
    "--group",
    "--durations-path",
    "--splitting-algorithm",
    // pytest-timeout, pytest-rerunfailures, pytest-asyncio, pytest-randomly, …
    "--timeout",
    "--timeout-method",
    "--timeout_method",
    "--session-timeout",
    "--reruns",
    "--reruns-delay",
    "--only-rerun",
    "--rerun-except",
    "--asyncio-mode",
    "--randomly-seed",
    "--random-order-bucket",
    "--random-order-seed",
    "--hypothesis-profile",
    "--hypothesis-seed",
    "--hypothesis-verbosity",
    "--ds",
    "--dc",
    "--html",
    "--css",
    "--csv",
    "--csv-delimiter",
    "--csv-quote-char",
    "--csv-columns",
    "--json-report-file",
    "--report-log",
    "--md-report-output",
    "--cucumberjson",
    "--inline-snapshot",
    "--check-max-report",
    "--check-max-fail",
    "--check-max-tb",
    "--count",
    "--repeat-scope",
    "--alluredir",
    "--base-url",
    "--driver",
    "--browser",
    "--anyio-mode",
];

/// Options with which pytest shows something and runs no test; it knows no shorter forms of them.
const SHOWS: &[&str] = &[
    "--collect-only",
    "--collectonly",
    "--co",
    "--setup-plan",
    "--setupplan",
    "--setup-only",
    "--setuponly",
    "--fixtures",
    "--funcargs",
    "--fixtures-per-test",
    "--markers",
    "--help",
    "--version",
    "--cache-show",
];

/// Options whose value may be left out.
const MAYBE_VALUE: &[&str] = &["--cov", "--debug", "--cache-show"];

impl Addopts {
    /// A file, a folder or a node id.
    fn positional(&mut self, word: &str) {
        // pytest gets it among options again.
        let escape = if word.starts_with('-') { "./" } else { "" };
        self.paths.push(format!("{escape}{word}"));
    }

    fn options(&mut self, options: &Options<'_>, words: &[String], origin: &Origin) -> Result<()> {
        let mut ours = 0;
        for &(name, value) in &options.all {
            let known = self.setting(name, value, origin)?;
            ours += usize::from(known);
            if !known {
                self.remark(name, value);
            }
        }
        match ours {
            0 => self.rest.extend_from_slice(words),
            all if all == options.all.len() => {}
            _ => self.rest.extend(without(&words[0], &options.all)),
        }
        Ok(())
    }

    /// True for what is a setting of ours, and not for pytest to hear again.
    fn setting(&mut self, name: &str, value: Option<&str>, origin: &Origin) -> Result<bool> {
        let text = || value.map(str::to_owned);
        match name {
            "--cov" => self.add_source(value),
            "--cov-branch" => self.branch = true,
            "--cov-config" => self.cov_config = text(),
            "--cov-context" => self.cov_context = text(),
            "--cov-fail-under" => {
                self.fail_under = Some(number(name, value, origin, bounds::percent)?);
            }
            "--cov-report" => self.cov_reports.extend(text()),
            "--numprocesses" => self.workers = text(),
            "--dist" => self.dist = text(),
            "-d" => self.dist = Some("load".to_owned()),
            "--tx" | "--maxprocesses" => self.workers = self.workers.take().or(text()),
            "--exitfirst" => self.max_failures = Some(1),
            "--maxfail" => self.max_failures = Some(number(name, value, origin, bounds::count)?),
            "--store-durations" => self.store_durations = true,
            "--splits" | "--group" => return Err(splits(name, origin).into()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Notes what pytest hears itself, where it matters to us too.
    fn remark(&mut self, name: &str, value: Option<&str>) {
        match name {
            name if SHOWS.contains(&name) => self.only_shows = Some(name.to_owned()),
            "--timeout" => self.has_timeout = true,
            "--junitxml" | "--junit-xml" => self.junit = value.map(str::to_owned),
            "-s" => self.shows_output = true,
            "--capture" => self.shows_output = matches!(value, Some("no" | "tee-sys")),
            "--reruns" => self.reruns = value.map(str::to_owned),
            "-p" => match value.map(|it| it.strip_prefix("no:").ok_or(it)) {
                Some(Ok(blocked)) => self.blocked.push(blocked.to_owned()),
                Some(Err(named)) => self.named.push(named.to_owned()),
                None => {}
            },
            "--disable-plugin-autoload" => self.only_named = true,
            "-k" | "-m" | "--deselect" | "--ignore" | "--ignore-glob" | "--lf"
            | "--last-failed" | "--sw" | "--stepwise" | "--stepwise-skip" | "--sw-skip" => {
                self.narrowed = true
            }
            _ => {}
        }
    }

    /// As in pytest-cov, one `--cov` without a value makes all others void.
    fn add_source(&mut self, value: Option<&str>) {
        let bare = self.sources.as_ref().is_some_and(Vec::is_empty);
        match value.filter(|_| !bare) {
            Some(source) => self.sources.get_or_insert_default().push(source.to_owned()),
            None => self.sources = Some(Vec::new()),
        }
    }

    fn tell(&mut self, origin: &Origin) {
        let place = place(origin);
        let xdist = [
            self.workers.as_ref().map(|workers| format!("-n{workers}")),
            self.dist.as_ref().map(|dist| format!("--dist={dist}")),
        ];
        let xdist: Vec<_> = xdist.into_iter().flatten().collect();
        if !xdist.is_empty() {
            let words = xdist.join(" ");
            let promise = self.dist.as_deref().and_then(Dist::of).map(Dist::words);
            let promise = promise.map(|promise| format!(": {promise}")).unwrap_or_default();
            let workers = match self.workers.is_none() && !promise.is_empty() {
                true => "",
                false => "; `--workers-per-split` decides the number of workers",
            };
            self.notices.push(format!("{place} has `{words}`{promise}{workers}"));
        }
        if !self.cov_reports.is_empty() {
            let words: Vec<_> =
                self.cov_reports.iter().map(|it| format!("--cov-report={it}")).collect();
            let words = words.join(" ");
            self.notices.push(format!("{place} has `{words}`; `--report` decides the reports"));
        }
    }
}

/// A group of short options without those that are settings: `-xq` leaves `-q`. Only `-x` and
/// `-d` are settings without a value; one with a value ends the group.
fn without(word: &str, options: &[(&str, Option<&str>)]) -> Vec<String> {
    let letters = word.chars().skip(1).zip(options);
    let kept: String = letters
        .filter(|(_, (name, _))| !matches!(*name, "--exitfirst" | "-d" | "--numprocesses"))
        .map(|(letter, _)| letter)
        .collect();
    let value = options.last().filter(|(name, _)| !name.starts_with("--")).and_then(|last| last.1);
    [Some(format!("-{kept}")), value.map(str::to_owned)].into_iter().flatten().collect()
}

fn number<T>(
    name: &str,
    value: Option<&str>,
    origin: &Origin,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T> {
    let value = value.unwrap_or_default();
    parse(value).map_err(|why| {
        exit::usage(format!("`{name}` in {} is `{value}`: {why}", place(origin))).into()
    })
}

fn splits(name: &str, origin: &Origin) -> exit::Fault {
    exit::usage(format!(
        "{} has `{name}`; use `--splits N` of `cargo xtask coverage`, which cuts the suite itself",
        place(origin)
    ))
}

fn place(origin: &Origin) -> &'static str {
    match origin {
        Origin::CommandLine => "`-- PYTEST_ARGS`",
        _ => "addopts",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        shell_words::split(text).expect("words")
    }

    fn typed(text: &str) -> Addopts {
        read(&words(text), &Origin::CommandLine).expect(text)
    }

    fn refused(text: &str, origin: Origin) -> String {
        read(&words(text), &origin).expect_err(text).to_string()
    }

    /// What the words say, besides what is left of them and what is worth saying.
    fn said(text: &str) -> Addopts {
        Addopts { rest: Vec::new(), notices: Vec::new(), ..typed(text) }
    }

    #[test]
    fn every_form_of_every_setting() {
        let none = Addopts::default;
        let some = |text: &str| Some(text.to_owned());
        let sources = |all: &[&str]| Addopts {
            sources: Some(all.iter().map(|it| it.to_string()).collect()),
            ..none()
        };
        let workers = |text: &str| Addopts { workers: some(text), ..none() };
        let dist = |text: &str| Addopts { dist: some(text), ..none() };
        let stop = |count| Addopts { max_failures: Some(count), ..none() };
        let blocked = |name: &str| Addopts { blocked: vec![name.to_owned()], ..none() };
        let junit = |file: &str| Addopts { junit: some(file), ..none() };
        let table = [
            ("", none()),
            ("-ra -q -vv --tb=short --tb short -r a -W error -c x.ini -o a=b", none()),
            ("-s", Addopts { shows_output: true, ..none() }),
            ("-vs", Addopts { shows_output: true, ..none() }),
            ("--capture=no", Addopts { shows_output: true, ..none() }),
            ("--capture tee-sys", Addopts { shows_output: true, ..none() }),
            ("-s --capture=fd", none()),
            ("--cov=a --cov=b", sources(&["a", "b"])),
            ("--cov a --cov b", sources(&["a", "b"])),
            ("--cov", sources(&[])),
            ("--cov --tb=short", sources(&[])),
            ("--cov=a --cov", sources(&[])),
            ("--cov --cov=a", sources(&[])),
            ("--cov-branch", Addopts { branch: true, ..none() }),
            ("--cov-config=c", Addopts { cov_config: some("c"), ..none() }),
            ("--cov-config c", Addopts { cov_config: some("c"), ..none() }),
            ("--cov-context test", Addopts { cov_context: some("test"), ..none() }),
            ("--cov-fail-under=80.5", Addopts { fail_under: Some(80.5), ..none() }),
            ("--cov-fail-under 80", Addopts { fail_under: Some(80.0), ..none() }),
            ("--cov-report xml", Addopts { cov_reports: vec!["xml".to_owned()], ..none() }),
            ("-n4", workers("4")),
            ("-n 4", workers("4")),
            ("-n=4", workers("4")),
            ("-nauto", workers("auto")),
            ("-qn4", workers("4")),
            ("-qn 4", workers("4")),
            ("--numprocesses=logical", workers("logical")),
            ("--numprocesses 2", workers("2")),
            ("--maxprocesses=3", workers("3")),
            ("--tx 2*popen", workers("2*popen")),
            ("--dist=loadscope", dist("loadscope")),
            ("--dist loadgroup", dist("loadgroup")),
            ("-d", dist("load")),
            ("-x", stop(1)),
            ("-xq", stop(1)),
            ("-qx", stop(1)),
            ("--exitfirst", stop(1)),
            ("--maxfail=3", stop(3)),
            ("--maxfail 0", stop(0)),
            ("-x --maxfail=3", stop(3)),
            ("--timeout=60", Addopts { has_timeout: true, ..none() }),
            ("--timeout 60 --timeout-method thread", Addopts { has_timeout: true, ..none() }),
            ("--junitxml=a.xml", junit("a.xml")),
            ("--junit-xml a.xml", junit("a.xml")),
            ("-pno:xdist", blocked("xdist")),
            ("-p no:cacheprovider", blocked("cacheprovider")),
            ("-p no:cov", blocked("cov")),
            ("-p xdist", Addopts { named: vec!["xdist".to_owned()], ..none() }),
            ("--disable-plugin-autoload", Addopts { only_named: true, ..none() }),
            ("--co -q", Addopts { only_shows: some("--co"), ..none() }),
            ("-qh", Addopts { only_shows: some("--help"), ..none() }),
            ("-VV", Addopts { only_shows: some("--version"), ..none() }),
            ("--cache-show 'a*'", Addopts { only_shows: some("--cache-show"), ..none() }),
            ("-o x=--co --collect-in-virtualenv --setup-show", none()),
            ("--store-durations", Addopts { store_durations: true, ..none() }),
            ("--reruns=2 --reruns-delay 1", Addopts { reruns: some("2"), ..none() }),
        ];
        for (text, wanted) in table {
            assert_eq!(said(text), wanted, "{text}");
        }
    }

    #[test]
    fn the_value_of_an_option_that_is_asked_about_is_one_word_with_it() {
        let table = [
            ("--backend sqlite -D 3 t.py", "--backend -D", "--backend=sqlite -D3 t.py"),
            ("--backend sqlite --flag t.py", "--backend --flag", "--backend=sqlite --flag t.py"),
            ("--backend=sqlite --backend -q", "", "--backend=sqlite --backend -q"),
            ("--backend --backend x", "--backend", "--backend --backend=x"),
            ("--tb short -k x -- --backend x", "", "--tb short -k x -- --backend x"),
            ("--backend", "", "--backend"),
        ];
        for (text, asked, wanted) in table {
            let all = words(text);
            assert_eq!(unknown(&all), words(asked), "{text}");
            assert_eq!(joined(&all, &words("--backend -D")), words(wanted), "{text}");
        }
        assert_eq!(unknown(&words("--tb short -W error -q --lf t.py -- --x y")), ["--lf"]);
    }

    #[test]
    fn knows_a_part_of_the_suite() {
        let narrow = [
            "-k a",
            "-ka",
            "-xk a",
            "-m slow",
            "--deselect a::b",
            "--deselect=a::b",
            "--ignore a",
            "--ignore=a",
            "--ignore-glob=a*",
            "--lf",
            "--last-failed",
            "--sw",
            "--stepwise",
        ];
        for text in narrow {
            assert!(typed(text).narrowed, "{text}");
        }
        for text in ["", "-q", "--ff", "--nf", "--tb short", "--durations 5", "--cov src", "-n 4"] {
            assert!(!typed(text).narrowed, "{text}");
        }
    }

    #[test]
    fn paths_are_what_is_no_option_and_no_value() {
        let found = typed("--tb short a.py -n 4 b.py::c --maxfail 2 --timeout -1 d -k e");
        assert_eq!(found.paths, ["a.py", "b.py::c", "d"]);
        assert_eq!(found.rest, ["--tb", "short", "--timeout", "-1", "-k", "e"]);
        assert_eq!(typed("-q -- --co -a.py b.py").paths, ["./--co", "./-a.py", "b.py"]);
    }

    #[test]
    fn pytest_gets_the_rest() {
        let table = [
            ("-x -q --cov=a -n 4 --dist loadscope", "-q"),
            ("-xq", "-q"),
            ("-qxs", "-qs"),
            ("-qn4", "-q"),
            ("-xk a", "-k a"),
            ("-xka", "-k a"),
            ("-ra --reruns=2 --store-durations", "-ra --reruns=2"),
        ];
        for (text, wanted) in table {
            assert_eq!(typed(text).rest.join(" "), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_replaced_is_said_once() {
        let addopts = read(
            &words("-n 4 --dist=loadscope --cov-report=xml --cov-report term"),
            &Origin::Addopts,
        );
        assert_eq!(
            addopts.expect("addopts").notices,
            [
                "addopts has `-n4 --dist=loadscope`: a class is never in two processes at once, nor are \
                 the functions of a module; `--workers-per-split` decides the number of workers",
                "addopts has `--cov-report=xml --cov-report=term`; `--report` decides the reports",
            ]
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let ours = "; use `--splits N` of `cargo xtask coverage`, which cuts the suite itself";
        let table = [
            ("--splits 3", Origin::Addopts, format!("addopts has `--splits`{ours}")),
            ("--group=1", Origin::CommandLine, format!("`-- PYTEST_ARGS` has `--group`{ours}")),
            (
                "--maxfail=x",
                Origin::Addopts,
                "`--maxfail` in addopts is `x`: must be a whole number".to_owned(),
            ),
            (
                "--maxfail=99999999999999999999",
                Origin::Addopts,
                "`--maxfail` in addopts is `99999999999999999999`: must be at most 1000000000"
                    .to_owned(),
            ),
            (
                "--cov-fail-under=1e308",
                Origin::CommandLine,
                "`--cov-fail-under` in `-- PYTEST_ARGS` is `1e308`: must be between 0 and 100"
                    .to_owned(),
            ),
            (
                "--cov-fail-under",
                Origin::Addopts,
                "`--cov-fail-under` in addopts is ``: must be a number".to_owned(),
            ),
        ];
        for (text, origin, message) in table {
            assert_eq!(refused(text, origin), message);
        }
    }
}
