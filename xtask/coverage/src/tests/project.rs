//! Projects, tools and interpreters as they are: real poetry, uv and pdm, real environments.
//! They are made under cargo's target folder and kept between runs.

use std::cell::RefCell;
use std::fs;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use camino::{Utf8Path, Utf8PathBuf};

use super::temporary_folder;
use crate::project::{Interpreter, Project, State, Steps, Tool, Workspace};
use crate::project::{discover, probe, python, pythons};

/// A folder of this file's own under the target folder.
fn tmp(name: &str) -> Utf8PathBuf {
    let folder = temporary_folder().join("project").join(name);
    fs::create_dir_all(&folder).expect("a folder");
    folder.canonicalize_utf8().expect("a real path")
}

/// Writes a project's files; what an earlier run left beside them (environments) stays.
fn project(name: &str, files: &[(&str, &str)]) -> Project {
    let root = tmp(name);
    for (file, text) in files {
        let path = root.join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    fs::create_dir_all(root.join(".git")).expect("the top of a repository");
    Project::read(&root, None).expect("a project")
}

/// The folder of a Python, for a `PATH` that holds nothing else of this machine.
fn python_folder() -> &'static str {
    static FOLDER: OnceLock<String> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let ask = "import os, sys; print(os.path.dirname(sys.executable))";
        let output = Command::new("python3").args(["-c", ask]).output().expect("python3");
        String::from_utf8(output.stdout).expect("a path").trim().to_owned()
    })
}

/// Real poetry, uv or pdm, alone in a folder for `PATH`.
fn tool(name: &str, packages: &[&str]) -> Utf8PathBuf {
    let (venv, alone) = (tmp("tools").join(name), tmp("path").join(name));
    if !alone.exists() {
        run(&["python3", "-m", "venv", "--clear", venv.as_str()]);
        run(&[&[venv.join("bin/pip").as_str(), "install", "-q"], packages].concat());
        fs::create_dir(&alone).expect("a folder");
        std::os::unix::fs::symlink(venv.join("bin").join(name), alone.join(name)).expect("a link");
    }
    alone
}

/// The two tests that need uv share it.
fn uv() -> Utf8PathBuf {
    static MADE: OnceLock<Utf8PathBuf> = OnceLock::new();
    MADE.get_or_init(|| tool("uv", &["uv"])).clone()
}

fn run(words: &[&str]) {
    let status = Command::new(words[0]).args(&words[1..]).status().expect(words[0]);
    assert!(status.success(), "{words:?}");
}

/// What finding an interpreter came to, and what was announced.
struct Found {
    python: Interpreter,
    announced: Vec<String>,
}

const UNSET: [&str; 4] = ["VIRTUAL_ENV", "CONDA_PREFIX", "UV_PROJECT_ENVIRONMENT", "PYTHONPATH"];

/// Does something with steps on a bare `PATH` with some folders in front.
fn with_steps<T>(
    path: &[&Utf8Path],
    vars: &[(&str, &str)],
    act: impl FnOnce(&Steps) -> T,
) -> (T, Vec<String>) {
    let announced = RefCell::new(Vec::new());
    let announce = |message: &str| announced.borrow_mut().push(message.to_owned());
    let folders: Vec<_> = path
        .iter()
        .map(|folder| folder.as_str())
        .chain([python_folder(), "/usr/bin", "/bin"])
        .collect();
    let steps = Steps::new(&announce).expect("steps").with_var("PATH", &folders.join(":"));
    let steps = UNSET.iter().fold(steps, |steps, name| steps.with_var(name, ""));
    let steps = vars.iter().fold(steps, |steps, (name, value)| steps.with_var(name, value));
    let result = act(&steps);
    drop(steps);
    (result, announced.into_inner())
}

fn find(project: &Project, path: &[&Utf8Path], vars: &[(&str, &str)]) -> Found {
    let state = State::of(project, None);
    let (python, announced) =
        with_steps(path, vars, |steps| python::find(steps, project, None, &state));
    Found { python: python.unwrap_or_else(|error| panic!("{error:#}")), announced }
}

