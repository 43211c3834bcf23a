//! What coverage has to reach beside `fail_under`: each file, the number of missing lines, a
//! patch, and not less than before. Pure.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use super::coverage::{FileTotals, Rendered};
use super::patch::{self, Patch};

/// A threshold that was missed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missed {
    /// A sentence without a full stop.
    pub what: String,
    /// Files to look at, the worst first.
    pub worst: Vec<String>,
    /// It counts for partial runs too: it was typed.
    pub even_partial: bool,
}

impl Missed {
    /// What there is to look at, one line each and not more than ten.
    pub(crate) fn lines(&self) -> Vec<String> {
        const MOST: usize = 10;
        let mut lines = vec![self.what.clone()];
        lines.extend(self.worst.iter().take(MOST).map(|file| format!("    {file}")));
        if let Some(more) = self.worst.len().checked_sub(MOST).filter(|more| *more > 0) {
            lines.push(format!("    and {more} more"));
        }
        lines
    }

    /// The same, typed or not.
    pub(crate) fn typed(self, typed: bool) -> Missed {
        Missed { even_partial: typed, ..self }
    }
}

/// Each file must reach a percentage.
pub(crate) fn each_file(rendered: &Rendered, wanted: f64) -> Option<Missed> {
    let precision = rendered.precision;
    let is_below = |file: &&FileTotals| is_below(file.percent, wanted, precision);
    let mut below: Vec<&FileTotals> = rendered.files.iter().filter(is_below).collect();
    below.sort_by(|a, b| ascending(a.percent, b.percent).then_with(|| a.path.cmp(&b.path)));
    let verb = if below.len() == 1 { "file is" } else { "files are" };
    let show = |file: &&FileTotals| format!("{} {}", file.path, percent(file.percent, precision));
    (!below.is_empty()).then(|| Missed {
        what: format!("{} {verb} covered less than {wanted}%", below.len()),
        worst: below.iter().map(show).collect(),
        ..Missed::default()
    })
}

/// Not more than so many statements may be missing.
pub(crate) fn uncovered_lines(rendered: &Rendered, most: u32) -> Option<Missed> {
    let missing = rendered.totals.as_ref()?.missing;
    let mut worst: Vec<&FileTotals> = rendered.files.iter().filter(|it| it.missing > 0).collect();
    worst.sort_by(|a, b| b.missing.cmp(&a.missing).then_with(|| a.path.cmp(&b.path)));
    let verb = if missing == 1 { "line is" } else { "lines are" };
    (missing > u64::from(most)).then(|| Missed {
        what: format!("{missing} {verb} not covered, more than {most}"),
        worst: worst.iter().map(|file| format!("{} {}", file.path, file.missing)).collect(),
        ..Missed::default()
    })
}

/// Of the changed lines a percentage must be covered; a patch without any is good.
pub(crate) fn changed_lines(patch: &Patch, wanted: f64) -> Option<Missed> {
    let found = patch.percent.filter(|found| *found < wanted)?;
    let mut files: Vec<_> = patch.files.iter().filter(|file| !file.missing.is_empty()).collect();
    files.sort_by(|a, b| ascending(a.percent(), b.percent()).then_with(|| a.path.cmp(&b.path)));
    let shown = |percentage| percent(percentage, patch::PRECISION);
    Some(Missed {
        what: format!("patch coverage of {} is less than {wanted}%", shown(found)),
        worst: files
            .iter()
            .map(|file| format!("{} {}", file.path, shown(file.percent())))
            .collect(),
        ..Missed::default()
    })
}

/// What coverage was, to compare with: `.coverage-baseline.json`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Baseline {
    /// Rises when a field changes its meaning or goes away.
    pub schema: u32,
    /// 0 to 100, not rounded.
    pub percent: f64,
    /// The same of each file, as coverage shows its path.
    pub files: BTreeMap<Utf8PathBuf, f64>,
}

impl Baseline {
    /// The schema that we write.
    pub(crate) const SCHEMA: u32 = 1;

    /// What coverage is now; none where there is nothing to report.
    pub(crate) fn of(rendered: &Rendered) -> Option<Baseline> {
        let files = rendered.files.iter().map(|file| (file.path.clone(), file.percent)).collect();
        let percent = rendered.totals.as_ref()?.percent;
        Some(Baseline { schema: Baseline::SCHEMA, percent, files })
    }

