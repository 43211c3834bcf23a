//! The line that runs tests again, to paste into a shell. Pure.

use std::collections::BTreeSet;

use crate::model::NodeId;
use camino::{Utf8Path, Utf8PathBuf};

/// How the user runs tests of a project again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Again {
    /// What is typed before `--` (`cargo xtask coverage -p inventory`), in words.
    pub command: Vec<String>,
    /// What node ids are relative to.
    pub rootdir: Utf8PathBuf,
    /// What pytest's arguments are relative to: the project's folder.
    pub root: Utf8PathBuf,
    /// Beginnings of ids, before `::`, that are no files: plugins name tests as they like.
    pub no_files: BTreeSet<String>,
}

impl Again {
    /// Runs these tests by their names, or, where pytest cannot find one by its name, all that is
    /// known to have failed.
    pub(crate) fn line(&self, ids: &[&str]) -> String {
        let arguments: Option<Vec<String>> = ids.iter().map(|id| self.argument(id)).collect();
        match arguments {
            Some(arguments) => self.join(["--".to_owned()].into_iter().chain(arguments)),
            None => self.last_failed(),
        }
    }

    /// Runs all that is known to have failed.
    pub(crate) fn last_failed(&self) -> String {
        self.join(["--last-failed".to_owned()])
    }

    /// Runs what is in a file, on another machine, with what was typed for pytest.
    pub(crate) fn rerun(&self, file: &str, pytest_args: &[String]) -> String {
        let dashes = (!pytest_args.is_empty()).then(|| "--".to_owned());
        let words = ["--rerun".to_owned(), file.to_owned()].into_iter().chain(dashes);
        self.join(words.chain(pytest_args.iter().cloned()))
    }

    fn join(&self, more: impl IntoIterator<Item = String>) -> String {
        shell_words::join(self.command.iter().cloned().chain(more))
    }

    /// What pytest is given to find a test, from the project's folder.
    fn argument(&self, id: &str) -> Option<String> {
        let file = NodeId(id).file();
        // pytest takes what follows the first bracket for parameters, in a path too.
        if file.is_empty() || file.contains('[') || self.no_files.contains(file) {
            return None;
        }
        let path = match self.rootdir == self.root {
            true => Utf8Path::new(file).to_owned(),
            false => {
                let path = self.rootdir.join(file);
                path.strip_prefix(&self.root).map(Utf8Path::to_owned).unwrap_or(path)
            }
        };
        // Options, and files that arguments are read from.
        let escape = if path.as_str().starts_with(['-', '@']) { "./" } else { "" };
        Some(format!("{escape}{path}{}", &id[file.len()..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(rootdir: &str, root: &str) -> Again {
        Again {
            command: vec!["x".to_owned()],
            rootdir: rootdir.into(),
            root: root.into(),
            no_files: ["virtual".to_owned()].into(),
        }
    }

    #[test]
    fn ids_become_arguments_of_the_projects_folder() {
        let table = [
            ("/p", "/p", "tests/test_a.py::test", "x -- tests/test_a.py::test"),
            ("/p", "/p", "a.py::test[b c::d]", "x -- 'a.py::test[b c::d]'"),
            ("/p", "/p", "-a.py::test", "x -- ./-a.py::test"),
            ("/p", "/p", "@a/a.py", "x -- ./@a/a.py"),
            ("/p", "/p/sub", "sub/a.py::test", "x -- a.py::test"),
            ("/p", "/p/sub", "other/a.py::test", "x -- /p/other/a.py::test"),
            ("/p/sub", "/p", "a.py::test", "x -- sub/a.py::test"),
            ("/p/sub", "/p", "../b.py::test", "x -- sub/../b.py::test"),
            ("/p", "/p", "::mypy", "x --last-failed"),
            ("/p", "/p", "virtual::mypy", "x --last-failed"),
            ("/p", "/p", "a[1]/a.py::test", "x --last-failed"),
        ];
        for (rootdir, root, id, line) in table {
            assert_eq!(again(rootdir, root).line(&[id]), line, "{id}");
        }
    }

    #[test]
    fn with_one_that_has_no_name_for_pytest_all_that_failed_run() {
        assert_eq!(again("/p", "/p").line(&["a.py::b", "::c"]), "x --last-failed");
    }
}