/// Finding once more finds the same, at once.
fn is_found_again(found: &Found, project: &Project, path: &[&Utf8Path], vars: &[(&str, &str)]) {
    let again = find(project, path, vars);
    assert_eq!((again.python, again.announced), (found.python.clone(), vec![]));
}

/// The line that a missing package asks the user to type.
fn missing(found: &Found, project: &Project, package: &str) -> String {
    let (result, _) = with_steps(&[], &[], |steps| {
        python::ensure_packages(steps, &found.python, project, &Default::default(), &[package])
    });
    result.expect_err("a missing package").to_string()
}

fn facts(found: &Found, project: &Project) -> Result<crate::project::Facts, String> {
    let (facts, _) = with_steps(&[], &[], |steps| {
        probe::read(steps, &found.python, project, None, &probe::Typed::default())
    });
    facts.map_err(|error| format!("{error:#}"))
}

const PLAIN: &str = "\
[project]
name = 'plain'
version = '0.1.0'
requires-python = '>=3.9'
dependencies = ['iniconfig']
[project.optional-dependencies]
test = ['pytest-timeout']
[dependency-groups]
dev = [{include-group = 'other'}]
other = ['packaging']
[build-system]
requires = ['setuptools>=61']
build-backend = 'setuptools.build_meta'
[tool.setuptools.packages.find]
where = ['src']
";

fn plain() -> (Project, Found) {
    plain_named("plain ünï")
}

fn plain_named(name: &str) -> (Project, Found) {
    static MADE: Mutex<()> = Mutex::new(());
    let _one_at_a_time = MADE.lock().unwrap_or_else(|poison| poison.into_inner());
    let project = project(
        name,
        &[("pyproject.toml", PLAIN), ("src/plain/__init__.py", ""), ("tests/test_a.py", "")],
    );
    let found = find(&project, &[], &[]);
    (project, found)
}

#[test]
fn a_plain_project_gets_an_environment_of_our_own() {
    let (project, found) = plain();
    assert_eq!((found.python.origin.as_str(), found.python.owned), ("own environment", true));
    assert_eq!(found.python.executable, project.root.join(".xtask/venv/bin/python"));
    let facts = facts(&found, &project).expect("facts");
    for package in ["plain", "pytest", "coverage", "iniconfig", "pytest-timeout", "packaging"] {
        assert!(facts.packages.contains_key(package), "{package}: {:?}", facts.packages);
    }
    assert_eq!(facts.packages_here, ["src/plain"]);
    assert_eq!(facts.pytest.expect("pytest").rootdir, project.root);
    assert_eq!(facts.coverage.expect("coverage").data_file, project.root.join(".coverage"));
    assert_eq!(fs::read_to_string(project.root.join(".xtask/.gitignore")).expect("a file"), "*\n");
    is_found_again(&found, &project, &[], &[]);
}

#[test]
fn missing_packages_are_installed_where_the_environment_is_ours() {
    let (project, found) = plain();
    let installed = facts(&found, &project).expect("facts").packages;
    with_steps(&[], &[], |steps| {
        python::ensure_packages(
            steps,
            &found.python,
            &project,
            &installed,
            &["pytest-split>=0.8", "pytest"],
        )
        .expect("an installed package");
    });
    assert!(facts(&found, &project).expect("facts").packages.contains_key("pytest-split"));
}

#[test]
fn an_active_environment_comes_first() {
    let (project, own) = plain();
    let folder = project.root.join(".xtask/venv");
    let found = find(&project, &[], &[("VIRTUAL_ENV", folder.as_str())]);
    assert_eq!((found.python.origin.as_str(), found.python.owned), ("VIRTUAL_ENV", false));
    assert_eq!(found.announced, [""; 0]);
    let line = format!(
        "no `nosuch` in {0}; install it with `{1} -m pip install nosuch`",
        own.python.executable,
        shell_words::quote(own.python.executable.as_str())
    );
    assert_eq!(missing(&found, &project, "nosuch"), line);
}

