//! `--open`: shows a page in whatever shows pages here. That it cannot is no failure.

use std::os::unix::process::CommandExt;
use std::time::Duration;

use camino::Utf8Path;

use crate::env::Env;
use crate::screen::Screen;

/// How long a program may take to say that it cannot; one that still runs shows the page.
const PATIENCE: Duration = Duration::from_secs(1);

/// Opens a page with `$BROWSER`, else with the program that the system has for it.
pub(super) fn open(screen: &Screen, env: &Env, page: &Utf8Path) {
    let commands = commands(env, page, cfg!(target_os = "macos"));
    let mut why = "there is no display here, and `BROWSER` is not set".to_owned();
    for command in commands {
        match run(&command) {
            Ok(()) => return,
            Err(error) => why = format!("`{}` {error}", shell_words::join(&command)),
        }
    }
    screen.warn(&format!("nothing can show a page: {why}; open `{page}` yourself"));
}

/// What to try, in order. `BROWSER` is a list with colons, and `%s` in it stands for the page.
fn commands(env: &Env, page: &Utf8Path, is_mac: bool) -> Vec<Vec<String>> {
    let set = |name: &str| env.get(name).filter(|value| !value.is_empty());
    let mut commands = Vec::new();
    for browser in set("BROWSER").into_iter().flat_map(|list| list.split(':')) {
        let mut words = shell_words::split(browser).unwrap_or_default();
        if words.is_empty() {
            continue;
        }
        if !browser.contains("%s") {
            words.push("%s".to_owned());
        }
        commands.push(words.iter().map(|word| word.replace("%s", page.as_str())).collect());
    }
    let has_display = is_mac || set("DISPLAY").or(set("WAYLAND_DISPLAY")).is_some();
    let program = if is_mac { "open" } else { "xdg-open" };
    commands.extend(has_display.then(|| vec![program.to_owned(), page.to_string()]));
    commands
}

/// Starts a program in a group of its own: Ctrl-C here is not meant for it.
fn run(command: &[String]) -> Result<(), String> {
    let (program, args) = command.split_first().ok_or("is empty")?;
    let handle = duct::cmd(program, args)
        .stdin_null()
        .stdout_null()
        .stderr_null()
        .unchecked()
        .before_spawn(|command| {
            command.process_group(0);
            Ok(())
        })
        .start()
        .map_err(|error| format!("did not start: {error}"))?;
    match handle.wait_timeout(PATIENCE) {
        Ok(Some(output)) if !output.status.success() => {
            Err(format!("ended with {}", output.status))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Vars<'a> = &'a [(&'a str, &'a str)];

    #[test]
    fn the_browser_of_the_user_comes_first() {
        let table: [(Vars<'_>, bool, &[&str]); 6] = [
            (&[], false, &[]),
            (&[("BROWSER", "")], false, &[]),
            (&[("DISPLAY", ":0")], false, &["xdg-open /r/run.html"]),
            (&[], true, &["open /r/run.html"]),
            (
                &[("BROWSER", "fox:lynx -dump %s")],
                false,
                &["fox /r/run.html", "lynx -dump /r/run.html"],
            ),
            (
                &[("BROWSER", "'my fox' --url=%s"), ("WAYLAND_DISPLAY", "w")],
                false,
                &["'my fox' '--url=/r/run.html'", "xdg-open /r/run.html"],
            ),
        ];
        for (env, is_mac, wanted) in table {
            let env = env.iter().map(|(name, value)| (name.to_string(), value.to_string()));
            let commands = commands(&env.collect(), "/r/run.html".into(), is_mac);
            let lines: Vec<String> = commands.iter().map(shell_words::join).collect();
            assert_eq!(lines, wanted);
        }
    }
}
