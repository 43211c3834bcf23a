//! The Cargo workspace around a folder, and what its `[workspace.metadata.xtask]` says.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::{canonical, check_keys, parse_toml, read_if_there};
use crate::env;
use crate::exit;

/// A Cargo workspace.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    /// The folder of its `Cargo.toml`, absolute, symbolic links resolved.
    pub root: Utf8PathBuf,
    /// Its target folder, absolute.
    pub target: Utf8PathBuf,
    /// `projects`: the Python projects known by name, as written (paths and globs).
    pub projects: Vec<String>,
    /// `default-projects`: those that run when no project is named, as written.
    pub default_projects: Vec<String>,
    /// `max-concurrent-projects`: so many run at once at the most.
    pub max_concurrent_projects: Option<u32>,
    /// `[workspace.metadata.xtask.coverage]`: defaults that the projects share, unread.
    pub coverage: toml::Table,
}

impl Workspace {
    /// The workspace that contains a folder, searched upwards.
    pub(crate) fn find(cwd: &Utf8Path) -> Result<Option<Workspace>> {
        for folder in canonical(cwd)?.ancestors() {
            let path = folder.join("Cargo.toml");
            let Some(text) = read_if_there(&path)? else { continue };
            if let Some(toml::Value::Table(workspace)) = parse_toml(&path, &text)?.get("workspace")
            {
                return Workspace::read(folder, &target_of(cwd, folder), workspace).map(Some);
            }
        }
        Ok(None)
    }

    fn read(root: &Utf8Path, target: &Utf8Path, workspace: &toml::Table) -> Result<Workspace> {
        let path = root.join("Cargo.toml");
        let metadata = table(workspace, "metadata").and_then(|metadata| table(metadata, "xtask"));
        let metadata = metadata.cloned().unwrap_or_default();
        const KEYS: [&str; 4] =
            ["projects", "default-projects", "max-concurrent-projects", "coverage"];
        check_keys(&path, SECTION, &metadata, &KEYS)?;
        Ok(Workspace {
            root: root.to_owned(),
            target: target.to_owned(),
            projects: strings(&path, &metadata, "projects")?,
            default_projects: strings(&path, &metadata, "default-projects")?,
            max_concurrent_projects: number(&path, &metadata, "max-concurrent-projects")?,
            coverage: match metadata.get("coverage") {
                None => toml::Table::new(),
                Some(toml::Value::Table(coverage)) => coverage.clone(),
                Some(_) => return Err(wrong_type(&path, "coverage", "a table")),
            },
        })
    }
}

const SECTION: &str = "workspace.metadata.xtask";

fn table<'a>(parent: &'a toml::Table, key: &str) -> Option<&'a toml::Table> {
    parent.get(key)?.as_table()
}

