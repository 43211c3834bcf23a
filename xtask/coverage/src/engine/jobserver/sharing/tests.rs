//! Runs that are played: they start, take processes, fail and end, and what they say and hear is
//! under way for as long as it likes.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;

use super::super::message::Growths;
use super::*;
use crate::settings::Workers;

/// A run that is played.
#[derive(Debug, Default)]
struct Player {
    /// Units that wait.
    left: usize,
    /// Units that fail.
    failing: usize,
    running: usize,
    share: Share,
    to_server: VecDeque<Input>,
    from_server: VecDeque<Action>,
    told: Option<Needs>,
    began: bool,
    counted: u64,
    stopped: bool,
    ended: bool,
}

impl Player {
    fn new(left: usize, failing: usize) -> Player {
        Player { left, failing: failing.min(left), ..Player::default() }
    }

    fn take(&mut self, action: Action) {
        match action {
            Action::Share { share, .. } => self.share = share,
            Action::Counted { counts, .. } => {
                self.counted += u64::from(counts);
                self.stopped |= !counts;
            }
            Action::Stop { .. } => self.stopped = true,
            Action::Start { .. } | Action::Failures { .. } => {}
        }
        if self.stopped {
            self.left = 0;
        }
        let free = self.share.processes.saturating_sub(self.running).min(self.left);
        self.running += free;
        self.left -= free;
    }

    /// A unit ends, and what follows it begins.
    fn work(&mut self, at: usize) {
        if self.running == 0 {
            return;
        }
        self.running -= 1;
        if self.failing > 0 {
            self.failing -= 1;
            self.to_server.push_back(Input::Failed { run: at });
        }
        if self.running < self.share.processes && self.left > 0 {
            (self.running, self.left) = (self.running + 1, self.left - 1);
        }
    }

    fn tell(&mut self, at: usize) {
        let needs = Needs {
            heard: self.share.number,
            running: self.running,
            wanted: self.running + self.left,
            ..Needs::default()
        };
        if self.began && !self.ended && self.told != Some(needs) {
            self.told = Some(needs);
            self.to_server.push_back(Input::Needs { run: at, needs });
        }
        if self.began && !self.ended && self.running + self.left == 0 {
            self.ended = true;
            self.to_server.extend([Input::Over { run: at }, Input::Ended { run: at }]);
        }
    }
}

struct Play {
    sharing: Sharing,
    players: Vec<Player>,
    terms: Terms,
    alive: usize,
}

impl Play {
    fn new(players: Vec<Player>, most: usize, terms: Terms) -> Play {
        let lanes = (0..players.len()).map(|at| at.to_string()).collect();
        Play { sharing: Sharing::new(lanes, most, 4), players, terms, alive: 0 }
    }

    fn hear(&mut self, input: Input) {
        for action in self.sharing.handle(input, Duration::ZERO) {
            let (Action::Start { run }
            | Action::Share { run, .. }
            | Action::Failures { run, .. }
            | Action::Counted { run, .. }
            | Action::Stop { run }) = action;
            if action == (Action::Start { run }) {
                self.alive += 1;
                let player = &mut self.players[run];
                player.began = true;
                player.to_server.push_back(Input::Begins { run, terms: self.terms });
            }
            self.players[run].from_server.push_back(action);
        }
    }

    /// One thing happens to one run. False where nothing could.
    fn step(&mut self, at: usize, what: usize) -> bool {
        let player = &mut self.players[at];
        let happened = match what {
            0 => player.from_server.pop_front().map(|action| player.take(action)).is_some(),
            1 => match player.to_server.pop_front() {
                Some(input) => {
                    self.alive -= usize::from(matches!(input, Input::Ended { .. }));
                    self.hear(input);
                    true
                }
                None => false,
            },
            _ => (player.running > 0).then(|| player.work(at)).is_some(),
        };
        self.players[at].tell(at);
        happened
    }

    fn running(&self) -> usize {
        self.players.iter().map(|player| player.running).sum()
    }
}

fn terms(workers: usize, budget: u64) -> Terms {
    Terms { workers: Workers::fixed(workers), grain: 1, budget }
}

