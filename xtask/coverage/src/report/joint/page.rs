//! The page of several projects, `run.html`: their table, with links to the page of each run and
//! to its reports. One file, without a script; what comes from a run is escaped.

use std::fmt::Write;

use camino::{Utf8Path, Utf8PathBuf};

use super::Row;
use crate::report::html::escape;
use crate::report::page::link;

/// What is on the page.
#[derive(Clone, Debug)]
pub(crate) struct Page<'a> {
    /// Where it will lie: its links are relative to that.
    pub folder: &'a Utf8Path,
    /// All is well.
    pub is_good: bool,
    /// How all ended, a word and a sentence.
    pub verdict: String,
    pub projects: Vec<Shown>,
    /// The line of all of them.
    pub total: Row,
    /// Joint reports: names and files.
    pub reports: Vec<(String, Utf8PathBuf)>,
}

/// A project.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// Its line.
    pub row: Row,
    /// What there is to say of how it ended.
    pub sentence: String,
    /// Its pages: names and files.
    pub links: Vec<(String, Utf8PathBuf)>,
}

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --bad: #c62828; --ok: #2e7d32; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.bad { color: var(--bad); } .ok { color: var(--ok); }
tfoot td { font-weight: 600; }
.note { opacity: .75; font-size: .9em; }
";

impl Page<'_> {
    /// The whole file.
    pub(crate) fn render(&self) -> String {
        let class = if self.is_good { "ok" } else { "bad" };
        let (verdict, count) = (escape(&self.verdict), self.projects.len());
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'unsafe-inline'; img-src data:\">\n<link rel=\"icon\" href=\"data:,\">\n\
             <title>{verdict}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <p class=\"note\">{count} projects</p>\n<h1 class=\"{class}\">{verdict}</h1>\n"
        );
        if !self.reports.is_empty() {
            let _ = writeln!(out, "<p>Reports on all:{}</p>", self.links(&self.reports));
        }
        self.table(&mut out);
        out.push_str("</body>\n</html>\n");
        out
    }

    fn table(&self, out: &mut String) {
        out.push_str("<table>\n<thead><tr><th>Project</th>");
        for name in ["Statements", "Missing", "Cover", "Threshold"] {
            let _ = write!(out, "<th class=\"number\">{name}</th>");
        }
        out.push_str(
            "<th>Tests</th><th class=\"number\">Time</th><th>Verdict</th></tr></thead>\n<tbody>\n",
        );
        for project in &self.projects {
            let links = self.links(&project.links);
            let name =
                format!("{}<br><span class=\"note\">{links}</span>", escape(&project.row.name));
            row(out, &name, &project.row, &project.sentence);
        }
        out.push_str("</tbody>\n<tfoot>\n");
        row(out, &escape(&self.total.name), &self.total, "");
        out.push_str("</tfoot>\n</table>\n");
    }

    fn links(&self, links: &[(String, Utf8PathBuf)]) -> String {
        let anchor = |(name, file): &(String, Utf8PathBuf)| {
            let title = escape(file.as_str());
            format!(
                " <a href=\"{}\" title=\"{title}\">{}</a>",
                link(self.folder, file),
                escape(name)
            )
        };
        links.iter().map(anchor).collect()
    }
}

fn row(out: &mut String, name: &str, row: &Row, sentence: &str) {
    let dash = || "-".to_owned();
    let covered = row.covered.clone().unwrap_or_else(|| [dash(), dash(), dash()]);
    let numbers = covered.into_iter().chain([row.threshold.clone().unwrap_or_else(dash)]);
    let numbers: String =
        numbers.map(|number| format!("<td class=\"number\">{}</td>", escape(&number))).collect();
    let class = if row.verdict.starts_with('✓') { "ok" } else { "bad" };
    let _ = writeln!(
        out,
        "<tr><td>{name}</td>{numbers}<td>{}</td><td class=\"number\">{}</td>\
         <td class=\"{class}\">{}<br><span class=\"note\">{}</span></td></tr>",
        escape(&row.tests),
        escape(&row.time),
        escape(&row.verdict),
        escape(sentence),
    );
}
