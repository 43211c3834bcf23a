//! Edits of other people's files: what is there keeps its place, its form and its comments.

use anyhow::{Context, Result};
use camino::Utf8Path;
use toml_edit::{Array, DocumentMut, Item, Table, Value, value};

use super::survey::parse;
use crate::exit;

/// The alias `xtask` in cargo's configuration, as one text.
pub(super) fn alias(path: &Utf8Path, text: Option<&str>) -> Result<Option<String>> {
    let document = parse(path, text.unwrap_or_default())?;
    let alias = document.get("alias").and_then(|it| it.get("xtask"));
    let words = alias.and_then(Item::as_array).map(|array| {
        let words = array.iter().filter_map(Value::as_str);
        words.collect::<Vec<_>>().join(" ")
    });
    Ok(words.or_else(|| alias.and_then(Item::as_str).map(str::to_owned)))
}

/// cargo's configuration with the alias, unless it has one.
pub(super) fn with_alias(path: &Utf8Path, text: Option<&str>, run: &str) -> Result<String> {
    let mut document = parse(path, text.unwrap_or_default())?;
    if alias(path, text)?.is_none() {
        let table = document.entry("alias").or_insert_with(|| Item::Table(Table::new()));
        let table = table.as_table_like_mut().with_context(|| wrong("alias", path.as_str()))?;
        table.insert("xtask", value(run));
    }
    Ok(document.to_string())
}

/// A workspace for the package alone. `apart` are packages that are to stay what they are.
pub(super) fn new_workspace(apart: &[String]) -> DocumentMut {
    let mut document = DocumentMut::new();
    let mut table = Table::new();
    table.insert("resolver", value("3"));
    table.insert("members", value(Array::new()));
    if !apart.is_empty() {
        table.insert("exclude", value(apart.iter().collect::<Array>()));
    }
    document.insert("workspace", Item::Table(table));
    document
}

/// Adds a package to a workspace, or makes a package the root of one. What cargo builds where
/// nothing is said stays the same.
pub(super) fn add_member(document: &mut DocumentMut, member: &Utf8Path) -> Result<()> {
    let is_package = document.contains_key("package");
    let is_new = !document.contains_key("workspace");
    let table = document.entry("workspace").or_insert_with(|| Item::Table(Table::new()));
    let workspace = table.as_table_like_mut().with_context(|| wrong("workspace", "Cargo.toml"))?;
    let members = workspace.entry("members").or_insert_with(|| value(Array::new()));
    let members = members.as_array_mut().with_context(|| wrong("members", "Cargo.toml"))?;
    let there: Vec<String> = members.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if there.iter().any(|pattern| matches(pattern, member.as_str())) {
        return Ok(());
    }
    push(members, member.as_str());
    // Without a root package and without this key cargo builds all members.
    let builds_all = !is_package && !is_new && !there.is_empty();
    if builds_all && !workspace.contains_key("default-members") {
        workspace.insert("default-members", value(there.iter().collect::<Array>()));
    }
    Ok(())
}

/// Adds an entry in the form that the others have: one a line, where they have lines.
fn push(array: &mut Array, text: &str) {
    let before = array.iter().last().and_then(|last| last.decor().prefix()?.as_str());
    let before = before.map(|text| match text.rfind('\n') {
        // Without the comments that may stand before the last one.
        Some(at) => text[at..].to_owned(),
        None => text.to_owned(),
    });
    let count = array.len();
    // A comment behind the last comma belongs to the entry before it.
    let comment = array.trailing().as_str().unwrap_or_default().trim_end().to_owned();
    if comment.contains('#') {
        array.set_trailing("\n");
    }
    array.push(text);
    let Some(last) = array.get_mut(count) else { return };
    match before {
        Some(before) if before.contains('\n') => {
            let comment = if comment.contains('#') { comment } else { String::new() };
            last.decor_mut().set_prefix(comment + &before);
        }
        Some(_) if count > 0 => last.decor_mut().set_prefix(" "),
        _ => {}
    }
}

/// Whether a pattern of `members` stands for a folder.
fn matches(pattern: &str, folder: &str) -> bool {
    let pattern: Vec<&str> = pattern.trim_start_matches("./").split('/').collect();
    let folder: Vec<&str> = folder.split('/').collect();
    pattern.len() == folder.len()
        && pattern.iter().zip(&folder).all(|(pattern, name)| match pattern.split_once('*') {
            None => pattern == name,
            Some((start, end)) => {
                name.len() >= start.len() + end.len()
                    && name.starts_with(start)
                    && name.ends_with(end)
            }
        })
}

/// Names the Python projects, unless somebody has done so.
pub(super) fn add_projects(document: &mut DocumentMut, projects: &[String]) -> Result<()> {
    if projects.is_empty() {
        return Ok(());
    }
    let mut table: &mut dyn toml_edit::TableLike = document.as_table_mut();
    for name in ["workspace", "metadata", "xtask"] {
        let new = || {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        };
        let item = table.entry(name).or_insert_with(new);
        table = item.as_table_like_mut().with_context(|| wrong(name, "Cargo.toml"))?;
    }
    if !table.contains_key("projects") {
        let mut array = Array::new();
        projects.iter().for_each(|project| array.push(project));
        if projects.len() > 3 {
            array.iter_mut().for_each(|project| project.decor_mut().set_prefix("\n    "));
            array.set_trailing("\n");
            array.set_trailing_comma(true);
        }
        table.insert("projects", value(array));
    }
    Ok(())
}

