//! A project's `pyproject.toml`, read once. Says what is written there; judges nothing.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use toml::{Table, Value};

use super::{check_keys, parse_toml, read_if_there};
use crate::exit;

/// What a `pyproject.toml` says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pyproject {
    /// The file; it need not be there.
    pub path: Utf8PathBuf,
    table: Option<Table>,
}

impl Pyproject {
    /// Reads the file in `folder`. One that is not there is as good as an empty one.
    pub(crate) fn read(folder: &Utf8Path) -> Result<Pyproject> {
        let path = folder.join("pyproject.toml");
        let table = read_if_there(&path)?.map(|text| parse_toml(&path, &text)).transpose()?;
        let pyproject = Pyproject { path, table };
        if let Some(xtask) = pyproject.at(&["tool", "xtask"]).and_then(Value::as_table) {
            check_keys(&pyproject.path, "tool.xtask", xtask, &["coverage"])?;
        }
        Ok(pyproject)
    }

    #[cfg(test)]
    pub(super) fn from(path: Utf8PathBuf, table: Table) -> Pyproject {
        Pyproject { path, table: Some(table) }
    }

    /// Whether there is such a file.
    pub(crate) fn exists(&self) -> bool {
        self.table.is_some()
    }

    /// `[tool.xtask.coverage]`: the project's settings, unread.
    pub(crate) fn settings(&self) -> Option<&Table> {
        self.table_at(&["tool", "xtask", "coverage"])
    }

    /// `[project] name`, or poetry's.
    pub(crate) fn name(&self) -> Option<&str> {
        self.str_at(&["project", "name"]).or_else(|| self.str_at(&["tool", "poetry", "name"]))
    }

    /// `[project] requires-python`, or poetry's `python` (which has `^` and `~`).
    pub(crate) fn requires_python(&self) -> Option<&str> {
        let poetry = self.at(&["tool", "poetry", "dependencies", "python"]);
        let poetry =
            poetry.and_then(|value| value.as_str().or_else(|| value.get("version")?.as_str()));
        self.str_at(&["project", "requires-python"]).or(poetry)
    }

    /// The module that builds the project, say `poetry.core.masonry.api`.
    pub(crate) fn build_backend(&self) -> Option<&str> {
        self.str_at(&["build-system", "build-backend"])
    }

    /// Whether pip can install the project from this file; one that only lists dependencies
    /// has nothing to build.
    pub(crate) fn is_package(&self) -> bool {
        let says_no = |path: &[&str]| self.at(path).and_then(Value::as_bool) == Some(false);
        self.has(&["build-system"])
            && !says_no(&["tool", "poetry", "package-mode"])
            && !says_no(&["tool", "uv", "package"])
            && !says_no(&["tool", "pdm", "distribution"])
    }

    /// Whether there is a table, say `[tool.poetry]`.
    pub(crate) fn has(&self, path: &[&str]) -> bool {
        self.table_at(path).is_some()
    }

    /// `[project] dependencies`.
    pub(crate) fn dependencies(&self) -> Vec<String> {
        let list = self.at(&["project", "dependencies"]).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The extras that look like those for tests or development, sorted.
    pub(crate) fn test_extras(&self) -> Vec<String> {
        test_like([
            self.keys(&["project", "optional-dependencies"]),
            self.keys(&["tool", "poetry", "extras"]),
        ])
    }

    /// The `[dependency-groups]` that look like those for tests or development, sorted.
    pub(crate) fn test_groups(&self) -> Vec<String> {
        test_like([self.keys(&["dependency-groups"]), Vec::new()])
    }

    /// poetry's groups that look like those for tests or development and are not installed
    /// unasked, sorted.
    pub(crate) fn optional_poetry_groups(&self) -> Vec<String> {
        let optional = |name: &String| {
            let path = ["tool", "poetry", "group", name, "optional"];
            self.at(&path).and_then(Value::as_bool) == Some(true)
        };
        let groups =
            test_like([self.keys(&["tool", "poetry", "group"]), self.keys(&["dependency-groups"])]);
        groups.into_iter().filter(optional).collect()
    }

    /// What the test and development groups ask for, groups they include followed; pip before
    /// 25.1 cannot read them itself. pdm's older place for them counts too, and `more` groups.
    pub(crate) fn group_requirements(&self, more: &[String]) -> Result<Vec<String>> {
        let mut wanted = Vec::new();
        for group in self.test_groups().iter().chain(more) {
            self.collect_group(group, &mut vec![], &mut wanted)?;
        }
        for group in test_like([self.keys(&["tool", "pdm", "dev-dependencies"]), vec![]]) {
            let list =
                self.at(&["tool", "pdm", "dev-dependencies", &group]).and_then(Value::as_array);
            wanted.extend(list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
        }
        wanted.sort();
        wanted.dedup();
        Ok(wanted)
    }

    fn collect_group(
        &self,
        group: &str,
        within: &mut Vec<String>,
        wanted: &mut Vec<String>,
    ) -> Result<()> {
        let wrong = |what: String| Err(exit::usage(format!("{}: {what}", self.path)).into());
        if within.iter().any(|outer| same_name(outer, group)) {
            return wrong(format!("dependency group `{group}` includes itself"));
        }
        let groups = self.table_at(&["dependency-groups"]).into_iter().flatten();
        let Some((_, items)) = groups.into_iter().find(|(name, _)| same_name(name, group)) else {
            return wrong(format!("no dependency group `{group}`"));
        };
        within.push(group.to_owned());
        for item in items.as_array().into_iter().flatten() {
            match (item.as_str(), item.get("include-group").and_then(Value::as_str)) {
                (Some(requirement), _) => wanted.push(requirement.to_owned()),
                (None, Some(inner)) => self.collect_group(inner, within, wanted)?,
                (None, None) => {
                    return wrong(format!("dependency group `{group}` holds `{item:?}`"));
                }
            }
        }
        within.pop();
        Ok(())
    }

    /// The parts that decide what an environment holds, as text: a change of any other
    /// part (a linter's table, say) is no reason to make a new one.
    pub(crate) fn environment_parts(&self) -> String {
        let tools = ["poetry", "uv", "pdm", "hatch", "setuptools", "flit"];
        let tops = ["project", "build-system", "dependency-groups"];
        let tops = tops.iter().map(|top| self.at(&[top]));
        let parts: Vec<_> = tops.chain(tools.iter().map(|tool| self.at(&["tool", tool]))).collect();
        format!("{parts:?}")
    }

    /// Whether a distribution's name stands anywhere in the parts that list dependencies.
    pub(crate) fn mentions(&self, package: &str) -> bool {
        self.environment_parts().contains(package)
    }

    pub(super) fn at(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let start = self.table.as_ref()?.get(*first)?;
        rest.iter().try_fold(start, |value, key| value.get(key))
    }

    pub(super) fn table_at(&self, path: &[&str]) -> Option<&Table> {
        self.at(path)?.as_table()
    }

    fn str_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path)?.as_str()
    }

