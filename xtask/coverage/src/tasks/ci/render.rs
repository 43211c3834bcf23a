//! What stands in a pipeline: templates, filled. Pure.

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::cli::Service;

/// All that a pipeline depends on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts {
    pub(super) service: Service,
    pub(super) shards: u32,
    pub(super) python: String,
    pub(super) branch: String,
    pub(super) image: Option<String>,
    pub(super) places: Places,
}

/// Where things are, from the top of the repository.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Places {
    /// The folder where `cargo xtask` is typed; empty for the top itself.
    pub(super) workspace: Utf8PathBuf,
    pub(super) project: Utf8PathBuf,
    /// The pipeline's file.
    pub(super) file: Utf8PathBuf,
}

/// The first words of a file of ours, after `# `.
pub(super) const WRITTEN: &str = "Written by `cargo xtask ci ";
/// What stands before the command in the line after that.
pub(super) const AGAIN: &str = "#   cargo xtask ci ";

impl Service {
    /// The name that is typed.
    pub(super) fn name(self) -> &'static str {
        match self {
            Service::Github => "github",
            Service::Gitlab => "gitlab",
            Service::Slurm => "slurm",
            Service::Kubernetes => "kubernetes",
        }
    }

    /// Where it is looked for, from the top of the repository.
    pub(super) fn file(self) -> &'static Utf8Path {
        Utf8Path::new(match self {
            Service::Github => ".github/workflows/coverage.yml",
            Service::Gitlab => ".gitlab/coverage.yml",
            Service::Slurm => "scripts/coverage-slurm",
            Service::Kubernetes => "kubernetes/coverage.yml",
        })
    }

    /// The most jobs that one matrix, group or array has; none where nothing is known.
    fn most_shards(self) -> Option<u32> {
        match self {
            Service::Github => Some(256),
            Service::Gitlab => Some(200),
            // `MaxArraySize` is 1001 where nobody has raised it.
            Service::Slurm => Some(1001),
            Service::Kubernetes => None,
        }
    }

    fn template(self) -> &'static str {
        match self {
            Service::Github => include_str!("templates/github.yml"),
            Service::Gitlab => include_str!("templates/gitlab.yml"),
            Service::Slurm => include_str!("templates/slurm.sh"),
            Service::Kubernetes => include_str!("templates/kubernetes.yml"),
        }
    }
}

/// The whole file. The error says what cannot stand in it.
pub(super) fn render(facts: &Facts) -> Result<String, String> {
    refuse(facts)?;
    let places = &facts.places;
    let project = from(&places.workspace, &places.project);
    let file = from(&places.workspace, &places.file);
    let folder = places.file.parent().unwrap_or(Utf8Path::new(""));
    let target = places.workspace.join("target");
    let indexes: Vec<String> = (1..=facts.shards).map(|index| index.to_string()).collect();
    let python_image = format!("python:{}", facts.python);
    let values = [
        ("HEADER", header(facts, &project, &file)),
        ("PROJECT", escaped(&project)),
        ("HERE", prefix(&project, true)),
        ("AT", prefix(&places.project, false)),
        ("TOP", prefix(&from(&places.workspace, Utf8Path::new("")), true)),
        ("SLUG", slug(&places.project)),
        ("FOLDER", enter(facts.service, &places.workspace)),
        ("TARGET", target.to_string()),
        ("LOCK", places.workspace.join("Cargo.lock").to_string()),
        ("SHARED", "target/slurm".to_owned()),
        ("UP", from(folder, &places.workspace).to_string()),
        ("PLACE", places.file.to_string()),
        ("SHARDS", facts.shards.to_string()),
        ("LAST", (facts.shards - 1).to_string()),
        ("INDEXES", indexes.join(", ")),
        ("PYTHON", facts.python.clone()),
        ("BRANCH", facts.branch.clone()),
        ("IMAGE", facts.image.clone().unwrap_or(python_image)),
        ("POD", include_str!("templates/pod.yml").to_owned()),
    ];
    Ok(fill(facts.service.template(), &values))
}

