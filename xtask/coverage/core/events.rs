//! The callbacks of `sys.monitoring`: events as CPython maps them for a trace function, read as
//! coverage's C tracer reads them.
//!
//! CPython calls no callback while one runs in the same thread, so that Python code that is called
//! from here is not measured, as that of a trace function is not.

use std::ffi::{c_char, c_int};
use std::ptr;

use crate::cpython::{self as py, Object, Owned, event_arguments};
use crate::state::{Code, Executed, Interpreter, State, Tracer, with_state};

fn number(object: Object) -> i32 {
    // SAFETY: an integer, by the contract of the event; -1 with an error set if not.
    let number = unsafe { py::PyLong_AsLong(object) };
    i32::try_from(number).unwrap_or(-1)
}

/// Whether a callback has anything to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Nothing is measured in this thread.
    Untraced,
    /// The code is not measured, or it is not known yet whether it is.
    Unknown,
    Measured,
}

/// What a callback does with the code that it is told of, if that is measured in this thread.
#[inline]
unsafe fn in_measured(
    code: Object,
    act: impl FnOnce(&mut Executed, &mut Tracer, &mut Code, Interpreter),
) -> Told {
    let told = with_state(|state| {
        // SAFETY: CPython hands over a code object, which lives as long as the call.
        let known = unsafe { state.code(code) };
        let State { tracers, executed, activity, interpreter, .. } = state;
        let Some(tracer) = tracers.current() else { return Told::Untraced };
        *activity = true;
        match known {
            Some(known) => {
                act(executed, tracer, known, *interpreter);
                Told::Measured
            }
            None => Told::Unknown,
        }
    });
    told.unwrap_or(Told::Untraced)
}

fn address(code: &Code) -> usize {
    ptr::from_ref(code) as usize
}

/// `PY_START`: a frame begins.
pub unsafe extern "C" fn on_start(
    _: Object,
    args: *const Object,
    count: usize,
    _: Object,
) -> Object {
    let Some([code]) = (unsafe { event_arguments::<1>(args, count) }) else {
        return py::return_none();
    };
    let push = |tracer: &mut Tracer, known: &mut Code| {
        tracer.push(address(known), known.entry);
    };
    unsafe {
        let told = in_measured(*code, |_, tracer, known, _| push(tracer, known));
        measured_or_never(told, *code, push)
    }
}

/// What a callback returns for code that begins to run: a `push` for what turns out to be measured.
unsafe fn measured_or_never(
    told: Told,
    code: Object,
    push: impl FnOnce(&mut Tracer, &mut Code),
) -> Object {
    match told {
        // SAFETY: a code object, which the running frame keeps alive.
        Told::Unknown => unsafe { decide(code, push) }.unwrap_or(ptr::null_mut()),
        Told::Untraced | Told::Measured => py::return_none(),
    }
}

/// Is this code measured? If so its events are wanted from here on; if not, none ever again.
unsafe fn decide(code: Object, push: impl FnOnce(&mut Tracer, &mut Code)) -> Option<Object> {
    let handed = with_state(|state| {
        let python = &state.python;
        (python.should_trace.clone(), python.cache.clone(), python.disable.clone())
    });
    let Some((should_trace, cache, disable)) = handed else { return Some(py::return_none()) };
    // SAFETY: `code` is a code object, which the running frame keeps alive.
    unsafe {
        let name = Owned::attribute(code, c"co_filename")?;
        let mut disposition =
            Owned::of_borrowed(py::PyDict_GetItemWithError(cache.get(), name.get()));
        if disposition.is_none() {
            if !py::PyErr_Occurred().is_null() {
                return None;
            }
            let frame = py::PyEval_GetFrame();
            if frame.is_null() {
                return Some(py::return_none());
            }
            let decided = should_trace.call(&[name.get(), frame])?;
            if py::PyDict_SetItem(cache.get(), name.get(), decided.get()) != 0 {
                return None;
            }
            disposition = Some(decided);
        }
        match source_of(disposition?.get())? {
            Some(source) => begin(code, source.get(), push),
            None => Some(disable.into_raw()),
        }
    }
}

/// The file that coverage reports for a disposition, if it is measured.
unsafe fn source_of(disposition: Object) -> Option<Option<Owned>> {
    if disposition == py::none() {
        return Some(None);
    }
    // SAFETY: a disposition of coverage's.
    unsafe {
        let trace = Owned::attribute(disposition, c"trace")?;
        match py::PyObject_IsTrue(trace.get()) {
            1 => Some(Some(Owned::attribute(disposition, c"source_filename")?)),
            0 => Some(None),
            _ => None,
        }
    }
}

