//! Deals test files out to the processes that collect a part of the suite each. Pure.

use serde::{Deserialize, Serialize};

/// Seconds that the parts of a file must gain, for each part imports the file.
const GAIN: f64 = 0.2;

/// What collecting a test file takes, in seconds.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct FileCost {
    /// In one process.
    pub seconds: f64,
    /// Those of them that several processes can share, each with some of the names in the file:
    /// not its import. None where all of its tests have to be in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apart: Option<f64>,
}

impl FileCost {
    /// The same file after another part of it; both have imported it.
    pub(crate) fn with_part(self, other: FileCost) -> FileCost {
        let (Some(one), Some(two)) = (self.apart, other.apart) else {
            return FileCost { seconds: self.seconds + other.seconds, apart: None };
        };
        let import = (self.seconds - one).max(other.seconds - two);
        FileCost { seconds: import + one + two, apart: Some(one + two) }
    }

    /// What it takes in one of so many processes that share it.
    fn of_part(&self, parts: usize) -> f64 {
        let apart = self.apart.unwrap_or_default().min(self.seconds);
        self.seconds - apart + apart / parts as f64
    }
}

/// Which process collects what; files are numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Assignment {
    /// The files that each collects alone, in order.
    pub shares: Vec<Vec<usize>>,
    /// Those that all share.
    pub parted: Vec<usize>,
    /// What each process takes, in seconds.
    pub seconds: Vec<f64>,
}

/// Deals files out by what they take, the longest first and each to who has least. One that
/// would keep its process busy when the others are through is shared by all.
pub(crate) fn assign(costs: &[FileCost], shares: usize) -> Assignment {
    let shares = shares.max(1);
    let mut order: Vec<usize> = (0..costs.len()).collect();
    order.sort_by(|&a, &b| costs[b].seconds.total_cmp(&costs[a].seconds));
    let total: f64 = costs.iter().map(|cost| cost.seconds).sum();
    let gains = |file: &usize| {
        let (cost, others) = (costs[*file], (shares - 1) as f64);
        let import = cost.seconds - cost.apart.unwrap_or_default();
        cost.apart.is_some() && cost.seconds - (total + others * import) / shares as f64 > GAIN
    };
    let (mut parted, rest): (Vec<usize>, Vec<usize>) = order.into_iter().partition(gains);
    parted.sort_unstable();
    let begin: f64 = parted.iter().map(|&file| costs[file].of_part(shares)).sum();
    let mut dealt = vec![(begin, Vec::new()); shares];
    for file in rest {
        let least = dealt.iter_mut().min_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((sum, files)) = least {
            *sum += costs[file].seconds.max(1e-9);
            files.push(file);
        }
    }
    let (seconds, mut shares): (_, Vec<Vec<usize>>) = dealt.into_iter().unzip();
    shares.iter_mut().for_each(|files| files.sort_unstable());
    Assignment { shares, parted, seconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(seconds: &[f64]) -> Vec<FileCost> {
        seconds.iter().map(|&seconds| FileCost { seconds, apart: None }).collect()
    }

    #[test]
    fn shares_weigh_alike_and_keep_the_order() {
        let shares = |seconds: &[f64], count| assign(&whole(seconds), count).shares;
        assert_eq!(shares(&[1.0, 5.0, 2.0, 2.0], 2), [vec![1], vec![0, 2, 3]]);
        assert_eq!(shares(&[0.0, 0.0, 0.0], 2), [vec![0, 2], vec![1]]);
        assert_eq!(shares(&[1.0], 3), [vec![0], vec![], vec![]]);
    }

    #[test]
    fn a_file_that_outlasts_all_others_is_shared() {
        let mut costs = whole(&[1.0, 9.0, 2.0]);
        assert!(assign(&costs, 2).parted.is_empty());
        costs[1].apart = Some(8.0);
        let dealt = assign(&costs, 2);
        assert_eq!((dealt.parted, dealt.shares), (vec![1], vec![vec![2], vec![0]]));
        assert_eq!(dealt.seconds, [7.0, 6.0]);
    }

    #[test]
    fn a_file_is_not_shared_for_little() {
        let mut costs = whole(&[4.0, 4.0]);
        costs[0].apart = Some(4.0);
        assert!(assign(&costs, 2).parted.is_empty());
        // Nearly all of it is the import.
        costs = whole(&[0.5, 8.0]);
        costs[1].apart = Some(0.1);
        assert!(assign(&costs, 2).parted.is_empty());
    }
}