fn refuse(facts: &Facts) -> Result<(), String> {
    let Facts { service, shards, image, places, .. } = facts;
    if let Some(most) = service.most_shards().filter(|most| shards > most) {
        return Err(format!(
            "`--shards {shards}`: {} runs at most {most} jobs side by side",
            service.name()
        ));
    }
    if *service == Service::Kubernetes && image.is_none() {
        return Err("which image the jobs run in must be said: `--image IMAGE`, with the \
                    checkout, cargo and Python in it"
            .to_owned());
    }
    let paths = [&places.workspace, &places.project, &places.file];
    match paths.into_iter().find(|path| !is_plain(path)) {
        Some(path) => Err(format!(
            "`{path}` cannot stand in a pipeline: of the signs in a path, shells and YAML leave \
             letters, digits, spaces, `.`, `_`, `-` and `+` alone"
        )),
        None => Ok(()),
    }
}

fn is_plain(path: &Utf8Path) -> bool {
    let plain = |c: char| c.is_alphanumeric() || " /._-+".contains(c);
    let begins = |c: char| c.is_alphanumeric() || c == '.' || c == '_';
    let path = path.as_str();
    path.is_empty() || path.chars().all(plain) && path.starts_with(begins) && !path.ends_with(' ')
}

/// What the file is, and what writes it again.
fn header(facts: &Facts, project: &Utf8Path, file: &Utf8Path) -> String {
    let name = facts.service.name();
    let mut words = vec![name.to_owned(), "--shards".to_owned(), facts.shards.to_string()];
    let mut option = |name: &str, value: &str| {
        words.extend([name.to_owned(), shell_words::quote(value).into_owned()]);
    };
    if matches!(facts.service, Service::Github | Service::Gitlab) {
        option("--python", &facts.python);
    }
    if facts.service == Service::Github {
        option("--branch", &facts.branch);
    }
    if let Some(image) = &facts.image {
        option("--image", image);
    }
    option("-p", project.as_str());
    option("--out", file.as_str());
    format!(
        "# {WRITTEN}{name}`; what is changed by hand is lost. To write it again:\n{AGAIN}{}",
        words.join(" ")
    )
}

fn enter(service: Service, workspace: &Utf8Path) -> String {
    match service {
        _ if workspace.as_str().is_empty() => String::new(),
        Service::Gitlab => format!("- cd {}", escaped(workspace)),
        _ => format!("working-directory: '{workspace}'"),
    }
}

/// What stands before the name of a file in the folder.
fn prefix(folder: &Utf8Path, in_shell: bool) -> String {
    let text = if in_shell { escaped(folder) } else { folder.to_string() };
    if text.is_empty() || text == "." { String::new() } else { text + "/" }
}

/// For a shell, in single quotes or without: the only sign that it would not leave alone is a space.
fn escaped(path: &Utf8Path) -> String {
    path.as_str().replace(' ', "\\ ")
}

/// A name for a cache.
fn slug(path: &Utf8Path) -> String {
    let text: String =
        path.as_str().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    if text.is_empty() { "root".to_owned() } else { text }
}

/// The way from one folder to a place; `.` where it is the same.
pub(super) fn from(folder: &Utf8Path, place: &Utf8Path) -> Utf8PathBuf {
    let (mut folder, mut place) = (folder.components().peekable(), place.components().peekable());
    while folder.peek().is_some() && folder.peek() == place.peek() {
        folder.next();
        place.next();
    }
    let up = folder.map(|_| Utf8Component::ParentDir);
    let way: Utf8PathBuf = up.chain(place).collect();
    if way.as_str().is_empty() { Utf8PathBuf::from(".") } else { way }
}