/// Measure a code object whose frame has just begun.
unsafe fn begin(
    code: Object,
    source: Object,
    push: impl FnOnce(&mut Tracer, &mut Code),
) -> Option<Object> {
    // SAFETY: a code object, a string, and the GIL is held.
    unsafe {
        let first = Owned::attribute(code, c"co_firstlineno")?;
        let first = number(first.get());
        let calls = with_state(|state| {
            state.measure(code, source, first)?;
            let python = &state.python;
            Some((
                python.set_local_events.clone(),
                python.tool.clone(),
                python.local_events.clone(),
            ))
        });
        let (set_local_events, tool, events) = calls.flatten()?;
        // Code that has no instructions of its own (Cython's) refuses, and has no lines either.
        if set_local_events.call_uncounted(&[tool.get(), code, events.get()]).is_none() {
            py::PyErr_Clear();
        }
        in_measured(code, |_, tracer, known, _| push(tracer, known));
    }
    Some(py::return_none())
}

/// `PY_RESUME`: a generator or coroutine goes on.
pub unsafe extern "C" fn on_resume(
    _: Object,
    args: *const Object,
    count: usize,
    _: Object,
) -> Object {
    let Some([code, offset]) = (unsafe { event_arguments::<2>(args, count) }) else {
        return py::return_none();
    };
    let push = |tracer: &mut Tracer, known: &mut Code| {
        resume(tracer, known, *code, number(*offset));
    };
    unsafe {
        let told = in_measured(*code, |_, tracer, known, _| push(tracer, known));
        measured_or_never(told, *code, push)
    }
}

fn resume(tracer: &mut Tracer, known: &mut Code, code: Object, offset: i32) {
    // SAFETY: `known` hangs on `code`.
    let line = unsafe { known.line_at(code, offset) };
    let last = if line < 0 { line_of_frame() } else { line };
    tracer.push(address(known), last);
}

fn line_of_frame() -> i32 {
    // SAFETY: the frame is borrowed, and used at once.
    unsafe {
        let frame = py::PyEval_GetFrame();
        if frame.is_null() { -1 } else { py::PyFrame_GetLineNumber(frame) }
    }
}

/// `PY_THROW`: a generator or coroutine goes on, or begins, with an exception.
pub unsafe extern "C" fn on_throw(
    _: Object,
    args: *const Object,
    count: usize,
    _: Object,
) -> Object {
    let Some([code, offset]) = (unsafe { event_arguments::<2>(args, count) }) else {
        return py::return_none();
    };
    let push = |tracer: &mut Tracer, known: &mut Code| {
        let at = number(*offset);
        let argument = usize::try_from(at).ok().and_then(|at| byte_of(*code, at + 1));
        if argument == Some(0) {
            tracer.push(address(known), known.entry);
        } else {
            resume(tracer, known, *code, at);
        }
    };
    unsafe {
        let told = in_measured(*code, |_, tracer, known, _| push(tracer, known));
        let result = measured_or_never(told, *code, push);
        // This event is one of those that cannot be disabled.
        if result.is_null() {
            result
        } else {
            drop(Owned::new(result));
            py::return_none()
        }
    }
}

/// A byte of the instructions as they were compiled, without what tools have changed.
fn byte_of(code: Object, at: usize) -> Option<u8> {
    instructions(code, |bytes| bytes.get(at).copied()).flatten()
}

fn instructions<R>(code: Object, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
    // SAFETY: a code object; the bytes live as long as their owner.
    unsafe {
        let Some(owner) = Owned::new(py::PyCode_GetCode(code)) else {
            py::PyErr_Clear();
            return None;
        };
        let mut text: *mut c_char = ptr::null_mut();
        let mut length = 0;
        if py::PyBytes_AsStringAndSize(owner.get(), &mut text, &mut length) != 0 {
            py::PyErr_Clear();
            return None;
        }
        let length = usize::try_from(length).ok()?;
        Some(look(std::slice::from_raw_parts(text.cast::<u8>(), length)))
    }
}

/// `LINE`: a line begins.
pub unsafe extern "C" fn on_line(
    _: Object,
    args: *const Object,
    count: usize,
    _: Object,
) -> Object {
    let Some([code, line]) = (unsafe { event_arguments::<2>(args, count) }) else {
        return py::return_none();
    };
    let mut needless = false;
    unsafe {
        in_measured(*code, |executed, tracer, known, _| {
            needless = execute(executed, tracer, known, number(*line)) && executed.once;
        });
    }
    if needless { disable() } else { py::return_none() }
}