const POETRY: &str = "\
[project]
name = 'versed'
version = '0.1.0'
requires-python = '>=3.9,<4'
dependencies = ['iniconfig']
[tool.poetry.group.test]
optional = true
[tool.poetry.group.test.dependencies]
packaging = '*'
[tool.poetry]
packages = [{include = 'versed'}]
[build-system]
requires = ['poetry-core']
build-backend = 'poetry.core.masonry.api'
";

fn poetry_project(name: &str) -> Project {
    project(name, &[("pyproject.toml", POETRY), ("versed/__init__.py", "")])
}

#[test]
fn a_poetry_project_gets_poetry_where_there_is_none() {
    let project = poetry_project("poetry-from-nothing");
    let found = find(&project, &[], &[]);
    assert!(project.root.join(".xtask/tools/poetry/bin/poetry").exists());
    assert!(found.python.owned);
    let facts = facts(&found, &project).expect("facts");
    for package in ["versed", "pytest", "coverage", "iniconfig", "packaging"] {
        assert!(facts.packages.contains_key(package), "{package}: {:?}", facts.packages);
    }
    assert!(!project.root.join("poetry.lock").exists(), "no lock file is left where none was");
    is_found_again(&found, &project, &[], &[]);
}

/// The index that pip takes where it is told of no other.
fn pip_index() -> String {
    let own = "from pip._internal.models.index import PyPI; print(PyPI.simple_url + '/')";
    let said = std::process::Command::new("python3").args(["-c", own]).output().expect("python3");
    String::from_utf8(said.stdout).expect("text").trim().to_owned()
}

#[test]
fn poetry_makes_and_keeps_its_own_environment() {
    let project = poetry_project("poetry");
    // The plugin lets it use an index that has no JSON of each version.
    let poetry = tool("poetry", &["poetry>=2,<3", "poetry-plugin-pypi-mirror"]);
    let (path, kept) = ([poetry.as_path()], tmp("poetry-environments"));
    let index = pip_index();
    let vars =
        [("POETRY_VIRTUALENVS_PATH", kept.as_str()), ("POETRY_PYPI_MIRROR_URL", index.as_str())];
    let found = find(&project, &path, &vars);
    assert_eq!((found.python.origin.as_str(), found.python.owned), ("poetry", false));
    assert!(found.python.executable.starts_with(&kept), "{}", found.python.executable);
    assert!(!project.root.join("poetry.lock").exists(), "no lock file is left where none was");
    is_found_again(&found, &project, &path, &vars);
    let line = format!(
        "no `pytest-split` in {}; install it with `poetry add --group dev pytest-split`",
        found.python.executable
    );
    assert_eq!(missing(&found, &project, "pytest-split"), line);
    let line = format!(
        "no `packaging` in {}; install it with `cd {} && poetry install --no-interaction --with test`",
        found.python.executable, project.root
    );
    assert_eq!(missing(&found, &project, "packaging"), line);
}

const GROUPS: &str = "\
[project]
name = 'grouped'
version = '0.1.0'
requires-python = '>=3.9'
[dependency-groups]
tests = ['iniconfig']
";

#[test]
fn uv_syncs_a_project_without_environment() {
    let project =
        project("uv", &[("pyproject.toml", &format!("{GROUPS}[tool.uv]\n")), ("grouped.py", "")]);
    assert_eq!(project.tool, Tool::Uv);
    let uv = uv();
    let found = find(&project, &[&uv], &[]);
    assert_eq!(found.python.executable, project.root.join(".venv/bin/python"));
    assert_eq!((found.python.origin.as_str(), found.python.owned), ("uv", false));
    assert!(!project.root.join("uv.lock").exists(), "no lock file is left where none was");
    is_found_again(&found, &project, &[&uv], &[]);
    let facts = facts(&found, &project).expect("facts");
    assert_eq!(facts.packages.keys().collect::<Vec<_>>(), ["iniconfig"]);
    assert_eq!(facts.packages_here, ["grouped.py"]);
    assert!(facts.pytest.is_none() && facts.coverage.is_none());
    assert!(
        missing(&found, &project, "pytest").ends_with("; install it with `uv add --dev pytest`")
    );
}

