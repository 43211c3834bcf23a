//! What the interpreter and the configuration say, with the words that were typed for pytest.

use anyhow::Result;
use camino::Utf8Path;

use crate::files;
use crate::project::probe::Typed;
use crate::project::{Facts, Interpreter, Project, State, Steps, kept};
use crate::settings::{Origin, addopts};

/// `--cov-config` in addopts names another configuration of coverage than the one it finds: it
/// is known only when pytest's configuration has been read.
pub(super) fn read(
    steps: &Steps<'_>,
    interpreter: &Interpreter,
    project: &Project,
    typed: &[String],
    state: &State,
) -> Result<Facts> {
    let read = addopts::read(typed, &Origin::CommandLine)?;
    let typed = &Typed { paths: read.paths, words: read.rest };
    let facts = kept::facts(steps, interpreter, project, None, typed, state)?;
    let words = facts.pytest.as_ref().map(|pytest| pytest.addopts.as_slice()).unwrap_or_default();
    let asked = addopts::read(words, &Origin::Addopts)?;
    match asked.cov_config {
        Some(file) => {
            let file = Some(Utf8Path::new(&file));
            kept::facts(steps, interpreter, project, file, typed, state)
        }
        None => Ok(facts),
    }
}

/// pytest reads words from a file that is named after `@`, one a line: what they say is meant
/// like what was typed. One that cannot be read is left to it.
pub(super) fn with_words_of_files(project: &Project, typed: &[String]) -> Vec<String> {
    let read = |word: &String| {
        let file = project.root.join(word.strip_prefix('@')?);
        Some(files::read_text(&file).ok()?.lines().map(str::to_owned).collect())
    };
    typed.iter().flat_map(|word| read(word).unwrap_or_else(|| vec![word.clone()])).collect()
}