/// Whether the line is kept: not if its frame began before measuring did.
#[inline]
fn execute(executed: &mut Executed, tracer: &mut Tracer, known: &mut Code, line: i32) -> bool {
    let frame = tracer.stack.top(address(known)).filter(|frame| !frame.another);
    let Some(frame) = frame else { return false };
    let from = std::mem::replace(&mut frame.last, line);
    executed.record(known, from, line)
}

/// `JUMP`: a trace function hears of a jump back within a line, as of a line.
pub unsafe extern "C" fn on_jump(
    _: Object,
    args: *const Object,
    count: usize,
    _: Object,
) -> Object {
    let Some([code, from, to]) = (unsafe { event_arguments::<3>(args, count) }) else {
        return py::return_none();
    };
    let (from, to) = (number(*from), number(*to));
    let mut wanted = to <= from;
    if wanted {
        unsafe {
            in_measured(*code, |executed, tracer, known, _| {
                let line = known.line_at(*code, to);
                wanted = line == known.line_at(*code, from);
                if wanted && line >= 0 {
                    execute(executed, tracer, known, line);
                }
            });
        }
    }
    if wanted { py::return_none() } else { disable() }
}

/// This event is never wanted again at this place.
fn disable() -> Object {
    let object = with_state(|state| state.python.disable.clone());
    object.map_or_else(py::return_none, Owned::into_raw)
}

/// `PY_RETURN`: a frame ends.
pub unsafe extern "C" fn on_return(
    _: Object,
    args: *const Object,
    count: usize,
    _: Object,
) -> Object {
    if let Some([code, offset]) = unsafe { event_arguments::<2>(args, count) } {
        unsafe {
            in_measured(*code, |executed, tracer, known, interpreter| {
                let line = |known: &mut Code| {
                    let at = number(*offset);
                    // `known` hangs on `code`.
                    known.line_at(*code, at)
                };
                exit(executed, tracer, known, interpreter, line);
            });
        }
    }
    py::return_none()
}

/// A frame is left for good, at a line that may not have been told of.
fn exit(
    executed: &mut Executed,
    tracer: &mut Tracer,
    known: &mut Code,
    interpreter: Interpreter,
    line: impl FnOnce(&mut Code) -> i32,
) {
    if interpreter.line_at_return && executed.branch {
        let line = line(known);
        if tracer.stack.top(address(known)).is_some_and(|frame| frame.last != line) {
            execute(executed, tracer, known, line);
        }
    }
    if let Some(last) = tracer.stack.pop(address(known)) {
        executed.record_exit(known, last);
    }
}

/// `PY_YIELD`: a generator or coroutine is suspended.
pub unsafe extern "C" fn on_yield(
    _: Object,
    args: *const Object,
    count: usize,
    _: Object,
) -> Object {
    if let Some([code]) = unsafe { event_arguments::<1>(args, count) } {
        unsafe {
            in_measured(*code, |_, tracer, known, _| {
                tracer.stack.pop(address(known));
            });
        }
    }
    py::return_none()
}

/// `PY_UNWIND`: an exception leaves a frame.
pub unsafe extern "C" fn on_unwind(
    _: Object,
    args: *const Object,
    count: usize,
    _: Object,
) -> Object {
    if let Some([code]) = unsafe { event_arguments::<1>(args, count) } {
        unsafe {
            in_measured(*code, |executed, tracer, known, interpreter| {
                if is_suspended(*code, interpreter) {
                    tracer.stack.pop(address(known));
                } else {
                    exit(executed, tracer, known, interpreter, |_| line_of_frame());
                }
            });
        }
    }
    py::return_none()
}

/// Whether the C tracer takes the frame for one that yields: it stands before a `RESUME`. The
/// offset of the event is another where an exception is raised again in a generator that was
/// thrown into or closed, so that of the frame counts.
fn is_suspended(code: Object, interpreter: Interpreter) -> bool {
    // SAFETY: the frame is borrowed, and used at once.
    let last: c_int = unsafe {
        let frame = py::PyEval_GetFrame();
        if frame.is_null() { -1 } else { py::PyFrame_GetLasti(frame) }
    };
    let Ok(last) = usize::try_from(last) else { return false };
    let at = last + interpreter.to_resume;
    instructions(code, |bytes| {
        last + 2 != bytes.len() && bytes.get(at) == Some(&interpreter.resume)
    })
    .unwrap_or(false)
}