/// `uv venv`, or a sync that failed, leaves one that is empty: to add what is listed already
/// would not help.
#[test]
fn uv_fills_an_empty_environment() {
    let project = project(
        "uv-empty",
        &[("pyproject.toml", &format!("{GROUPS}[tool.uv]\n")), ("grouped.py", "")],
    );
    let uv = uv();
    let _ = fs::remove_dir_all(project.root.join(".venv"));
    run(&["python3", "-m", "venv", "--without-pip", project.root.join(".venv").as_str()]);
    let found = find(&project, &[&uv], &[]);
    assert_eq!(found.announced, ["Running `uv sync --group tests`"]);
    assert!(facts(&found, &project).expect("facts").packages.contains_key("iniconfig"));
    is_found_again(&found, &project, &[&uv], &[]);
}

#[test]
fn members_of_a_uv_workspace_that_conflict_get_an_environment_each() {
    let member = |name: &str, version: &str| {
        format!(
            "[project]\nname = '{name}'\nversion = '1'\nrequires-python = '>=3.9'\n\
             dependencies = ['iniconfig=={version}']\n[tool.uv]\npackage = false\n"
        )
    };
    let conflicts = "[tool.uv.workspace]\nmembers = ['a', 'b']\n[tool.uv]\n\
                     conflicts = [[{package = 'a'}, {package = 'b'}]]\n";
    let (a, b) = (member("a", "2.0.0"), member("b", "2.1.0"));
    let files = [("pyproject.toml", conflicts), ("a/pyproject.toml", &a), ("b/pyproject.toml", &b)];
    let top = project("uv-conflict", &files);
    let uv = uv();
    run(&["env", "-C", top.root.as_str(), uv.join("uv").as_str(), "lock", "-q"]);
    for (name, version) in [("a", "2.0.0"), ("b", "2.1.0")] {
        let member = Project::read(&top.root.join(name), None).expect("a project");
        assert_eq!((member.tool, &member.home), (Tool::Uv, &top.root));
        let found = find(&member, &[&uv], &[]);
        let packages = facts(&found, &member).expect("facts").packages;
        assert_eq!(packages.get("iniconfig").map(String::as_str), Some(version), "{name}");
        is_found_again(&found, &member, &[&uv], &[]);
    }
}

#[test]
fn uv_makes_our_own_environment_where_it_is_installed() {
    let project =
        project("own-by-uv", &[("setup.cfg", ""), ("requirements-test.txt", "iniconfig\n")]);
    let uv = uv();
    let found = find(&project, &[&uv], &[]);
    let facts = facts(&found, &project).expect("facts");
    let wanted = ["coverage", "iniconfig", "pip", "pytest"];
    assert!(wanted.iter().all(|name| facts.packages.contains_key(*name)), "{:?}", facts.packages);
    is_found_again(&found, &project, &[&uv], &[]);
}

#[test]
fn pdm_installs_a_project_without_environment() {
    let project = project(
        "pdm",
        &[("pyproject.toml", &format!("{GROUPS}[tool.pdm]\ndistribution = false\n"))],
    );
    // Later ones do not all fit together.
    let pdm = tool("pdm", &["pdm<2.26", "hishel<1", "unearth<0.18"]);
    let found = find(&project, &[&pdm], &[]);
    assert_eq!((found.python.origin.as_str(), found.python.owned), ("pdm", false));
    assert!(facts(&found, &project).expect("facts").packages.contains_key("iniconfig"));
    assert!(!project.root.join("pdm.lock").exists(), "no lock file is left where none was");
    is_found_again(&found, &project, &[&pdm], &[]);
}