/// Puts each value where its name stands between `@`. A line that is nothing but a name takes all
/// lines of the value, as far from the margin as it is itself, or goes where there is none.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut text = String::new();
    for line in template.lines() {
        let alone = line.trim().strip_prefix('@').and_then(|line| line.strip_suffix('@'));
        let whole = values.iter().find(|(name, _)| alone == Some(*name));
        if let Some((_, value)) = whole {
            let margin = &line[..line.len() - line.trim_start().len()];
            value.lines().for_each(|value| text.extend([margin, value, "\n"]));
            continue;
        }
        let filled = values
            .iter()
            .fold(line.to_owned(), |line, (name, value)| line.replace(&format!("@{name}@"), value));
        text.extend([filled.as_str(), "\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(service: Service) -> Facts {
        Facts {
            service,
            shards: 3,
            python: "3.12".to_owned(),
            branch: "main".to_owned(),
            image: (service == Service::Kubernetes).then(|| "reg.example/app:1".to_owned()),
            places: Places {
                workspace: Utf8PathBuf::new(),
                project: "services/the api".into(),
                file: service.file().to_owned(),
            },
        }
    }

    const ALL: [Service; 4] =
        [Service::Github, Service::Gitlab, Service::Slurm, Service::Kubernetes];

    /// `UPDATE_CI=1 cargo test -p xtask-coverage --lib ci::` writes them anew.
    #[test]
    fn pipelines_are_what_they_were() {
        let folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tasks/ci/snapshots");
        for service in ALL {
            let path = folder.join(service.name());
            let text = render(&facts(service)).expect("a pipeline");
            if std::env::var_os("UPDATE_CI").is_some() {
                std::fs::write(&path, &text).expect("a file");
            }
            let kept = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(kept == text, "{path} is not:\n{text}");
        }
    }

    #[test]
    fn every_name_in_a_template_has_a_value() {
        for service in ALL {
            for workspace in ["", "rust"] {
                let mut facts = facts(service);
                facts.places.workspace = workspace.into();
                let text = render(&facts).expect("a pipeline");
                let left = text.split('@').skip(1).step_by(2).find(|word| {
                    !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
                });
                assert_eq!(left, None, "{text}");
            }
        }
    }

    #[test]
    fn a_workspace_below_the_top_is_entered() {
        let mut facts = facts(Service::Github);
        facts.places.workspace = "rust".into();
        let text = render(&facts).expect("a pipeline");
        assert!(text.contains("    working-directory: 'rust'\n"), "{text}");
        assert!(text.contains(" -p ../services/the\\ api "), "{text}");
        assert!(text.contains("            rust/target/debug\n"), "{text}");
        assert!(text.contains("path: 'services/the api/.test_durations'"), "{text}");
        facts.service = Service::Gitlab;
        assert!(render(&facts).expect("a pipeline").contains("    - cd rust\n"));
        (facts.service, facts.places.file) = (Service::Slurm, "scripts/run".into());
        assert!(render(&facts).expect("a script").contains("/../rust\"\n"));
    }

    #[test]
    fn what_a_shell_would_take_for_something_else_is_refused() {
        for name in ["it's", "a$b", "${{ x }}", "a\nb", "-x", "a*", "a: b", "a#b", "`x`", "a\"b"] {
            let mut facts = facts(Service::Github);
            facts.places.project = name.into();
            let why = render(&facts).expect_err(name);
            assert!(why.contains("cannot stand in a pipeline"), "{why}");
        }
    }

    #[test]
    fn services_have_limits() {
        for (service, shards, word) in [
            (Service::Github, 257, "at most 256"),
            (Service::Gitlab, 201, "at most 200"),
            (Service::Slurm, 1002, "at most 1001"),
        ] {
            let why = render(&Facts { shards, ..facts(service) }).expect_err("too many");
            assert!(why.contains(word), "{why}");
            render(&Facts { shards: shards - 1, ..facts(service) }).expect("not too many");
        }
        let nameless = Facts { image: None, ..facts(Service::Kubernetes) };
        assert!(render(&nameless).expect_err("no image").contains("--image IMAGE"));
    }

    #[test]
    fn ways_from_place_to_place() {
        let way = |folder: &str, place: &str| from(folder.as_ref(), place.as_ref()).to_string();
        assert_eq!(way("", "a/b"), "a/b");
        assert_eq!(way("a", "a"), ".");
        assert_eq!(way("", ""), ".");
        assert_eq!(way("a/b", "a/c"), "../c");
        assert_eq!(way("rust", ".github/x"), "../.github/x");
    }
}
