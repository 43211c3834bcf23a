//! The small project that most tests run: one package, one branch of which no test takes.

use crate::support::Project;

/// Nine of ten lines are covered, and five of six branches: 90 % of lines, 87.5 % with branches.
pub(crate) const SOURCE: &str = "\
def price(n):
    if n > 10:
        return n * 9
    return n * 10


def label(kind):
    if kind == 'a':
        return 'first'
    if kind == 'b':
        return 'second'
    return 'other'
";

pub(crate) const PRICE_TESTS: &str = "\
import pytest
from shop import price


@pytest.mark.parametrize('n', [1, 20], ids=['a few', 'many'])
def test_price(n):
    assert price(n) in (10, 180)
";

pub(crate) const LABEL_TESTS: &str = "\
from shop import label


def test_first():
    assert label('a') == 'first'


def test_second():
    assert label('b') == 'second'
";

/// The shop, with this in its `[tool.pytest.ini_options]` and these tables after it.
pub(crate) fn shop(pytest: &str, tables: &str) -> Project {
    let project = Project::at("shop", &[]);
    project.write("pyproject.toml", &pyproject(pytest, tables));
    project.write_all(&[
        ("src/shop/__init__.py", SOURCE),
        ("tests/test_label.py", LABEL_TESTS),
        ("tests/test_price.py", PRICE_TESTS),
    ]);
    project
}

pub(crate) fn pyproject(pytest: &str, tables: &str) -> String {
    format!(
        "[project]\nname = 'shop'\nversion = '1'\n\n\
         [tool.pytest.ini_options]\npythonpath = ['src']\n{pytest}\n\n{tables}\n"
    )
}

/// As quick as it gets, and the same on every machine.
pub(crate) const ONE_AT_A_TIME: [&str; 6] =
    ["--splits", "2", "--max-concurrent-splits", "1", "--workers-per-split", "1"];

/// `coverage` with an engine, two splits one after the other, and more options.
pub(crate) fn coverage<'a>(engine: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["coverage", "--engine", engine], &ONE_AT_A_TIME[..], more].concat()
}
