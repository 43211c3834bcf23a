//! Environments as people have them: active ones of other projects, half-made ones, read-only
//! checkouts, and what cargo leaves in the environment of what it runs.

use camino::{Utf8Path, Utf8PathBuf};

use super::support::{BINARY, Output, Project, Run, stock_env};

const TEST: (&str, &str) = ("test_a.py", "def test_a(): pass\n");
/// A test that passes in the environment of this folder alone.
const WHERE: &str = "import sys\ndef test_where(): assert sys.prefix == ";

/// An environment that sees what the stock engine needs, and is not empty for that.
pub(crate) fn environment(folder: &Utf8Path) -> Utf8PathBuf {
    let site = bare_environment(folder);
    let stock = stock_env();
    let ask = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let packages = stock.python_says(Utf8Path::new("/"), ask, &[]);
    std::fs::write(site.join("stock.pth"), packages).expect("a file");
    folder.to_path_buf()
}

/// As `uv venv` leaves one. Returns where packages would be.
fn bare_environment(folder: &Utf8Path) -> Utf8PathBuf {
    let python = stock_env().python();
    let make = Run::of(&python).args(&["-m", "venv", "--without-pip", folder.as_str()]);
    make.output().exits(0);
    let ask = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let said = Run::of(&folder.join("bin/python")).args(&["-c", ask]).output().exits(0);
    said.stdout.trim().into()
}

fn run_with(project: &Project, folder: &str, vars: &[(&str, &str)]) -> Output {
    let run = project.xtask(&["coverage", "--report", "none"]).cwd(&project.root.join(folder));
    vars.iter().fold(run, |run, (name, value)| run.var(name, value)).output()
}

engines! {
    /// Neither for the tests nor for programs that they start, such as `python` or `flask`.
    fn an_active_environment_of_another_project_is_not_used(engine) {
        let pyproject = |name: &str| format!("[project]\nname = '{name}'\nversion = '1'\n");
        let project = Project::new(&[]).without_env();
        for name in ["a", "b"] {
            project.write(&format!("{name}/pyproject.toml"), &pyproject(name));
            environment(&project.root.join(name).join(".venv"));
        }
        let own = project.root.join("b/.venv");
        let started = format!(
            "import os, shutil\ndef test_started():\n    \
             assert shutil.which('python') == '{own}/bin/python'\n    \
             assert os.environ['VIRTUAL_ENV'] == '{own}'\n"
        );
        project.write("b/test_b.py", &format!("{WHERE}'{own}'\n{started}"));
        let active = project.root.join("a/.venv");
        let path = format!("{active}/bin:{}", std::env::var("PATH").unwrap_or_default());
        let args = ["coverage", "--report", "none", "--splits", "1", "--engine", engine];
        let run = project.xtask(&args).cwd(&project.root.join("b"));
        let run = run.var("VIRTUAL_ENV", active.as_str()).var("PATH", &path);
        run.output()
            .exits(0)
            .tells(&format!("`{active}` (VIRTUAL_ENV) is not used: it is the environment of"))
            .tells("(.venv)")
            .says("2 tests passed");
    }
}

/// Nobody but pipx says that an environment is pipx's: a folder may have any name.
#[test]
fn an_environment_below_a_folder_named_pipx_is_used() {
    let project = Project::at("pipx/shop", &[("pyproject.toml", ""), TEST]).without_env();
    let active = environment(&project.root.join("env"));
    run_with(&project, "", &[("VIRTUAL_ENV", active.as_str())])
        .exits(0)
        .tells("(VIRTUAL_ENV)")
        .never_says("not used");
}

#[test]
fn what_was_passed_over_is_named_where_something_is_missing() {
    let project = Project::new(&[("pyproject.toml", ""), ("test_a.py", "import nosuchmodule")]);
    let project = project.without_env();
    environment(&project.root.join(".venv"));
    let program = environment(&project.root.join("venvs/black"));
    project.write("venvs/black/pipx_metadata.json", "{}");
    let base = environment(&project.root.join("miniconda"));
    let vars = [
        ("VIRTUAL_ENV", program.as_str()),
        ("CONDA_PREFIX", base.as_str()),
        ("CONDA_DEFAULT_ENV", "base"),
    ];
    let output = run_with(&project, "", &vars).exits(1);
    output
        .says("hint: no module `nosuchmodule` in ")
        .says("venvs/black` (VIRTUAL_ENV) is not used: it is the environment of a program (black, by pipx)")
        .says("miniconda` (CONDA_PREFIX) is not used: it is conda's base environment");
}