fn strings(path: &Utf8Path, table: &toml::Table, key: &str) -> Result<Vec<String>> {
    let Some(value) = table.get(key) else { return Ok(Vec::new()) };
    let words = value.as_array().and_then(|array| {
        array.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    words.ok_or_else(|| wrong_type(path, key, "a list of strings"))
}

/// A number of things at once.
fn number(path: &Utf8Path, table: &toml::Table, key: &str) -> Result<Option<u32>> {
    let Some(value) = table.get(key) else { return Ok(None) };
    let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
    let wrong = || wrong_type(path, key, "a whole number, at least 1");
    number.filter(|number| *number > 0).map(Some).ok_or_else(wrong)
}

fn wrong_type(path: &Utf8Path, key: &str, wanted: &str) -> anyhow::Error {
    exit::usage(format!("`{key}` in `[{SECTION}]` of {path} must be {wanted}")).into()
}

/// Where cargo builds; a relative `CARGO_TARGET_DIR` is relative to where cargo was typed.
fn target_of(cwd: &Utf8Path, root: &Utf8Path) -> Utf8PathBuf {
    match ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"].into_iter().find_map(env::var) {
        Some(folder) => cwd.join(folder),
        None => {
            let home =
                env::var("CARGO_HOME").or_else(|| Some(format!("{}/.cargo", env::var("HOME")?)));
            let configured = configured_target(cwd, home.as_deref().map(Utf8Path::new));
            configured.unwrap_or_else(|| root.join("target"))
        }
    }
}

/// `build.target-dir` in the nearest `.cargo/config.toml` above a folder that has it, or in
/// cargo's home; relative to the folder that holds `.cargo`. A broken file is cargo's to report.
fn configured_target(cwd: &Utf8Path, home: Option<&Utf8Path>) -> Option<Utf8PathBuf> {
    let above = cwd.ancestors().map(|folder| folder.join(".cargo"));
    above.chain(home.map(Utf8Path::to_path_buf)).find_map(|folder| {
        // cargo takes the one without an ending where both are there.
        let files = ["config", "config.toml"].map(|name| folder.join(name));
        let text = files.iter().find_map(|file| crate::files::read_text(file).ok())?;
        let config: toml::Table = text.parse().ok()?;
        let named = table(&config, "build")?.get("target-dir")?.as_str()?;
        Some(folder.parent()?.join(named))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Workspace, String> {
        let path = Utf8Path::new("/w/Cargo.toml");
        let table = parse_toml(path, text).map_err(|error| error.to_string())?;
        Workspace::read(Utf8Path::new("/w"), Utf8Path::new("/w/target"), &table)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn reads_projects_and_shared_defaults() {
        let workspace = read(
            "[metadata.xtask]\nprojects = ['packages/*']\ndefault-projects = ['packages/a']\n\
             coverage.splits = 3",
        )
        .expect("a workspace");
        assert_eq!(workspace.projects, ["packages/*"]);
        assert_eq!(workspace.default_projects, ["packages/a"]);
        assert_eq!(workspace.coverage["splits"].as_integer(), Some(3));
    }

    #[test]
    fn the_target_folder_may_be_configured() {
        let temp = std::env::temp_dir().join(format!("xtask-workspace-{}", std::process::id()));
        let top = Utf8Path::from_path(&temp).expect("UTF-8");
        let config = |folder: &str, name: &str, text: &str| {
            let folder = top.join(folder);
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(folder.join(name), text).expect("a file");
        };
        let (cwd, home) = (top.join("a/b"), top.join("home/.cargo"));
        let found = || configured_target(&cwd, Some(&home));
        config("home/.cargo", "config.toml", "[build]\ntarget-dir = '/everywhere'");
        assert_eq!(found(), Some("/everywhere".into()));
        config("a/.cargo", "config.toml", "[alias]\nx = 'run'\n[build]\ntarget-dir = '../out'");
        assert_eq!(found(), Some(top.join("a/../out")));
        config("a/b/.cargo", "config", "build = { jobs = 1 }");
        assert_eq!(found(), Some(top.join("a/../out")), "a nearer file without the key");
        config("a/b/.cargo", "config", "build = { target-dir = 'near' }");
        assert_eq!(found(), Some(top.join("a/b/near")));
        std::fs::remove_dir_all(top).expect("a folder");
    }

    #[test]
    fn wrong_metadata_is_an_error() {
        let table = [
            (
                "[metadata.xtask]\nproject = []",
                "unknown key `project` in `[workspace.metadata.xtask]` of /w/Cargo.toml; did you mean `projects`?",
            ),
            (
                "[metadata.xtask]\nprojects = 'a'",
                "`projects` in `[workspace.metadata.xtask]` of /w/Cargo.toml must be a list of strings",
            ),
            (
                "[metadata.xtask]\nprojects = [1]",
                "`projects` in `[workspace.metadata.xtask]` of /w/Cargo.toml must be a list of strings",
            ),
            (
                "[metadata.xtask]\ncoverage = 1",
                "`coverage` in `[workspace.metadata.xtask]` of /w/Cargo.toml must be a table",
            ),
            ("members = [\n'a',\n'b'\nx", "/w/Cargo.toml:4: "),
        ];
        for (text, message) in table {
            let error = read(text).expect_err(text);
            assert!(error.starts_with(message), "{error}");
        }
    }
}
