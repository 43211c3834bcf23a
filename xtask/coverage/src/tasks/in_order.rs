//! What several runs say at the same time, run by run, in the order of the runs: that of the first
//! one as it comes, that of the others when their turn has come. Pure.

#[derive(Debug)]
pub(super) struct InOrder {
    /// The run whose turn it is.
    at: usize,
    runs: Vec<Kept>,
}

#[derive(Clone, Debug, Default)]
struct Kept {
    said: Vec<Piece>,
    has_ended: bool,
}

/// Whole lines, for stderr or for stdout.
pub(super) type Piece = (bool, String);

impl InOrder {
    /// Nobody has said anything.
    pub(super) fn new(runs: usize) -> InOrder {
        InOrder { at: 0, runs: vec![Kept::default(); runs] }
    }

    /// A run says something. Returns what can be printed.
    pub(super) fn said(&mut self, run: usize, piece: Piece) -> Vec<Piece> {
        if run == self.at {
            return vec![piece];
        }
        let said = &mut self.runs[run].said;
        match said.last_mut() {
            Some((error, text)) if *error == piece.0 => text.push_str(&piece.1),
            _ => said.push(piece),
        }
        Vec::new()
    }

    /// A run says nothing more. Returns what can be printed.
    pub(super) fn ended(&mut self, run: usize) -> Vec<Piece> {
        self.runs[run].has_ended = true;
        let mut printed = Vec::new();
        while self.runs.get(self.at).is_some_and(|kept| kept.has_ended) {
            self.at += 1;
            let next = self.runs.get_mut(self.at);
            printed.extend(next.into_iter().flat_map(|kept| std::mem::take(&mut kept.said)));
        }
        printed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pieces: Vec<Piece>) -> String {
        pieces
            .into_iter()
            .map(|(error, text)| if error { format!("!{text}") } else { text })
            .collect()
    }

    #[test]
    fn each_run_is_printed_whole_and_in_order() {
        let mut runs = InOrder::new(4);
        let said =
            |runs: &mut InOrder, run, text: &str| texts(runs.said(run, (false, text.into())));
        assert_eq!(said(&mut runs, 0, "a"), "a");
        assert_eq!(said(&mut runs, 2, "x"), "");
        assert_eq!(said(&mut runs, 1, "k"), "");
        assert_eq!(texts(runs.said(1, (true, "l".into()))), "");
        assert_eq!(texts(runs.ended(2)), "");
        assert_eq!(said(&mut runs, 0, "b"), "b");
        assert_eq!(texts(runs.ended(0)), "k!l");
        assert_eq!(said(&mut runs, 1, "m"), "m");
        assert_eq!(texts(runs.ended(1)), "x", "and it is over: the next one's turn");
        assert_eq!(said(&mut runs, 3, "z"), "z");
        assert_eq!(texts(runs.ended(3)), "");
    }
}