/// An ignore file with these lines, as far as none of its own says the same.
pub(super) fn with_ignored(text: &str, wanted: &[&str]) -> String {
    let plain = |line: &str| line.trim().trim_matches('/').trim_start_matches("**/").to_owned();
    let there: Vec<String> = text.lines().map(plain).collect();
    let says = |line: &&&str| {
        let (whole, name) = (plain(line), line.rsplit('/').find(|part| !part.is_empty()));
        there.iter().any(|other| {
            *other == whole
                || name.is_some_and(|name| other == name)
                || other.strip_suffix('*').is_some_and(|start| {
                    !start.is_empty() && !start.contains('*') && whole.starts_with(start)
                })
        })
    };
    let missing: Vec<&str> = wanted.iter().filter(|line| !says(line)).copied().collect();
    if missing.is_empty() {
        return text.to_owned();
    }
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{gap}{}\n", missing.join("\n"))
}

fn wrong(key: &str, file: &str) -> exit::Fault {
    exit::usage(format!("`{key}` in {file} is not what cargo wants it to be"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, edit: impl FnOnce(&mut DocumentMut) -> Result<()>) -> String {
        let mut document = text.parse().expect("TOML");
        edit(&mut document).expect("an edit");
        document.to_string()
    }

    fn with_member(text: &str) -> String {
        edited(text, |document| add_member(document, Utf8Path::new("xtask")))
    }

    #[test]
    fn the_alias_joins_what_is_there() {
        let path = Utf8Path::new("/r/.cargo/config.toml");
        let text = "# ours\n[alias] # short\nb = 'build'\n\n[build]\njobs = 2 # two\n";
        let after = with_alias(path, Some(text), "run --").expect("an alias");
        assert_eq!(
            after,
            "# ours\n[alias] # short\nb = 'build'\nxtask = \"run --\"\n\n[build]\njobs = 2 # two\n"
        );
        assert_eq!(with_alias(path, Some(&after), "other").expect("an alias"), after);
        assert_eq!(with_alias(path, None, "run --").expect("x"), "[alias]\nxtask = \"run --\"\n");
        let array = alias(path, Some("alias.xtask = ['run', '-p', 'x', '--']"));
        assert_eq!(array.expect("an alias").as_deref(), Some("run -p x --"));
    }

    #[test]
    fn a_member_is_added_in_the_form_of_the_others() {
        let table = [
            (
                "[workspace]\nmembers = [\n    'a', # first\n    # last\n    'b',\n]\n",
                "[workspace]\nmembers = [\n    'a', # first\n    # last\n    'b',\n    \"xtask\",\n]\ndefault-members = [\"a\", \"b\"]\n",
            ),
            (
                "[workspace]\nmembers = ['a']\ndefault-members = ['a']\n",
                "[workspace]\nmembers = ['a', \"xtask\"]\ndefault-members = ['a']\n",
            ),
            (
                "[package]\nname = 'p'\n\n[dependencies]\n",
                "[package]\nname = 'p'\n\n[dependencies]\n\n[workspace]\nmembers = [\"xtask\"]\n",
            ),
            ("[workspace]\nmembers = ['x*']\n", "[workspace]\nmembers = ['x*']\n"),
            ("[workspace]\nmembers = ['xtask']\n", "[workspace]\nmembers = ['xtask']\n"),
        ];
        for (before, after) in table {
            assert_eq!(with_member(before), after);
        }
    }

    #[test]
    fn projects_are_named_once() {
        let name = |text: &str| {
            edited(text, |document| add_projects(document, &["a".to_owned(), "b".to_owned()]))
        };
        let after = name("[workspace]\nmembers = []\n");
        assert_eq!(
            after,
            "[workspace]\nmembers = []\n\n[workspace.metadata.xtask]\nprojects = [\"a\", \"b\"]\n"
        );
        assert_eq!(name(&after), after);
        let own = "[workspace.metadata.xtask]\nprojects = ['x/*'] # mine\n";
        assert_eq!(name(own), own);
        let inline = name("[workspace]\nmetadata = { x = 1 }\n");
        assert!(inline.contains("xtask.projects = [\"a\", \"b\"]"), "{inline}");
    }

    #[test]
    fn what_is_ignored_already_is_left_alone() {
        let wanted = ["/target", ".coverage", ".coverage.*", "htmlcov/"];
        let all = "/target\n.coverage\n.coverage.*\nhtmlcov/\n";
        assert_eq!(with_ignored("", &wanted), all);
        assert_eq!(with_ignored(all, &wanted), all);
        assert_eq!(
            with_ignored("**/target/\n.coverage*\nhtmlcov", &wanted),
            "**/target/\n.coverage*\nhtmlcov"
        );
        assert_eq!(with_ignored("*.pyc", &["/target"]), "*.pyc\n/target\n");
    }
}
