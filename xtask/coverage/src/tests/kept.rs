//! What an interpreter says of itself is kept while it stays true, and no longer. A real
//! environment, made under cargo's target folder for each run of these tests.

use std::fs::{self, File};
use std::process::Command;
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};

use super::temporary_folder;
use crate::project::probe::Typed;
use crate::project::{Facts, Interpreter, Project, State, Steps, Tool, kept, python};

/// A project with an environment that counts how often its interpreter starts.
struct Place {
    project: Project,
    python: Utf8PathBuf,
}

fn run(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).output().expect(words[0]);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Place {
    /// With pip and these packages, or without where there are none.
    fn new(name: &str, packages: &[&str]) -> Place {
        let root = temporary_folder().join("kept").join(name);
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("tests")).expect("a folder");
        fs::write(root.join("pyproject.toml"), "").expect("a file");
        let root = root.canonicalize_utf8().expect("a real path");
        let venv = root.join("env");
        let bare = packages.is_empty().then_some("--without-pip");
        let words = ["python3", "-m", "venv", venv.as_str()];
        run(&words.into_iter().chain(bare).collect::<Vec<_>>());
        let place = Place {
            project: Project::read(&root, None).expect("a project"),
            python: venv.join("bin/python"),
        };
        let count = format!("open({:?}, 'a').write('.')\n", place.counted());
        fs::write(place.packages().join("sitecustomize.py"), count).expect("a file");
        if !packages.is_empty() {
            place.pip(&[&["install", "-q"], packages].concat());
        }
        // Its bytecode is written now, not by the first question.
        run(&[place.python.as_str(), "-c", ""]);
        place.grow_old();
        place
    }

    fn pip(&self, words: &[&str]) {
        let options = [self.python.as_str(), "-m", "pip", "--disable-pip-version-check"];
        run(&[&options, words].concat());
    }

    fn packages(&self) -> Utf8PathBuf {
        let lib = self.project.root.join("env/lib");
        let python = lib.read_dir_utf8().expect("a folder").next().expect("python3.x");
        python.expect("a name").path().join("site-packages")
    }

    /// What has changed a moment ago may be changing still, and is not kept.
    fn grow_old(&self) {
        let packages = File::open(self.packages()).expect("the folder of packages");
        let past = SystemTime::now() - Duration::from_secs(60);
        packages.set_modified(past).expect("another time");
    }

    fn starts(&self) -> u64 {
        fs::metadata(self.counted()).map_or(0, |data| data.len())
    }

    fn counted(&self) -> Utf8PathBuf {
        self.project.root.join("starts")
    }

    fn state(&self) -> State {
        State::of(&self.project, None)
    }

    fn facts_of(&self, python: &Utf8Path) -> Result<Facts, String> {
        self.facts_with(python, &Typed::default())
    }

    fn facts_with(&self, python: &Utf8Path, typed: &Typed) -> Result<Facts, String> {
        let steps = Steps::new(&|_| {}).expect("steps");
        let executable = python.to_owned();
        let origin = "--python".to_owned();
        let (tool, passed_over) = (Tool::Pip, Vec::new());
        let python = Interpreter {
            executable,
            origin,
            owned: false,
            tool,
            passed_over,
            variables: Vec::new(),
        };
        let state = self.state();
        state.create(state.dir()).expect("the state folder");
        kept::facts(&steps, &python, &self.project, None, typed, &state)
            .map_err(|error| format!("{error:#}"))
    }

    /// The facts, and whether the interpreter was started for them.
    fn facts(&self) -> (Facts, bool) {
        let before = self.starts();
        let facts = self.facts_of(&self.python).expect("facts");
        (facts, self.starts() > before)
    }

    fn is_asked(&self) -> bool {
        self.facts().1
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.project.root.join(file), text).expect("a file");
    }
}

#[test]
fn packages_that_come_and_go_are_noticed() {
    let place = Place::new("packages", &["packaging"]);
    assert_eq!((place.is_asked(), place.is_asked()), (true, false));

    place.pip(&["install", "-q", "iniconfig"]);
    assert!(place.facts().0.packages.contains_key("iniconfig"));
    place.grow_old();
    place.facts();
    assert!(!place.is_asked());

    place.pip(&["uninstall", "-q", "-y", "iniconfig"]);
    assert!(!place.facts().0.packages.contains_key("iniconfig"));
}

