//! pytest's node ids: the only place that knows what `::` and `[` mean in them.

/// `tests/test_a.py::TestB::test_c[d]`: a file, what encloses the test in it, the function, and
/// its parameters. Plugins name tests as they like, and parameters hold what they like, `::` and
/// `[` too, so each part is found from the side on which nothing can be in its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeId<'a>(pub &'a str);

impl<'a> NodeId<'a> {
    /// The file; of an id without one, all of it.
    pub(crate) fn file(self) -> &'a str {
        self.0.split_once("::").map_or(self.0, |(file, _)| file)
    }

    /// What follows the file.
    pub(crate) fn within_file(self) -> Option<&'a str> {
        self.0.split_once("::").map(|(_, rest)| rest)
    }

    /// The id without parameters.
    pub(crate) fn function(self) -> &'a str {
        self.0.split_once('[').map_or(self.0, |(function, _)| function)
    }

    /// The classes around the function, within the file; none where there is none.
    pub(crate) fn class(self) -> Option<&'a str> {
        let name = NodeId(self.within_file()?).function();
        name.rsplit_once("::").map(|(class, _)| class)
    }

    /// What xdist's `loadscope` keeps together: as there, parameters may mislead it.
    pub(crate) fn scope(self) -> &'a str {
        self.0.rsplit_once("::").map_or(self.0, |(scope, _)| scope)
    }

    /// The id, and those of its class, its file and the folders that this is in: one of these is
    /// what could not be collected.
    pub(crate) fn and_all_above(self) -> impl Iterator<Item = &'a str> {
        let ends = self.0.match_indices("::").chain(self.file().match_indices('/'));
        std::iter::once(self.0).chain(ends.map(move |(at, _)| &self.0[..at]))
    }

    /// `classname` and `name`, as pytest's junitxml cuts it.
    pub(crate) fn junit_names(self) -> (String, String) {
        let (path, parameters) = self.0.split_at(self.function().len());
        let mut names: Vec<&str> = path.split("::").collect();
        let file = names[0].replace('/', ".");
        names[0] = file.strip_suffix(".py").unwrap_or(&file);
        let last = names.pop().unwrap_or_default();
        (names.join("."), format!("{last}{parameters}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: NodeId<'_> = NodeId("tests/a.py::TestB::test_c[x::y[z]]");

    #[test]
    fn an_id_has_parts() {
        assert_eq!(ID.file(), "tests/a.py");
        assert_eq!(ID.within_file(), Some("TestB::test_c[x::y[z]]"));
        assert_eq!(ID.function(), "tests/a.py::TestB::test_c");
        assert_eq!(ID.class(), Some("TestB"));
        assert_eq!(NodeId("a.py::f[x::y]").class(), None);
        assert_eq!(NodeId("a.py::T::f").scope(), "a.py::T");
    }

    #[test]
    fn an_id_without_a_file_is_all_there_is() {
        for id in ["", "README.rst", "::mypy"] {
            let id = NodeId(id);
            assert!(id.0.starts_with(id.file()), "{id:?}");
            assert_eq!(id.class(), None);
        }
    }

    #[test]
    fn what_is_above_is_named_from_the_file_on() {
        let above: Vec<&str> = NodeId("a/b/c.py::D::e[x::/y]").and_all_above().collect();
        let wanted = ["a/b/c.py::D::e[x::/y]", "a/b/c.py", "a/b/c.py::D", "a/b/c.py::D::e[x"];
        assert_eq!(above, [&wanted[..], &["a", "a/b"]].concat());
    }
}