    /// The total may fall by `points` percentage points, as it is displayed.
    pub(crate) fn fallen(&self, now: &Baseline, points: f64, precision: u32) -> Option<Missed> {
        let fall = |old, new| displayed(old, precision) - displayed(new, precision);
        // As fractions of two, not even 0.3 - 0.2 is 0.1.
        if fall(self.percent, now.percent) <= points + 1e-9 {
            return None;
        }
        let shown = |percentage| percent(percentage, precision);
        let mut files = Vec::new();
        for (path, &new) in &now.files {
            let (old, from) = match self.files.get(path) {
                Some(&old) => (old, format!("from {} to", shown(old))),
                None => (self.percent, "new, with".to_owned()),
            };
            let text = format!("{path} {from} {}", shown(new));
            files.extend((fall(old, new) > 0.0).then(|| (fall(old, new), text)));
        }
        files.sort_by(|(a, _), (b, _)| ascending(*b, *a));
        let allowed =
            if points > 0.0 { format!(", by more than {points} points") } else { String::new() };
        Some(Missed {
            what: format!(
                "coverage fell from {} to {}{allowed}",
                shown(self.percent),
                shown(now.percent)
            ),
            worst: files.into_iter().map(|(_, text)| text).collect(),
            even_partial: false,
        })
    }
}

/// Whether coverage would call a percentage too low: it is rounded as it is displayed, but only
/// all is 100.
fn is_below(percent: f64, wanted: f64, precision: u32) -> bool {
    if wanted >= 100.0 { percent < 100.0 } else { rounded(percent, precision) < wanted }
}

/// A percentage as coverage displays it: never 0 or 100 unless it is.
pub(crate) fn displayed(percent: f64, precision: u32) -> f64 {
    let least = 10_f64.powi(-i32::try_from(precision).unwrap_or(0));
    if percent > 0.0 && percent < least {
        least
    } else if percent < 100.0 && percent > 100.0 - least {
        100.0 - least
    } else {
        rounded(percent, precision)
    }
}

/// The same as text.
pub(crate) fn percent(percent: f64, precision: u32) -> String {
    format!("{:.*}%", precision as usize, displayed(percent, precision))
}

fn rounded(percent: f64, precision: u32) -> f64 {
    // As Python's `round` does it: correctly, of the number that is really there.
    format!("{percent:.*}", precision as usize).parse().unwrap_or(percent)
}

fn ascending(a: f64, b: f64) -> Ordering {
    a.total_cmp(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(percent: f64, files: &[(&str, f64)]) -> Baseline {
        let files = files.iter().map(|(path, percent)| ((*path).into(), *percent)).collect();
        Baseline { schema: 1, percent, files }
    }

    #[test]
    fn percentages_are_displayed_as_by_coverage() {
        let table = [
            (0.0, 0, "0%"),
            (0.2, 0, "1%"),
            (89.5833, 0, "90%"),
            (99.6, 0, "99%"),
            (99.96, 1, "99.9%"),
            (100.0, 2, "100.00%"),
            (0.125, 2, "0.12%"),
        ];
        for (number, precision, text) in table {
            assert_eq!(percent(number, precision), text);
        }
        assert!(is_below(99.999, 100.0, 0) && !is_below(89.5, 90.0, 0) && is_below(89.4, 90.0, 0));
    }

    /// One file fell, one is new and below the rest, one rose, one is gone.
    #[test]
    fn what_fell_is_named_worst_first() {
        let before = baseline(90.0, &[("a.py", 100.0), ("b.py", 80.0), ("c.py", 50.0)]);
        let now = baseline(85.04, &[("a.py", 90.0), ("c.py", 60.0), ("d.py", 0.0)]);
        let missed = before.fallen(&now, 0.0, 1).expect("a fall");
        assert_eq!(missed.what, "coverage fell from 90.0% to 85.0%");
        assert_eq!(missed.worst, ["d.py new, with 0.0%", "a.py from 100.0% to 90.0%"]);
        assert_eq!(before.fallen(&now, 5.0, 1), None);
        assert!(before.fallen(&now, 4.9, 1).is_some_and(|it| it.what.ends_with("than 4.9 points")));
        assert_eq!(before.fallen(&before, 0.0, 1), None);
    }

    #[test]
    fn what_is_not_displayed_is_no_fall() {
        let (before, now) = (baseline(89.6, &[]), baseline(89.5, &[]));
        assert_eq!(before.fallen(&now, 0.0, 0), None);
        assert!(before.fallen(&now, 0.0, 1).is_some());
        assert_eq!(baseline(0.3, &[]).fallen(&baseline(0.2, &[]), 0.1, 1), None);
    }

    #[test]
    fn ten_files_are_enough() {
        let worst = (0..12).map(|n| format!("f{n}.py")).collect();
        let missed = Missed { what: "x".to_owned(), worst, even_partial: false };
        let lines = missed.lines();
        assert_eq!(
            (lines.len(), lines[0].as_str(), lines[11].as_str()),
            (12, "x", "    and 2 more")
        );
    }
}
