//! What the interpreter and the configuration say, with the words that were typed for pytest.

use anyhow::Result;
use camino::Utf8Path;

use crate::files;
use crate::model::NodeId;
use crate::project::probe::{self, Typed};
use crate::project::{Facts, Interpreter, Project, PytestConfig, State, Steps, kept};
use crate::settings::{Origin, addopts};

/// The facts, and the words that were typed, with the value of each option in one word with it where
/// it could be taken for a path.
pub(super) fn read(
    steps: &Steps<'_>,
    interpreter: &Interpreter,
    project: &Project,
    typed: &[String],
    state: &State,
) -> Result<(Facts, Vec<String>)> {
    let mut facts = as_typed(steps, interpreter, project, typed, state)?;
    let Some(pytest) = &mut facts.pytest else { return Ok((facts, typed.to_vec())) };
    let unknown = [addopts::unknown(typed), addopts::unknown(&pytest.addopts)].concat();
    if unknown.is_empty() {
        return Ok((facts, typed.to_vec()));
    }
    let arguments = leading_to_plugins(project, typed, pytest)?;
    let with_value = probe::options_with_value(steps, interpreter, project, &unknown, &arguments)?;
    let joined = addopts::joined(typed, &with_value);
    if joined != typed {
        // A path less: pytest may take another ini file.
        facts = as_typed(steps, interpreter, project, &joined, state)?;
    }
    if let Some(pytest) = &mut facts.pytest {
        pytest.addopts = addopts::joined(&pytest.addopts, &with_value);
    }
    Ok((facts, joined))
}

/// What pytest must be given to load the plugins and conftests that it loads for these words.
fn leading_to_plugins(
    project: &Project,
    typed: &[String],
    pytest: &PytestConfig,
) -> Result<Vec<String>> {
    let words = [addopts::read(&pytest.addopts, &Origin::Addopts)?];
    let words = words.into_iter().chain([addopts::read(typed, &Origin::CommandLine)?]);
    let mut arguments = vec![format!("--rootdir={}", pytest.rootdir)];
    arguments.extend(pytest.inifile.iter().map(|file| format!("--config-file={file}")));
    for addopts in words {
        arguments.extend(addopts.blocked.iter().map(|name| format!("-pno:{name}")));
        arguments.extend(addopts.named.iter().map(|name| format!("-p{name}")));
        let is_there = |path: &&String| project.root.join(NodeId(path).file()).exists();
        arguments.extend(addopts.paths.iter().filter(is_there).cloned());
    }
    Ok(arguments)
}

/// `--cov-config` in addopts names another configuration of coverage than the one it finds: it
/// is known only when pytest's configuration has been read.
fn as_typed(
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