proptest! {
    /// Whatever is under way: never more processes than there may be, never more projects, no
    /// failure too many, and all comes to its end.
    #[test]
    fn the_bounds_hold_at_every_moment(
        units in prop::collection::vec((0_usize..8, 0_usize..4), 1..6),
        workers in 1_usize..5,
        most in 1_usize..5,
        budget in 0_u64..5,
        steps in prop::collection::vec((0_usize..6, 0_usize..3), 0..300),
    ) {
        let players = units.iter().map(|&(left, failing)| Player::new(left, failing)).collect();
        let mut play = Play::new(players, most, terms(workers, budget));
        play.hear(Input::Machine(Reading::default()));
        let runs = units.len();
        let all = (0..runs).flat_map(|at| (0..3).map(move |what| (at, what)));
        let all: Vec<(usize, usize)> = all.collect();
        for (at, what) in steps {
            play.step(at % runs, what);
            prop_assert!(play.running() <= workers);
            prop_assert!(play.alive <= most);
        }
        let mut rounds = 0;
        while all.iter().map(|&(at, what)| play.step(at, what)).fold(false, |any, it| any | it) {
            rounds += 1;
            prop_assert!(play.running() <= workers);
            prop_assert!(rounds < 1000, "it never ends");
        }
        prop_assert!(play.players.iter().all(|player| player.ended));
        let counted: u64 = play.players.iter().map(|player| player.counted).sum();
        let failing: usize = units.iter().map(|&(left, failing)| failing.min(left)).sum();
        if budget > 0 {
            prop_assert!(counted <= budget);
            prop_assert!(counted == budget || failing as u64 > counted || counted == failing as u64);
        } else {
            prop_assert_eq!(counted, failing as u64);
        }
    }
}

/// Takes inputs; the actions of all.
fn played(sharing: &mut Sharing, inputs: Vec<Input>) -> Vec<Action> {
    let took = inputs.into_iter().flat_map(|input| sharing.handle(input, Duration::ZERO));
    took.collect()
}

fn wants(run: usize, heard: u64, running: usize, wanted: usize) -> Input {
    Input::Needs { run, needs: Needs { heard, running, wanted, ..Needs::default() } }
}

fn shares(actions: &[Action]) -> Vec<(usize, usize)> {
    let share = |action: &Action| match action {
        Action::Share { run, share } => Some((*run, share.processes)),
        _ => None,
    };
    actions.iter().filter_map(share).collect()
}

fn starts(actions: &[Action]) -> Vec<usize> {
    let start = |action: &Action| match action {
        Action::Start { run } => Some(*run),
        _ => None,
    };
    actions.iter().filter_map(start).collect()
}

