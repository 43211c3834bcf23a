//! What failed, in the folder of the run, for another machine to run again; and the line for it.

use anyhow::{Context, Result, anyhow};
use camino::Utf8PathBuf;

use super::value::{Conclusion, Finished};
use crate::files;
use crate::prepare::shard;
use crate::rerun::{Origin, make};

impl Finished<'_> {
    /// The file's text; none where nothing failed.
    pub(super) fn rerun(&self) -> Result<Option<String>> {
        let ran = self.ran;
        if ran.ledger.failed_ids().is_empty() {
            return Ok(None);
        }
        let head = self.project.head()?;
        let pytest = self.prepared.facts.pytest.as_ref();
        let origin = Origin {
            project: shard::name(self.project, head),
            commit: head.commit.clone(),
            dirty: head.dirty,
            versions: shard::versions(self.prepared),
            engine: self.engine.name(),
            hash_seed: self.job.hash_seed.value,
            splits: self.job.splits,
            pytest_args: &self.invocation.typed.pytest_args,
            addopts: pytest.map(|pytest| &pytest.addopts[..]).unwrap_or_default(),
        };
        let Some(made) = make(origin, ran, self.invocation.env) else { return Ok(None) };
        let text = serde_json::to_string_pretty(&made).context("failed to list what failed")?;
        Ok(Some(text + "\n"))
    }

    /// Writes the file; says where, if anything failed.
    fn write_rerun(&self, text: &Result<Option<String>>) -> Result<Option<Utf8PathBuf>> {
        let text = text.as_ref().map_err(|error| anyhow!("{error:#}"))?;
        let Some(text) = text else { return Ok(None) };
        let file = self.job.folder.rerun();
        files::replace(&file, text).with_context(|| format!("failed to write `{file}`"))?;
        Ok(Some(file))
    }

    /// Where the tests ran on a machine that is gone soon: how they run again on another.
    pub(super) fn say_rerun(&self, conclusion: &Conclusion) {
        let screen = self.invocation.screen;
        let file = match self.write_rerun(&conclusion.rerun) {
            Ok(Some(file)) => file,
            Ok(None) => return,
            Err(error) => return screen.warn(&format!("{error:#}")),
        };
        let is_set = |name| self.invocation.env.get(name).is_some_and(|it: &String| !it.is_empty());
        if screen.service().is_none() && !is_set("CI") {
            return;
        }
        let typed = &self.invocation.typed.pytest_args;
        screen.say(&format!("What failed, for another machine: {file}"));
        screen.say(&format!("There: {}", conclusion.again.rerun("rerun.json", typed)));
    }

    /// What failed elsewhere and passes alone may need what ran before it.
    pub(super) fn say_passes_alone(&self) {
        let tally = self.ran.ledger.tally();
        let alone = self.job.rerun.is_some() && !self.invocation.typed.general.with_preceding;
        if alone && tally.failures() == 0 && tally.passed > 0 && self.ran.interrupted.is_none() {
            self.invocation.screen.say(
                "hint: what failed there passes here alone; `--with-preceding` also runs what \
                 came before it in its unit",
            );
        }
    }
}