/// Neither on `PATH` nor where pyenv and others keep them.
const NOWHERE: [(&str, &str); 7] = [
    ("PATH", "/nowhere"),
    ("HOME", "/nowhere"),
    ("XDG_DATA_HOME", ""),
    ("PYENV_ROOT", ""),
    ("UV_PYTHON_INSTALL_DIR", ""),
    ("MISE_DATA_DIR", ""),
    ("ASDF_DATA_DIR", ""),
];

/// Of those that pyenv and others keep the newest that fits serves, where none on `PATH` does.
#[test]
fn a_python_that_pyenv_keeps_serves() {
    let text = "[project]\nname = 'a'\nrequires-python = '<3.90'\n";
    let project = project("kept-python", &[("pyproject.toml", text)]);
    let ask = "import sys; print('%d.%d.%d' % sys.version_info[:3])";
    let output = Command::new("python3").args(["-c", ask]).output().expect("python3");
    let version = String::from_utf8(output.stdout).expect("a version").trim().to_owned();
    let pyenv = project.root.join("pyenv");
    let python = pyenv.join("versions").join(&version).join("bin/python3");
    fs::create_dir_all(python.parent().expect("a folder")).expect("a folder");
    fs::create_dir_all(pyenv.join("versions/3.99.0/bin")).expect("a folder");
    fs::write(pyenv.join("versions/3.99.0/bin/python3"), "").expect("a file");
    if !python.exists() {
        let real = Utf8Path::new(python_folder()).join("python3");
        std::os::unix::fs::symlink(real, &python).expect("a link");
    }
    let vars = [&NOWHERE[..], &[("PYENV_ROOT", pyenv.as_str())]].concat();
    let (base, announced) = with_steps(&[], &vars, |steps| pythons::base(steps, &project));
    assert_eq!(base.expect("a Python"), python);
    assert_eq!(announced, [format!("Using Python {version} of pyenv, {python} (none on PATH)")]);
}

#[test]
fn no_python_says_what_to_install() {
    let project = project("no-python", &[("pyproject.toml", "")]);
    let _ = fs::remove_dir_all(project.root.join(".xtask"));
    let state = State::of(&project, None);
    let (result, _) =
        with_steps(&[], &NOWHERE, |steps| python::find(steps, &project, None, &state));
    assert_eq!(
        result.expect_err("an error").to_string(),
        "no Python on PATH; install CPython 3.9 or newer with pip and venv"
    );
}

#[test]
fn a_python_too_new_or_too_old_is_refused() {
    let project = project(
        "no-such-python",
        &[("pyproject.toml", "[project]\nname = 'a'\nrequires-python = '>=3.98'")],
    );
    let state = State::of(&project, None);
    let (result, _) = with_steps(&[], &[], |steps| python::find(steps, &project, None, &state));
    let error = result.expect_err("an error").to_string();
    assert!(error.ends_with("; no-such-python needs `>=3.98`, 3.9 or newer, with venv"), "{error}");
}

#[test]
fn a_half_made_environment_is_made_again() {
    let (project, found) = plain_named("half-made");
    let stamp = project.root.join(".xtask/venv/xtask-stamp");
    fs::remove_file(&stamp).expect("a stamp");
    let again = find(&project, &[], &[]);
    assert_eq!(again.python, found.python);
    assert!(again.announced[0].starts_with("Creating an environment in "), "{:?}", again.announced);
    assert!(stamp.exists());
}

#[test]
fn a_command_that_fails_is_shown_with_its_last_words() {
    let text = "[project]\nname = 'a'\nversion = '1'\ndependencies = ['no such thing']\n";
    let project = project("wrong-dependency", &[("pyproject.toml", text)]);
    let state = State::of(&project, None);
    let (result, _) = with_steps(&[], &[], |steps| python::find(steps, &project, None, &state));
    let error = result.expect_err("an error").to_string();
    assert!(error.starts_with(&format!("`cd {} && ", project.root)), "{error}");
    assert!(error.contains("pip install --disable-pip-version-check --no-input 'no such thing' pytest coverage` ended with exit code 1\n"), "{error}");
    assert!(error.contains("Invalid requirement"), "{error}");
}

