//! The time that counts: all but what this process was suspended for (Ctrl-Z), when tests stood
//! still, too. Whatever has a time limit is measured by this clock.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long this process has been suspended, all in all. It is locked while the process is
/// suspended: a thread that goes on before that was counted waits for it here.
static SUSPENDED: Mutex<Duration> = Mutex::new(Duration::ZERO);

/// This moment. Only to be compared with others of this clock.
pub(crate) fn now() -> Instant {
    let suspended = suspended();
    let now = Instant::now();
    now.checked_sub(*suspended).unwrap_or(now)
}

/// How long ago a moment of this clock was.
pub(crate) fn since(moment: Instant) -> Duration {
    now().saturating_duration_since(moment)
}

/// Does what suspends this process. None of the time that it takes counts.
pub(super) fn stand_still(suspend: impl FnOnce()) {
    let mut suspended = suspended();
    let began = Instant::now();
    suspend();
    *suspended += began.elapsed();
}

fn suspended() -> MutexGuard<'static, Duration> {
    SUSPENDED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_still_takes_no_time() {
        let (real, counted) = (Instant::now(), now());
        let long = Duration::from_millis(20);
        stand_still(|| {
            let began = Instant::now();
            while began.elapsed() < long {
                std::thread::yield_now();
            }
        });
        let counted_time = since(counted);
        assert!(real.elapsed() >= counted_time + long);
        assert!(now() >= counted, "it never goes back");
    }
}
