//! The processes of this machine, as `/proc` has them, and those that descend from us. What
//! decides is pure.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;

use crate::machine::processes;

/// A process of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    session: i32,
    /// It only waits for its parent to take note of that.
    pub(super) ended: bool,
    /// A signal or a debugger has stopped it.
    pub(super) stopped: bool,
}

impl Process {
    /// From `/proc/PID/stat`.
    fn parse(stat: &[u8]) -> Option<Process> {
        let pid = stat.split(|byte| *byte == b' ').next()?;
        let pid = std::str::from_utf8(pid).ok()?.parse().ok()?;
        let found = processes::Process::parse(stat)?;
        let (ended, stopped) = (found.has_ended(), found.is_stopped());
        let processes::Process { parent, group, session, .. } = found;
        Some(Process { pid, parent, group, session, ended, stopped })
    }
}

/// Every process; none where there is no `/proc`.
pub(super) fn all() -> Vec<Process> {
    let pids = processes::pids(Utf8Path::new("/proc")).into_iter();
    let stats = pids.filter_map(|pid| std::fs::read(format!("/proc/{pid}/stat")).ok());
    stats.filter_map(|stat| Process::parse(&stat)).collect()
}

pub(super) fn me() -> i32 {
    std::process::id().cast_signed()
}

/// What descends from a process, without those that are spared and what descends from them.
pub(super) fn family(all: &[Process], of: i32, spared: &BTreeSet<i32>) -> Vec<Process> {
    let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    for process in all.iter().filter(|process| !spared.contains(&process.pid)) {
        children.entry(process.parent).or_default().push(*process);
    }
    let mut family = children.remove(&of).unwrap_or_default();
    let mut at = 0;
    while let Some(process) = family.get(at) {
        family.extend(children.remove(&process.pid).unwrap_or_default());
        at += 1;
    }
    family
}

/// The process groups that have no member but those of a family.
pub(super) fn groups(all: &[Process], family: &[Process]) -> BTreeSet<i32> {
    let members: BTreeSet<i32> = family.iter().map(|process| process.pid).collect();
    let strangers = all.iter().filter(|process| !members.contains(&process.pid));
    let theirs: BTreeSet<i32> = strangers.map(|process| process.group).collect();
    let groups = family.iter().map(|process| process.group);
    groups.filter(|group| !theirs.contains(group)).collect()
}

/// Shows `act` every descendant of ours, those that appear meanwhile included: the new ones, then all
/// that there are now, and all processes. What has ended is among them: it may have forked before.
///
/// A process that forks while the table is read has a child that this look misses. Once `act`
/// has killed or stopped it, it forks no more: what it has forked is found by the next look.
pub(super) fn sweep(
    spared: &BTreeSet<i32>,
    mut act: impl FnMut(&[Process], &[Process], &[Process]),
) {
    // There may be processes that escape for ever, each by forking another one and ending.
    const LOOKS: usize = 100;
    // One look may fall between the end of such a process and the beginning of the next.
    const SURE: usize = 3;
    let (mut seen, mut empty) = (BTreeSet::new(), 0);
    for _ in 0..LOOKS {
        let all = all();
        let family = family(&all, me(), spared);
        let is_new = |process: &&Process| seen.insert(process.pid);
        let new: Vec<Process> = family.iter().filter(is_new).copied().collect();
        if !new.is_empty() {
            empty = 0;
            act(&new, &family, &all);
            continue;
        }
        empty += 1;
        if empty == SURE {
            return;
        }
    }
}

/// Whether nobody is there to have a stopped process group go on: no member has a parent in
/// another group of its session. In such a group Ctrl-Z does nothing.
pub(super) fn is_orphaned(all: &[Process], group: i32) -> bool {
    let by_pid: BTreeMap<i32, &Process> = all.iter().map(|it| (it.pid, it)).collect();
    let has_keeper = |member: &Process| {
        let parent = by_pid.get(&member.parent);
        parent.is_some_and(|it| it.session == member.session && it.group != member.group)
    };
    !all.iter().any(|process| process.group == group && !process.ended && has_keeper(process))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, group: i32, session: i32) -> Process {
        Process { pid, parent, group, session, ended: false, stopped: false }
    }

    #[test]
    fn a_line_is_read_whatever_the_name_of_the_program() {
        let stat = b"17 (a) Z 1 (b)) T 3 4 5 0 -1 4194304";
        let wanted = Process { stopped: true, ..process(17, 3, 4, 5) };
        assert_eq!(Process::parse(stat), Some(wanted));
        assert_eq!(Process::parse(b"17 (a) Z 3 4 5").map(|it| it.ended), Some(true));
        assert_eq!(Process::parse(b"17 (a) S"), None);
    }

    #[test]
    fn a_family_is_all_that_descends_but_for_the_spared() {
        let all = [
            process(9, 8, 9, 1),
            process(2, 1, 2, 1),
            process(8, 2, 2, 1),
            process(7, 1, 7, 1),
            process(5, 2, 2, 1),
            process(6, 5, 2, 1),
        ];
        let pids = |spared: &[i32]| -> Vec<i32> {
            let spared = spared.iter().copied().collect();
            family(&all, 2, &spared).iter().map(|process| process.pid).collect()
        };
        assert_eq!(pids(&[]), [8, 5, 9, 6]);
        assert_eq!(pids(&[5]), [8, 9]);
    }

    #[test]
    fn a_group_with_strangers_is_not_the_familys() {
        let all = [
            process(2, 1, 2, 1),
            process(3, 2, 2, 1),
            process(4, 2, 4, 1),
            process(5, 4, 4, 1),
            process(6, 2, 6, 1),
            process(7, 1, 6, 1),
        ];
        assert_eq!(groups(&all, &family(&all, 2, &BTreeSet::new())), [4].into());
    }

    #[test]
    fn a_group_that_no_shell_watches_is_orphaned() {
        let (shell, cargo, us) = (process(2, 1, 2, 2), process(3, 2, 3, 2), process(4, 3, 3, 2));
        assert!(!is_orphaned(&[shell, cargo, us], 3));
        assert!(is_orphaned(&[cargo, us], 3), "the shell is gone");
        assert!(is_orphaned(&[process(2, 1, 2, 1), cargo, us], 3), "it is of another session");
        assert!(
            is_orphaned(&[shell, Process { group: 2, ..cargo }, us], 2),
            "and of its own group"
        );
    }
}