    fn keys(&self, path: &[&str]) -> Vec<String> {
        self.table_at(path).into_iter().flat_map(Table::keys).cloned().collect()
    }
}

/// The names by which projects call what their tests and their developers need.
pub(super) fn test_like(names: [Vec<String>; 2]) -> Vec<String> {
    const KNOWN: [&str; 10] = [
        "test",
        "tests",
        "testing",
        "unittest",
        "unit-tests",
        "pytest",
        "dev",
        "develop",
        "development",
        "test-dev",
    ];
    let known = |name: &String| KNOWN.iter().any(|known| same_name(known, name));
    let mut names: Vec<_> = names.into_iter().flatten().filter(known).collect();
    names.sort();
    names.dedup();
    names
}

/// Names of groups, extras and distributions compare without case and kind of dash.
pub(super) fn same_name(a: &str, b: &str) -> bool {
    normal(a) == normal(b)
}

/// The normalised name of a distribution, extra or group.
pub(super) fn normal(name: &str) -> String {
    name.to_lowercase().replace(['_', '.'], "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pyproject(text: &str) -> Pyproject {
        let table = text.parse().expect("TOML");
        Pyproject { path: "/p/pyproject.toml".into(), table: Some(table) }
    }

    #[test]
    fn finds_what_tests_need() {
        let project = pyproject(
            "[project.optional-dependencies]\nTests = []\ndocs = []\n\
             [tool.poetry.extras]\ndev = []\n\
             [tool.poetry.group.test]\noptional = true\n[tool.poetry.group.dev]\n\
             [dependency-groups]\ntests = ['pytest', {include-group = 'More_Stuff'}]\nmore-stuff = ['b', 'a>=1']\nlint = ['ruff']",
        );
        assert_eq!(project.test_extras(), ["Tests", "dev"]);
        assert_eq!(project.test_groups(), ["tests"]);
        assert_eq!(project.optional_poetry_groups(), ["test"]);
        assert_eq!(project.group_requirements(&[]).expect("groups"), ["a>=1", "b", "pytest"]);
    }

    #[test]
    fn broken_groups_are_named() {
        let table = [
            ("test = [{include-group = 'test'}]", "dependency group `test` includes itself"),
            ("test = [{include-group = 'x'}]", "no dependency group `x`"),
            ("test = [1]", "dependency group `test` holds `Integer(1)`"),
        ];
        for (group, message) in table {
            let error = pyproject(&format!("[dependency-groups]\n{group}")).group_requirements(&[]);
            assert_eq!(
                error.expect_err(group).to_string(),
                format!("/p/pyproject.toml: {message}")
            );
        }
    }

    #[test]
    fn reads_names_and_versions_of_both_styles() {
        let standard = pyproject("[project]\nname = 'a'\nrequires-python = '>=3.9'");
        assert_eq!((standard.name(), standard.requires_python()), (Some("a"), Some(">=3.9")));
        let poetry = pyproject("[tool.poetry]\nname = 'b'\ndependencies.python = '^3.9'");
        assert_eq!((poetry.name(), poetry.requires_python()), (Some("b"), Some("^3.9")));
    }

    #[test]
    fn knows_what_can_be_installed() {
        let table = [
            ("[build-system]", true),
            ("[project]\nname = 'a'", false),
            ("[build-system]\n[tool.poetry]\npackage-mode = false", false),
            ("[build-system]\n[tool.uv]\npackage = false", false),
        ];
        for (text, wanted) in table {
            assert_eq!(pyproject(text).is_package(), wanted, "{text}");
        }
    }
}
