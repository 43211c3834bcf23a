//! What a project's configuration lists for those who test it: where each tool keeps it, and
//! what of it needs no decision by a marker.

use camino::Utf8Path;
use toml::{Table, Value};

use super::pyproject::{normal, same_name, test_like};
use super::{Project, Pyproject, Tool};
use crate::files;

impl Pyproject {
    /// The distributions that a plain `poetry install`, `uv sync`, `pdm install` or `pip install`
    /// of the project installs whatever the platform, by normalised name.
    pub(super) fn unconditional(&self, tool: Tool) -> Vec<String> {
        let mut names: Vec<String> =
            self.dependencies().iter().filter_map(|it| plain_name(it)).collect();
        match tool {
            Tool::Poetry => names.extend(self.poetry_names()),
            Tool::Uv => names.extend(self.default_groups().iter().filter_map(|it| plain_name(it))),
            Tool::Pdm | Tool::Pip => {}
        }
        names.sort();
        names.dedup();
        names
    }

    /// poetry's own tables: the project's dependencies and the groups that are not optional.
    fn poetry_names(&self) -> Vec<String> {
        let groups = self.table_at(&["tool", "poetry", "group"]).into_iter().flatten();
        let groups = groups.filter(|(_, group)| !is_true(group, "optional"));
        let groups = groups.filter_map(|(_, group)| group.get("dependencies")?.as_table());
        let own = self.table_at(&["tool", "poetry", "dependencies"]);
        let older = self.table_at(&["tool", "poetry", "dev-dependencies"]);
        let listed = own.into_iter().chain(older).chain(groups).flatten();
        let listed = listed.filter(|(name, value)| *name != "python" && is_unconditional(value));
        listed.map(|(name, _)| normal(name)).collect()
    }

    /// What uv syncs unasked besides the dependencies.
    fn default_groups(&self) -> Vec<String> {
        let named = self.at(&["tool", "uv", "default-groups"]).and_then(Value::as_array);
        let named: Vec<&str> = match named {
            Some(named) => named.iter().filter_map(Value::as_str).collect(),
            None => vec!["dev"],
        };
        let groups = self.table_at(&["dependency-groups"]).into_iter().flatten();
        let groups = groups.filter(|(name, _)| named.iter().any(|it| same_name(it, name)));
        let items = groups.filter_map(|(_, items)| items.as_array()).flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Whether what the project lists anywhere brings a distribution: by its name, or with a
    /// plugin that needs it.
    pub(super) fn brings(&self, package: &str) -> bool {
        match package {
            // Every plugin of pytest needs pytest.
            "pytest" => self.mentions("pytest"),
            "coverage" => self.mentions("coverage") || self.mentions("pytest-cov"),
            _ => self.mentions(package),
        }
    }
}

/// What hatch's environments for tests hold: requirements, and extras and groups of the project.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hatch {
    pub(super) requirements: Vec<String>,
    pub(super) extras: Vec<String>,
    pub(super) groups: Vec<String>,
}

/// Reads them from `hatch.toml`, else from `[tool.hatch.envs]`. Those that are like tests inherit
/// from `default`, as all do that do not say otherwise.
pub(super) fn hatch(root: &Utf8Path, pyproject: &Pyproject) -> Hatch {
    let own = files::read_text(&root.join("hatch.toml")).ok();
    let own: Option<Table> = own.and_then(|text| text.parse().ok());
    let own = own.as_ref().and_then(|table| table.get("envs")?.as_table());
    let envs = own.or_else(|| pyproject.table_at(&["tool", "hatch", "envs"]));
    envs.map(hatch_of).unwrap_or_default()
}

fn hatch_of(envs: &Table) -> Hatch {
    let names: Vec<String> = envs.keys().cloned().collect();
    let mut chosen = test_like([names, vec![]]);
    chosen.extend(["hatch-test"].map(str::to_owned).into_iter().filter(|it| envs.contains_key(it)));
    if chosen.iter().all(|name| !is_detached(envs, name)) {
        chosen.push("default".to_owned());
    }
    let mut found = Hatch::default();
    for env in chosen.iter().filter_map(|name| envs.get(name.as_str())) {
        found.requirements.extend(words(env, "dependencies"));
        found.requirements.extend(words(env, "extra-dependencies"));
        found.extras.extend(words(env, "features"));
        found.groups.extend(words(env, "dependency-groups"));
    }
    // What `hatch test` installs where nothing else is said, and what tests ask for by name.
    let says = |key: &str| envs.get("hatch-test").is_some_and(|env| env.get(key).is_some());
    if envs.contains_key("hatch-test") && !says("dependencies") {
        found.requirements.push("pytest-mock".to_owned());
    }
    for list in [&mut found.requirements, &mut found.extras, &mut found.groups] {
        list.sort();
        list.dedup();
    }
    // hatch fills these in; pip cannot.
    found.requirements.retain(|requirement| !requirement.contains("{root"));
    found
}

fn is_detached(envs: &Table, name: &str) -> bool {
    envs.get(name).is_some_and(|env| is_true(env, "detached"))
}