#[test]
fn packages_are_those_of_the_product() {
    let table: [(&str, &[&str], &[&str]); 11] = [
        (
            "src-layout",
            &[
                "src/b/__init__.py",
                "src/a.py",
                "src/names/pace/x.py",
                "src/b.egg-info/PKG",
                "other/__init__.py",
            ],
            &["src/a.py", "src/b", "src/names"],
        ),
        (
            "flat-layout",
            &[
                "b/__init__.py",
                "a/__init__.py",
                "tests/__init__.py",
                "docs/__init__.py",
                "manage.py",
            ],
            &["a", "b"],
        ),
        (
            "one-module",
            &["recipes.py", "setup.py", "conftest.py", "test_recipes.py"],
            &["recipes.py"],
        ),
        ("src-is-the-package", &["src/__init__.py", "src/a.py"], &["src"]),
        ("src-of-another-language", &["src/main.c", "a/__init__.py"], &["a"]),
        ("python-folder", &["src/x.ts", "python/a/__init__.py", "python/setup.py"], &["python/a"]),
        ("lib-of-modules", &["lib/a.py", "lib/b/c.py", "tests/test_a.py"], &["lib"]),
        (
            "backend",
            &["backend/app/main.py", "backend/tests/test_main.py", "frontend/x.ts"],
            &["backend/app"],
        ),
        ("namespace", &["acme/core/api.py", "tests/test_api.py"], &["acme/core"]),
        (
            "other-names-of-tests",
            &[
                "a/__init__.py",
                "checks/__init__.py",
                "checks/test_a.py",
                "unit_tests/__init__.py",
                "unit_tests/test_b.py",
                "unit_tests/help.py",
                "contests/__init__.py",
            ],
            &["a", "contests"],
        ),
        (
            "modules",
            &["a.py", "b.py", "tests.py", "docs/conf.py", "env/pyvenv.cfg"],
            &["a.py", "b.py"],
        ),
    ];
    for (name, files, wanted) in table {
        let files: Vec<_> = files.iter().chain(&["setup.cfg"]).map(|file| (*file, "")).collect();
        assert_eq!(facts_of(name, &files).expect(name).packages_here, wanted, "{name}");
    }
}

/// Facts of a project that has only configuration files, read by the plain project's Python.
fn facts_of(name: &str, files: &[(&str, &str)]) -> Result<crate::project::Facts, String> {
    facts(&plain().1, &project(name, files))
}

#[test]
fn pytest_reads_its_own_configuration() {
    let ini = "[pytest]\naddopts = -n4 --timeout=60 -k 'a b'\ntestpaths = tests more\n";
    let facts = facts_of(
        "ini",
        &[
            ("tox.ini", ini),
            ("tests/pytest.ini", "[pytest]\n"),
            ("coverage.py", "raise SystemExit"),
        ],
    );
    let pytest = facts.expect("facts").pytest.expect("pytest");
    assert_eq!(pytest.addopts, ["-n4", "--timeout=60", "-k", "a b"]);
    assert_eq!(pytest.testpaths, ["tests", "more"]);
    assert!(pytest.has_timeout);
    assert_eq!(pytest.inifile, Some(tmp("ini").join("tox.ini")));
    assert_eq!(pytest.shadowed_inifile, Some(tmp("ini").join("tests/pytest.ini")));
}