/// What helps is to install what the project lists, not to list it once more.
#[test]
fn an_empty_environment_is_filled_with_what_is_listed() {
    let groups = "[project]\nname = 'a'\n[dependency-groups]\ntest = ['pytest-cov']\n";
    let project = Project::new(&[("pyproject.toml", groups), TEST]).without_env();
    bare_environment(&project.root.join(".venv"));
    run_with(&project, "", &[]).exits(4).tells("/.venv/bin/python pytest-cov pytest coverage`");
}

/// It would install into a Python that is everybody's, as images of containers are configured.
#[test]
fn poetry_that_makes_no_environment_is_not_let_install() {
    let text = "[tool.poetry]\npackage-mode = false\n";
    let project = Project::new(&[("pyproject.toml", text), TEST]).without_env();
    environment(&project.root.join(".venv"));
    let poetry = "#!/bin/sh\n[ \"$1\" = config ] && echo false || echo \"$@\" >> called\n";
    project.write("programs/poetry", poetry);
    let program = project.root.join("programs/poetry");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, executable).expect("a program");
    let path = format!("{}/programs:/usr/bin:/bin", project.root);
    run_with(&project, "", &[("PATH", &path)])
        .exits(0)
        .tells("poetry is told to make no environment (`virtualenvs.create`)")
        .tells("(.venv)");
    assert!(!project.read("called").contains("install"));
}

#[test]
fn a_new_dependency_is_noticed() {
    let text = "[project]\nname = 'a'\ndependencies = ['Pytest>1', 'no.such_thing', \
                'other; sys_platform == \"none\"']\nrequires-python = '<3'\n";
    let project = Project::new(&[("pyproject.toml", text), TEST]);
    project
        .run(&["coverage", "--report", "none"])
        .exits(0)
        .tells("lists `no-such-thing`, not there in ")
        .tells("asks for Python `<3`; ");
}

#[test]
fn what_cargo_sets_does_not_reach_the_tests() {
    let test = "import os\ndef test_names():\n    \
                names = {n for n in os.environ if n.startswith(('CARGO', 'RUST', 'LD_', 'OUT_'))}\n    \
                assert names == {'CARGO_TARGET_DIR', 'RUST_LOG', 'LD_LIBRARY_PATH'}\n    \
                assert os.environ['LD_LIBRARY_PATH'] == '/opt/mine'\n";
    let project = Project::new(&[("pyproject.toml", ""), ("test_a.py", test)]);
    let target = project.root.join("out");
    let vars = [
        ("CARGO", "/c/cargo"),
        ("CARGO_MANIFEST_DIR", "/w/xtask"),
        ("CARGO_PKG_NAME", "xtask"),
        ("CARGO_PKG_VERSION_MAJOR", "0"),
        ("RUSTUP_TOOLCHAIN", "stable"),
        ("RUST_RECURSION_COUNT", "1"),
        ("LD_LIBRARY_PATH", "/w/target/debug/deps:/r/lib/rustlib/x86_64/lib:/opt/mine"),
        ("CARGO_TARGET_DIR", target.as_str()),
        ("RUST_LOG", "info"),
    ];
    run_with(&project, "", &vars).exits(0);
}

#[test]
fn the_target_folder_may_be_configured() {
    let project = Project::new(&[
        ("Cargo.toml", "[workspace]\n"),
        (".cargo/config.toml", "[build]\ntarget-dir = 'built/here'\n"),
        ("py/pyproject.toml", ""),
        ("py/test_a.py", TEST.1),
    ]);
    run_with(&project, "py", &[]).exits(0);
    assert!(project.has("built/here/xtask/coverage") && !project.has("target"));
    assert!(!project.has("py/.xtask"));
}

/// Only a mount keeps root from writing. Where a container allows none there is nothing to see.
#[test]
fn a_read_only_checkout_has_its_results_elsewhere() {
    let project = Project::new(&[("pyproject.toml", ""), TEST, ("Cargo.toml", "[workspace]\n")]);
    let target = tempfile::tempdir().expect("a folder");
    let script = "mount --bind . . && mount -o remount,ro,bind . && cd \"$PWD\" || exit 99\n\
                  exec \"$@\"";
    let words = ["-m", "sh", "-c", script, "sh", BINARY, "coverage", "--report", "term,xml"];
    let run = Run::of(Utf8Path::new("unshare")).args(&words).cwd(&project.root);
    let run = run.active(project.env()).var("CARGO_TARGET_DIR", target.path().to_str().expect("x"));
    let output = run.output();
    if output.code == 99 || output.stderr.contains("unshare failed") {
        return;
    }
    let output = output.exits(0).tells("cannot be written; the results go to `");
    let xml = Utf8PathBuf::from(output.line("XML report: "));
    assert!(xml.starts_with(target.path()) && xml.is_file(), "{xml}");
    assert!(!project.has(".coverage") && !project.has("coverage.xml"));
}