fn words(table: &Value, key: &str) -> Vec<String> {
    let list = table.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn is_true(table: &Value, key: &str) -> bool {
    table.get(key).and_then(Value::as_bool) == Some(true)
}

fn is_unconditional(value: &Value) -> bool {
    match value {
        Value::String(_) => true,
        Value::Table(table) => {
            let conditions = ["optional", "markers", "python", "platform"];
            !conditions.iter().any(|key| table.contains_key(*key))
        }
        _ => false,
    }
}

/// The name in a requirement without a marker.
fn plain_name(requirement: &str) -> Option<String> {
    if requirement.contains(';') {
        return None;
    }
    let is_of_name = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let name = requirement.trim().split(|c| !is_of_name(c)).next()?;
    Some(normal(name)).filter(|name| !name.is_empty())
}

impl Project {
    /// The Pythons that the project accepts, wherever it says so.
    pub(crate) fn requires_python(&self) -> Option<String> {
        let text = |name: &str| files::read_text(&self.root.join(name)).unwrap_or_default();
        let own = self.pyproject.requires_python().map(str::to_owned);
        let setup_cfg = || options(&text("setup.cfg"), "python_requires").into_iter().next();
        own.or_else(setup_cfg).or_else(|| literal(&text("setup.py"), "python_requires"))
    }
}

/// What `[options] tests_require` lists in a `setup.cfg`, which pip does not install.
pub(super) fn tests_require(setup_cfg: &str) -> Vec<String> {
    let found = options(setup_cfg, "tests_require");
    let found = found.iter().flat_map(|line| line.split(';'));
    found.map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

/// The lines of a value in `[options]` of a `setup.cfg`.
fn options(setup_cfg: &str, wanted: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut section, mut within) = ("", false);
    for line in setup_cfg.lines() {
        let text = line.trim();
        if text.starts_with('[') {
            (section, within) = (text, false);
        } else if text.is_empty() || text.starts_with(['#', ';']) {
            continue;
        } else if line.starts_with([' ', '\t']) {
            found.extend(within.then(|| text.to_owned()));
        } else {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            within = section == "[options]" && key.trim() == wanted;
            found.extend(Some(value.trim().to_owned()).filter(|it| within && !it.is_empty()));
        }
    }
    found
}

/// A text that a `setup.py` gives to an argument, where it is written out.
fn literal(setup_py: &str, argument: &str) -> Option<String> {
    let rest = setup_py.split(argument).nth(1)?.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|it| ['\'', '"'].contains(it))?;
    rest[1..].split(quote).next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().expect("TOML")
    }

    fn pyproject(text: &str) -> Pyproject {
        Pyproject::from("/p/pyproject.toml".into(), table(text))
    }

    #[test]
    fn what_is_installed_whatever_the_platform() {
        let project = pyproject(
            "[project]\ndependencies = ['A_b[x]>=1', 'tomli; python_version < \"3.11\"', 'c @ file:///c']\n\
             [dependency-groups]\ndev = ['pytest', {include-group = 'x'}]\nx = ['y']\n\
             [tool.poetry.dependencies]\npython = '^3.9'\nd = '*'\ne = {version = '1', optional = true}\n\
             f = [{version = '1'}]\n[tool.poetry.group.g.dependencies]\nh = {path = '../h'}\n\
             [tool.poetry.group.i]\noptional = true\n[tool.poetry.group.i.dependencies]\nj = '*'",
        );
        assert_eq!(project.unconditional(Tool::Pip), ["a-b", "c"]);
        assert_eq!(project.unconditional(Tool::Uv), ["a-b", "c", "pytest"]);
        assert_eq!(project.unconditional(Tool::Poetry), ["a-b", "c", "d", "h"]);
    }

    #[test]
    fn a_plugin_brings_what_it_needs() {
        let project = pyproject("[dependency-groups]\ndev = ['pytest-cov']");
        assert!(project.brings("pytest") && project.brings("coverage"));
        assert!(!project.brings("pytest-split"));
    }

    #[test]
    fn hatch_environments_for_tests() {
        let envs = table(
            "[default]\ndependencies = ['a']\n[test]\ndependencies = ['b', 'c @ {root:uri}/c']\n\
             extra-dependencies = ['d']\nfeatures = ['x']\ndependency-groups = ['g']\n\
             [docs]\ndependencies = ['mkdocs']",
        );
        let found = hatch_of(&envs);
        assert_eq!(found.requirements, ["a", "b", "d"]);
        assert_eq!((found.extras, found.groups), (vec!["x".to_owned()], vec!["g".to_owned()]));
        let detached = table("[default]\ndependencies = ['a']\n[test]\ndetached = true");
        assert_eq!(hatch_of(&detached), Hatch::default());
        let unsaid = table("[hatch-test]\nextra-dependencies = ['e']");
        assert_eq!(hatch_of(&unsaid).requirements, ["e", "pytest-mock"]);
    }

    #[test]
    fn tests_require_of_setup_cfg() {
        let text = "[metadata]\nname = a\n[options]\ninstall_requires =\n    x\n\
                    tests_require =\n    pytest-mock>=3\n    # no\n    freezegun\nzip_safe = no\n\
                    [options.extras_require]\ntests_require = y\n";
        assert_eq!(tests_require(text), ["pytest-mock>=3", "freezegun"]);
        assert_eq!(tests_require("[options]\ntests_require = a; b"), ["a", "b"]);
        assert_eq!(options("[options]\npython_requires = >=3.12", "python_requires"), [">=3.12"]);
    }

    #[test]
    fn arguments_that_are_written_out() {
        let text = "setup(name='a', python_requires = \">=3.12\", x=1)";
        assert_eq!(literal(text, "python_requires").as_deref(), Some(">=3.12"));
        assert_eq!(literal("setup(python_requires=WANTED)", "python_requires"), None);
    }
}
