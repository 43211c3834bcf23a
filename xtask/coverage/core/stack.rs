//! The measured frames of a thread: what the C tracer of coverage keeps per frame.

/// A measured frame that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Which code it runs: the address of what is known of it, only ever compared.
    pub code: usize,
    /// The line that was executed last, or the entry.
    pub last: i32,
    /// A context of coverage's began with it, and ends with it.
    pub begins_context: bool,
    /// It began while another trace function was set, which has it.
    pub another: bool,
}

#[derive(Default)]
pub struct Stack {
    frames: Vec<Frame>,
}

impl Stack {
    pub const fn new() -> Self {
        Self { frames: Vec::new() }
    }

    /// A frame begins or goes on. Without memory it is not measured.
    pub fn push(&mut self, code: usize, last: i32) {
        if self.frames.try_reserve(1).is_ok() {
            self.frames.push(Frame { code, last, begins_context: false, another: false });
        }
    }

    /// The innermost frame, if it runs this code.
    #[inline]
    pub fn top(&mut self, code: usize) -> Option<&mut Frame> {
        if self.frames.last().is_some_and(|top| top.code == code) {
            return self.frames.last_mut();
        }
        self.unwind_to(code)
    }

    /// A frame returns, or is suspended: its last line, if its beginning was seen and it is ours.
    pub fn pop(&mut self, code: usize) -> Option<i32> {
        let Frame { last, another, .. } = *self.top(code)?;
        self.frames.pop();
        (!another).then_some(last)
    }

    /// Frames above have ended unseen, while a test had the trace function replaced. A frame that
    /// began before measuring did is not there: it is not measured, as with a trace function.
    #[cold]
    fn unwind_to(&mut self, code: usize) -> Option<&mut Frame> {
        let at = self.frames.iter().rposition(|frame| frame.code == code)?;
        self.frames.truncate(at + 1);
        self.frames.last_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_never_began_is_not_measured() {
        let mut stack = Stack::new();
        assert_eq!(stack.top(1), None);
        stack.push(1, -3);
        assert_eq!(stack.pop(2), None);
        assert_eq!(stack.pop(1), Some(-3));
    }

    #[test]
    fn recursion_has_a_frame_each() {
        let mut stack = Stack::new();
        stack.push(1, -1);
        stack.push(1, -1);
        stack.top(1).expect("a frame").last = 7;
        assert_eq!(stack.pop(1), Some(7));
        assert_eq!(stack.pop(1), Some(-1));
    }

    #[test]
    fn a_frame_of_another_trace_function_has_no_last_line() {
        let mut stack = Stack::new();
        stack.push(1, -1);
        stack.push(1, -1);
        stack.top(1).expect("a frame").another = true;
        assert_eq!(stack.pop(1), None);
        assert_eq!(stack.pop(1), Some(-1));
    }

    #[test]
    fn frames_that_ended_unseen_are_left() {
        let mut stack = Stack::new();
        stack.push(1, 4);
        stack.push(2, 8);
        assert_eq!(stack.top(1).map(|frame| frame.last), Some(4));
        assert_eq!(stack.pop(2), None);
    }
}
