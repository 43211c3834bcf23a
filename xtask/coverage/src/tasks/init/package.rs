//! The package that `cargo xtask` runs: a manifest, five lines of Rust, and where it gets us
//! from.

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::survey::Survey;
use crate::cli::{Init, Source};
use crate::exit;

/// `src/main.rs` of the package.
pub(super) const MAIN: &str = "\
//! The workspace's task runner: `cargo xtask coverage`.

fn main() -> std::process::ExitCode {
    xtask_coverage::main()
}
";

/// `Cargo.toml` of the package.
pub(super) fn manifest(dependency: &str) -> String {
    format!(
        "[package]\nname = \"xtask\"\nversion = \"0.1.0\"\nedition = \"2021\"\npublish = false\n\n\
         [dependencies]\n{dependency}\n"
    )
}

/// The line of the dependency on us.
pub(super) fn dependency(asked: &Init, here: &Utf8Path, survey: &Survey) -> Result<String> {
    let Init { path, git, rev, version, .. } = asked;
    let value = match source(asked)? {
        Source::Path => {
            let folder = path.as_ref().map(|path| here.join(path)).unwrap_or_else(built_from);
            let folder = library(&folder)?;
            // One that lies in the repository is there wherever the repository is.
            let named = match folder.starts_with(&survey.root) {
                true => relative(&folder, &survey.root.join("xtask")),
                false => folder,
            };
            format!("{{ path = {} }}", quoted(named.as_str()))
        }
        Source::Git => {
            let url = git.as_ref().context(exit::usage("`--source git` needs `--git URL`"))?;
            let rev = rev.as_ref().map(|rev| format!(", rev = {}", quoted(rev)));
            format!("{{ git = {}{} }}", quoted(url), rev.unwrap_or_default())
        }
        Source::Version => quoted(version.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"))),
    };
    Ok(format!("xtask-coverage = {value}"))
}

/// What was typed, else the folder this was built from, where it is there: not so with a binary
/// from a registry.
fn source(asked: &Init) -> Result<Source> {
    let given = [
        (Source::Path, asked.path.is_some()),
        (Source::Git, asked.git.is_some()),
        (Source::Version, asked.version.is_some()),
    ];
    let given: Vec<Source> =
        given.iter().filter(|(_, is)| *is).map(|(source, _)| *source).collect();
    match (asked.source, given.as_slice()) {
        (Some(source), []) => Ok(source),
        (Some(source), [one]) if source == *one => Ok(source),
        (None, [one]) => Ok(*one),
        (None, []) => {
            let of_registry = built_from().as_str().contains("/registry/src/");
            let is_there = !of_registry && library(&built_from()).is_ok();
            Ok(if is_there { Source::Path } else { Source::Version })
        }
        _ => bail!(exit::usage(
            "`--path`, `--git`, `--version` and `--source` name different sources"
        )),
    }
}

fn built_from() -> Utf8PathBuf {
    Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the library: this one, or `xtask/coverage` in a clone.
fn library(folder: &Utf8Path) -> Result<Utf8PathBuf> {
    let is_it = |folder: &Utf8PathBuf| {
        let manifest = crate::files::read_text(&folder.join("Cargo.toml"));
        manifest.is_ok_and(|text| text.contains("name = \"xtask-coverage\""))
    };
    let found = [folder.to_path_buf(), folder.join("xtask/coverage")].into_iter().find(is_it);
    let found = found.and_then(|folder| folder.canonicalize_utf8().ok());
    found.with_context(|| exit::usage(format!("no package `xtask-coverage` in `{folder}`")))
}

/// What leads from one folder to another.
pub(super) fn relative(to: &Utf8Path, from: &Utf8Path) -> Utf8PathBuf {
    let (to, from): (Vec<_>, Vec<_>) = (to.components().collect(), from.components().collect());
    let common = to.iter().zip(&from).take_while(|(a, b)| a == b).count();
    let up = from[common..].iter().map(|_| "..");
    up.chain(to[common..].iter().map(|part| part.as_str())).collect()
}

fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

/// What the author of another `xtask` adds to it.
pub(super) fn to_add(existing: &Utf8Path, dependency: &str, root: &Utf8Path) -> String {
    let name = existing.strip_prefix(root).unwrap_or(existing);
    format!(
        "`{name}` is a package of your own; three lines make our commands its own:\n  \
         {name}/Cargo.toml, `[dependencies]`:\n    {dependency}\n  \
         the enum of its tasks, with `clap::Subcommand`:\n    \
         #[command(flatten)] Python(xtask_coverage::Tasks),\n  \
         where the tasks are told apart:\n    \
         Task::Python(tasks) => return tasks.run(),"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_from_one_folder_to_another() {
        let table = [
            ("/r/tools/cov", "/r/xtask", "../tools/cov"),
            ("/r/services/a", "/r/rust", "../services/a"),
            ("/r/a", "/r", "a"),
            ("/r", "/r", ""),
        ];
        for (to, from, wanted) in table {
            assert_eq!(relative(Utf8Path::new(to), Utf8Path::new(from)), wanted);
        }
    }
}
