//! Which of pytest's plugins are loaded: as addopts, what is typed and the environment say. Pure.

use super::Addopts;
use crate::env::Env;

/// What is said of plugins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plugins {
    /// `-p no:NAME`.
    blocked: Vec<String>,
    /// `-p NAME`, `PYTEST_PLUGINS`.
    named: Vec<String>,
    /// Only those that are named are loaded: `PYTEST_DISABLE_PLUGIN_AUTOLOAD`, or the option.
    pub only_named: bool,
}

impl Plugins {
    /// From all places where plugins are named.
    pub(crate) fn of(addopts: &Addopts, typed: &Addopts, env: &Env) -> Plugins {
        let words = [addopts, typed];
        let from_env = env.get("PYTEST_PLUGINS").map(String::as_str).unwrap_or_default();
        let from_env = from_env.split(',').filter(|name| !name.is_empty()).map(str::to_owned);
        let disabled = env.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD");
        Plugins {
            blocked: words.iter().flat_map(|it| it.blocked.clone()).collect(),
            named: words.iter().flat_map(|it| it.named.clone()).chain(from_env).collect(),
            only_named: disabled.is_some_and(|value| !value.is_empty())
                || words.iter().any(|it| it.only_named),
        }
    }

    /// Whether `-p no:…` switches off a plugin of this name. pytest takes `cov` for `pytest_cov`
    /// there.
    pub(crate) fn blocks(&self, plugin: &str) -> bool {
        let blocks = |name: &String| name == plugin || format!("pytest_{name}") == plugin;
        self.blocked.iter().any(blocks)
    }

    /// Whether a plugin that is installed under this name, with this module, is loaded.
    pub(crate) fn loads(&self, plugin: &str, module: &str) -> bool {
        let is_named = |name: &String| {
            [plugin, module].contains(&name.as_str()) || module.starts_with(&format!("{name}."))
        };
        !self.blocks(plugin) && (!self.only_named || self.named.iter().any(is_named))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Origin, addopts};
    use super::*;

    #[test]
    fn a_plugin_is_loaded_unless_it_is_blocked_or_not_named() {
        let table = [
            ("", &[][..], true),
            ("-p no:cov", &[], false),
            ("-p no:pytest_cov", &[], false),
            ("-pno:cov", &[], false),
            ("-p no:xdist", &[], true),
            ("--disable-plugin-autoload", &[], false),
            ("-p pytest_cov", &[("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")], true),
            ("-p pytest_cov.plugin", &[("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")], true),
            ("", &[("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")], false),
            ("", &[("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "")], true),
            (
                "",
                &[("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1"), ("PYTEST_PLUGINS", "a,pytest_cov")],
                true,
            ),
        ];
        for (words, env, loaded) in table {
            let words = shell_words::split(words).expect("words");
            let typed = addopts::read(&words, &Origin::CommandLine).expect("words of pytest");
            let env = env.iter().map(|(name, value)| (name.to_string(), value.to_string()));
            let plugins = Plugins::of(&Addopts::default(), &typed, &env.collect());
            assert_eq!(plugins.loads("pytest_cov", "pytest_cov.plugin"), loaded, "{words:?}");
        }
    }
}
