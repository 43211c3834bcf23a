//! Deals test files out to the processes that collect a part of the suite each. Pure.

/// Deals files out by their weights, the heaviest first and each to who has least. A share is the
/// places of its files, in order.
pub fn deal(weights: &[f64], shares: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]));
    let mut dealt = vec![(0.0_f64, Vec::new()); shares.max(1)];
    for file in order {
        let least = dealt.iter_mut().min_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((sum, files)) = least {
            *sum += weights[file].max(1e-9);
            files.push(file);
        }
    }
    let sorted = |(_, mut files): (f64, Vec<usize>)| {
        files.sort_unstable();
        files
    };
    dealt.into_iter().map(sorted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_weigh_alike_and_keep_the_order() {
        assert_eq!(deal(&[1.0, 5.0, 2.0, 2.0], 2), [vec![1], vec![0, 2, 3]]);
        assert_eq!(deal(&[0.0, 0.0, 0.0], 2), [vec![0, 2], vec![1]]);
        assert_eq!(deal(&[1.0], 3), [vec![0], vec![], vec![]]);
    }
}