/// Settings that lie where typed paths lead.
#[test]
fn paths_with_settings_of_their_own_have_facts_of_their_own() {
    let place = Place::new("paths", &["pytest"]);
    let with = |path: &str| {
        let typed = Typed { paths: vec![path.to_owned()], ..Typed::default() };
        let before = place.starts();
        let facts = place.facts_with(&place.python, &typed).expect("facts");
        (facts.pytest.expect("pytest").addopts.concat(), place.starts() > before)
    };
    fs::create_dir_all(place.project.root.join("sub/deep")).expect("a folder");
    place.write("sub/deep/test_a.py", "");
    assert!(place.is_asked());
    let told = |addopts: &str, asked| (addopts.to_owned(), asked);
    assert_eq!(with("sub/deep/test_a.py::test_a"), told("", false));
    place.write("sub/pytest.ini", "[pytest]\naddopts = -q\n");
    assert_eq!(with("sub/deep/test_a.py::test_a"), told("-q", true));
    assert_eq!(with("sub/deep/test_a.py::test_a"), told("-q", false));
    assert_eq!(with("tests"), told("", false));
    place.write("sub/pytest.ini", "[pytest]\naddopts = -v\n");
    assert_eq!(with("sub/deep/test_a.py::test_a"), told("-v", true));
}

#[test]
fn settings_that_change_are_noticed() {
    let place = Place::new("settings", &["pytest", "coverage"]);
    let addopts = || place.facts().0.pytest.expect("pytest").addopts;
    let branch = || place.facts().0.coverage.expect("coverage").branch;
    assert_eq!((place.is_asked(), place.is_asked()), (true, false));

    place.write("pyproject.toml", "[tool.pytest.ini_options]\naddopts = '-x'\n");
    assert_eq!(addopts(), ["-x"]);
    place.write("pytest.ini", "[pytest]\naddopts = -q\n");
    assert_eq!(addopts(), ["-q"]);
    assert_eq!(place.facts().0.pytest.expect("pytest").shadowed_inifile, None);
    place.write("tests/pytest.ini", "[pytest]\n");
    assert!(place.facts().0.pytest.expect("pytest").shadowed_inifile.is_some());
    assert!(!place.is_asked());

    place.write(".coveragerc", "[run]\nbranch = true\n");
    assert!(branch());
    place.write(".coveragerc", "[run]\nbranch = false\n");
    assert!(!branch());
    fs::remove_file(place.project.root.join(".coveragerc")).expect("the file");
    assert!(place.is_asked() && !place.is_asked());

    place.write("tox.ini", "[coverage:run]\nbranch = true\n");
    assert!(branch());
    place.write("tox.ini", "[coverage:run]\nbranch = perhaps\n");
    assert!(place.facts_of(&place.python).expect_err("an error").contains("perhaps"));
}

#[test]
fn another_interpreter_is_asked_itself() {
    let place = Place::new("interpreter", &[]);
    assert_eq!((place.is_asked(), place.is_asked()), (true, false));

    let other = place.project.root.join("other");
    run(&["python3", "-m", "venv", "--without-pip", other.as_str()]);
    let facts = place.facts_of(&other.join("bin/python")).expect("facts");
    assert_eq!(facts.executable, other.join("bin/python"));
    fs::remove_file(&place.python).expect("the interpreter");
    assert!(place.facts_of(&place.python).is_err());
}

#[test]
fn a_named_interpreter_is_not_started_to_be_known() {
    let place = Place::new("named", &[]);
    let find = || {
        let steps = Steps::new(&|_| {}).expect("steps");
        let named = Some(place.python.as_str());
        python::find(&steps, &place.project, named, &place.state())
    };
    let before = place.starts();
    assert_eq!(find().expect("an interpreter").executable, place.python);
    assert_eq!(place.starts(), before + 1);
    place.facts();
    let before = place.starts();
    assert_eq!(find().expect("an interpreter").executable, place.python);
    assert_eq!(place.starts(), before);
    fs::remove_file(&place.python).expect("the link");
    fs::write(&place.python, "no program").expect("a broken interpreter");
    assert!(find().expect_err("an error").to_string().contains("no Python that can be started"));
}

#[test]
fn a_file_that_is_not_ours_is_of_no_account() {
    let place = Place::new("foreign", &[]);
    let sound = place.facts().0;
    let file = place.state().dir().join("facts.json");
    for text in ["", "garbage \u{0}", "{}", "[1]", "{\"stamp\": \"1\", \"facts\": {}}"] {
        fs::write(&file, text).expect("a file");
        assert_eq!(format!("{:?}", place.facts().0), format!("{sound:?}"), "{text}");
    }
    let kept = fs::read_to_string(&file).expect("the file");
    fs::write(&file, &kept[..kept.len() / 2]).expect("half a file");
    assert!(place.is_asked() && !place.is_asked());
    fs::remove_file(&file).expect("the file");
    fs::create_dir(&file).expect("a folder in its place");
    assert!(place.is_asked() && place.is_asked());
}