#[test]
fn broken_configuration_is_named() {
    let table = [
        ("broken-ini", "pytest.ini", "[pytest\n", "pytest cannot read its configuration: "),
        ("broken-addopts", "pytest.ini", "[pytest]\naddopts = 'a\n", "No closing quotation"),
        (
            "broken-rc",
            ".coveragerc",
            "[run]\nbranch = perhaps\n",
            "coverage cannot read its configuration: ",
        ),
    ];
    for (name, file, text, message) in table {
        let error = facts_of(name, &[(file, text), ("setup.cfg", "")]).expect_err(name);
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn noise_of_sitecustomize_is_no_obstacle() {
    let (project, found) = plain();
    let noisy = tmp("noisy");
    fs::write(noisy.join("sitecustomize.py"), "print('{\"facts\": 1}', end='')").expect("a file");
    let (facts, _) = with_steps(&[], &[("PYTHONPATH", noisy.as_str())], |steps| {
        probe::read(steps, &found.python, &project, None, &probe::Typed::default())
    });
    assert!(facts.expect("facts").packages.contains_key("pytest"));
}

fn names(projects: anyhow::Result<Vec<Project>>) -> Result<Vec<String>, String> {
    let projects = projects.map_err(|error| format!("{error:#}"))?;
    Ok(projects.into_iter().map(|project| project.name).collect())
}

#[test]
fn projects_are_found_from_where_one_stands() {
    let root = tmp("monorepo");
    let cargo = "[workspace]\n[workspace.metadata.xtask]\nprojects = ['packages/*']\ndefault-projects = ['packages/b', 'packages/a']\n";
    project(
        "monorepo",
        &[
            ("Cargo.toml", cargo),
            ("pyproject.toml", "[tool.ruff]\n"),
            ("uv.lock", ""),
            ("packages/README.md", ""),
            ("packages/a/pyproject.toml", "[project]\nname = 'first-one'\n"),
            ("packages/a/tests/pytest.ini", ""),
            ("packages/b/pyproject.toml", "[project]\nname = 'second'\n"),
            ("docs/index.md", ""),
        ],
    );
    let workspace =
        Workspace::find(&root.join("packages")).expect("no error").expect("a workspace");
    assert_eq!(workspace.root, root);
    let table: [(&str, &[&str], &[&str]); 7] = [
        ("", &[], &["a", "b"]),
        ("packages/a/tests", &[], &["a"]),
        ("docs", &[], &["monorepo"]),
        ("docs", &["b", "first_one", "a"], &["a", "b"]),
        ("packages", &["a/", "./b"], &["a", "b"]),
        ("", &["."], &["monorepo"]),
        ("packages", &[], &["monorepo"]),
    ];
    for (folder, wanted, found) in table {
        let wanted: Vec<_> = wanted.iter().map(|word| (*word).to_owned()).collect();
        let projects = discover::find(&root.join(folder), &wanted, Some(&workspace));
        assert_eq!(
            names(projects).as_deref(),
            Ok(&found.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()[..]),
            "{folder} {wanted:?}"
        );
    }
    let error = |word: &str| {
        names(discover::find(&root, &[word.to_owned()], Some(&workspace))).expect_err(word)
    };
    assert_eq!(error("c"), "no project or folder `c` (known projects: a, b)");
    assert_eq!(
        error("docs"),
        format!(
            "no Python project in `{root}/docs`; looked for pyproject.toml, setup.py, setup.cfg, pytest.toml, pytest.ini, tox.ini, .coveragerc"
        )
    );
    let project = Project::read(&root.join("packages/a"), Some(&workspace)).expect("a project");
    assert!(State::of(&project, Some(&workspace)).dir().ends_with("xtask/coverage/a"));
}

#[test]
fn a_second_run_is_told_who_the_first_one_is() {
    let project = project("locked", &[("setup.py", "")]);
    let state = State::of(&project, None);
    let first = state.lock().expect("a lock");
    let error = state.lock().expect_err("a second lock").to_string();
    assert_eq!(
        error,
        format!(
            "another run uses `{}` (pid {}); wait for it or stop it",
            state.dir(),
            std::process::id()
        )
    );
    drop(first);
    state.lock().map(drop).expect("a lock once the first is gone");
}