fn lanes(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn what_one_leaves_is_the_others_and_all_that_want_have_as_many() {
    let mut sharing = Sharing::new(lanes(&["a", "b"]), 2, 4);
    let begins = |run| Input::Begins { run, terms: terms(4, 0) };
    played(&mut sharing, vec![Input::Machine(Reading::default())]);
    let first = played(&mut sharing, vec![begins(0), wants(0, 1, 0, 9)]);
    assert_eq!(shares(&first), [(0, 0), (0, 4)], "it is alone");
    let second = played(&mut sharing, vec![wants(0, 2, 4, 9), begins(1), wants(1, 1, 0, 9)]);
    assert_eq!(shares(&second), [(1, 0), (0, 2)], "one gives back what the other is to have");
    let still = played(&mut sharing, vec![wants(0, 3, 4, 9), wants(0, 3, 3, 9)]);
    assert_eq!(shares(&still), [(1, 1)], "once it is back");
    let then = played(&mut sharing, vec![wants(1, 2, 1, 9), wants(0, 3, 2, 9)]);
    assert_eq!(shares(&then), [(1, 2)]);
    let tail = played(&mut sharing, vec![wants(1, 3, 2, 9), wants(0, 3, 1, 1)]);
    assert_eq!(shares(&tail), [(0, 1)], "nothing waits there");
    assert_eq!(shares(&played(&mut sharing, vec![wants(0, 4, 1, 1)])), [(1, 3)]);
}

/// A split of the stock engine has several workers, or does not begin.
#[test]
fn what_comes_in_portions_is_given_in_portions() {
    let mut sharing = Sharing::new(lanes(&["a", "b"]), 2, 4);
    let begins = |run, grain| Input::Begins { run, terms: Terms { grain, ..terms(4, 0) } };
    played(&mut sharing, vec![Input::Machine(Reading::default()), begins(0, 3), begins(1, 1)]);
    let given = played(&mut sharing, vec![wants(0, 1, 0, 6), wants(1, 1, 0, 9)]);
    assert_eq!(shares(&given), [(0, 3), (1, 1)]);
}

/// A worker that plugins know lives as long as the run.
#[test]
fn what_cannot_be_given_back_is_not_asked_for() {
    let mut sharing = Sharing::new(lanes(&["a", "b"]), 2, 4);
    let begins = |run| Input::Begins { run, terms: terms(4, 0) };
    let keeps = |heard, running, wanted| {
        let needs = Needs { heard, running, wanted, keeps: true, ..Needs::default() };
        Input::Needs { run: 0, needs }
    };
    played(&mut sharing, vec![Input::Machine(Reading::default()), begins(0), keeps(1, 0, 9)]);
    let given = played(&mut sharing, vec![keeps(2, 4, 9), begins(1), wants(1, 1, 0, 9)]);
    assert_eq!(shares(&given), [(1, 0)]);
    assert_eq!(shares(&played(&mut sharing, vec![keeps(2, 3, 3)])), [(0, 3)]);
    assert_eq!(shares(&played(&mut sharing, vec![keeps(3, 3, 3)])), [(1, 1)]);
}

#[test]
fn projects_begin_while_processes_are_left_for_them() {
    let mut sharing = Sharing::new(lanes(&["a", "b", "c"]), 3, 2);
    let start = |sharing: &mut Sharing, input| starts(&played(sharing, vec![input]));
    let begins = |run| Input::Begins { run, terms: terms(2, 0) };
    assert_eq!(start(&mut sharing, Input::Machine(Reading::default())), [0, 1], "as many as cores");
    assert_eq!(start(&mut sharing, begins(0)), [] as [usize; 0]);
    assert_eq!(start(&mut sharing, wants(0, 1, 0, 9)), [] as [usize; 0]);
    assert_eq!(start(&mut sharing, Input::Ended { run: 1 }), [] as [usize; 0], "one fills them");
    assert_eq!(start(&mut sharing, wants(0, 2, 1, 1)), [2], "at the tail of that one");
}

#[test]
fn projects_of_one_lane_are_prepared_one_after_the_other() {
    let mut sharing = Sharing::new(lanes(&["poetry", "poetry", "c"]), 3, 8);
    let first = played(&mut sharing, vec![Input::Machine(Reading::default())]);
    assert_eq!(starts(&first), [0, 2]);
    let begins = Input::Begins { run: 0, terms: terms(8, 0) };
    assert_eq!(starts(&played(&mut sharing, vec![begins])), [1]);
}

/// Each run by itself would find that there is room for it.
#[test]
fn memory_is_given_once() {
    let mut sharing = Sharing::new(lanes(&["a", "b"]), 2, 4);
    let gib = 1 << 30;
    let reading = Reading { available: Some(4 * gib), memory: Some(8 * gib), ..Reading::default() };
    let reserve = reserve(reading.memory);
    let need = (4 * gib - reserve) / 3;
    let begins = |run| Input::Begins { run, terms: terms(8, 0) };
    let wants = |run, heard, running: u64| {
        let memory = Growths { need, still: need * running, ..Growths::default() };
        let running = running as usize;
        let needs = Needs { heard, running, wanted: 9, memory, ..Needs::default() };
        Input::Needs { run, needs }
    };
    let begun = vec![Input::Machine(reading), begins(0), begins(1), wants(0, 1, 0)];
    assert_eq!(shares(&played(&mut sharing, begun)), [(0, 0), (1, 0), (0, 3)]);
    let given = played(&mut sharing, vec![wants(1, 1, 0), wants(0, 2, 3)]);
    assert_eq!(shares(&given), [] as [(usize, usize); 0], "the first one has it all");
}

#[test]
fn the_first_failures_count_whoever_has_them() {
    let mut sharing = Sharing::new(lanes(&["a", "b", "c"]), 3, 8);
    let begins = |run, budget| Input::Begins { run, terms: terms(2, budget) };
    let begun = vec![Input::Machine(Reading::default()), begins(0, 2), begins(1, 2)];
    played(&mut sharing, begun);
    let failed = |run| Input::Failed { run };
    let counted = |run, counts, others| Action::Counted { run, counts, others };
    let told = |failures| Action::Failures { run: 2, failures };
    assert_eq!(played(&mut sharing, vec![failed(1)]), [counted(1, true, 0), told(1)]);
    let stops = [Action::Stop { run: 0 }, Action::Stop { run: 1 }];
    let last = played(&mut sharing, vec![failed(0)]);
    assert_eq!(last[..2], [counted(0, true, 1), told(2)]);
    assert_eq!(last[2..], stops);
    assert_eq!(played(&mut sharing, vec![failed(1)]), [counted(1, false, 1), told(2)], "too late");
    let late = played(&mut sharing, vec![begins(2, 2)]);
    assert!(late.contains(&Action::Stop { run: 2 }), "{late:?}");
    // One that has no budget goes on.
    let mut sharing = Sharing::new(lanes(&["a", "b"]), 2, 8);
    played(&mut sharing, vec![Input::Machine(Reading::default()), begins(0, 1), begins(1, 0)]);
    let both = played(&mut sharing, vec![failed(0), failed(1)]);
    let stop = Action::Stop { run: 0 };
    assert_eq!(both, [counted(0, true, 0), stop, counted(1, true, 1)]);
}
