//! Shells complete our commands: the real ones, with the script that we print.

use std::fs;
use std::io::Write;

use camino::Utf8Path;

use crate::support::{Project, Run};

/// A workspace with two projects, the scripts, and a shell in it; none where there is no such
/// shell here.
fn shell(name: &str) -> Option<(Project, Run)> {
    let path = std::env::var("PATH").unwrap_or_default();
    let Some(program) =
        path.split(':').map(|it| Utf8Path::new(it).join(name)).find(|it| it.exists())
    else {
        // Past the harness, which keeps what a test that passes prints to itself.
        let told = format!("SKIPPED: no {name} here\n");
        std::io::stderr().write_all(told.as_bytes()).expect("stderr");
        return None;
    };
    let workspace = "[workspace]\n[workspace.metadata.xtask]\nprojects = ['pets', 'plants']\n";
    let project = Project::new(&[("Cargo.toml", workspace), ("notes.txt", "")]);
    project.write_all(&[("pets/pyproject.toml", ""), ("plants/pyproject.toml", "")]);
    let script = project.run(&["completions", name]).exits(0).stdout;
    fs::write(project.root.join("script"), script).expect("a script");
    let run = Run::of(&program).cwd(&project.root).var("HOME", project.root.as_str());
    Some((project, run.var("TERM", "dumb")))
}

/// What is typed, and what it becomes.
const TYPED: [(&str, &str); 6] = [
    ("cargo xt", "xtask"),
    ("cargo xtask setu", "setup"),
    ("cargo xtask coverage -p pla", "plants"),
    ("cargo xtask coverage --engine sp", "spawn"),
    ("cargo +stable xtask help exit-", "exit-codes"),
    ("cargo xtask coverage -- note", "notes.txt"),
];

#[test]
fn bash_completes() {
    const ASK: &str = r#"
. ./script
COMP_LINE=$1 COMP_POINT=${#1}
read -ra COMP_WORDS <<< "$1"
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_cargo_with_xtask cargo "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
# As with `-o default`, which is for a shell that somebody types in.
((${#COMPREPLY[@]})) || COMPREPLY=($(compgen -f -- "${COMP_WORDS[-1]}"))
printf '%s\n' "${COMPREPLY[@]}"
"#;
    let Some((_project, run)) = shell("bash") else { return };
    for (typed, wanted) in TYPED {
        let output = run.clone().args(&["--norc", "-c", ASK, "bash", typed]).output().exits(0);
        assert_eq!(output.stdout.trim(), wanted, "{typed}: {output}");
    }
    let glued = "cargo xtask coverage --engine=sp";
    let output = run.args(&["--norc", "-c", ASK, "bash", glued]).output().exits(0);
    assert_eq!(output.stdout.trim(), "spawn");
}

#[test]
fn fish_completes() {
    let Some((_project, run)) = shell("fish") else { return };
    for (typed, wanted) in TYPED {
        let ask = format!("source script; complete -C '{typed}'");
        let output = run.clone().args(&["--no-config", "-c", &ask]).output().exits(0);
        let mut found = output.stdout.lines().map(|line| line.split('\t').next().expect("a word"));
        assert!(found.any(|it| it == wanted), "{typed}: {output}");
    }
}

/// Typed into a terminal of its own, as zsh completes nowhere else.
#[test]
fn zsh_completes() {
    const ASK: &str = r#"
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1=; unsetopt beep; autoload -U compinit; compinit -u -D; . ./script; print rea''dy"
zpty -r -m shell line '*ready*'
zpty -w -n shell "$1"$'\t'$'\C-a: \C-e\n'"print do''ne"$'\n'
zpty -r -m shell line '*done*'
print -r -- $line
"#;
    let Some((_project, run)) = shell("zsh") else { return };
    for (typed, wanted) in TYPED {
        let output = run.clone().args(&["-f", "-c", ASK, "zsh", typed]).output().exits(0);
        let (before, _) = typed.rsplit_once(' ').expect("words");
        assert!(output.stdout.contains(&format!("{before} {wanted}")), "{typed}: {output}");
    }
}

#[test]
fn topics_have_help_of_their_own() {
    let project = Project::new(&[]);
    let help = |topic: &str| project.run(&["help", topic]);
    help("exit-codes").exits(0).says("  2         coverage is below a threshold\n");
    help("environment").exits(0).says("`XTASK_ENV`");
    help("files").exits(0).says("`runs/last/run.html`");
    help("configuration").exits(0).says("**`worker-setup`**: a string or a list of strings;");
    help("nonsense").exits(4).tells("unrecognized subcommand 'nonsense'");
}
