//! What Python calls: to begin and end measuring, to take what was measured, and what stands in
//! for functions of `sys` meanwhile.

use std::ptr;

use crate::cpython::{self as py, Object, Owned, arguments};
use crate::state::{self, Contexts, Interpreter, Python, State, with_state, with_thread};

/// `==` of `PyObject_RichCompareBool`.
const EQUAL: i32 = 2;

fn too_few() -> Object {
    py::raise(unsafe { py::PyExc_TypeError }, c"too few arguments")
}

/// `configure(tracer, should_trace, cache, tool, local_events, set_local_events, disable,
/// settrace, gettrace, free_tool_id, resume, to_resume, line_at_return)`.
pub unsafe extern "C" fn configure(_: Object, args: *const Object, count: isize) -> Object {
    let Some(args) = (unsafe { arguments::<13>(args, count) }) else { return too_few() };
    let [tracer, should_trace, cache, tool, local_events, set_local_events, disable, ..] = *args;
    let [.., settrace, gettrace, free_tool, resume, to_resume, line_at_return] = *args;
    // SAFETY: objects that live as long as the call, and the GIL is held.
    let made = unsafe {
        let owned = |object| Owned::of_borrowed(object);
        let number = |object| py::PyLong_AsLong(object);
        (|| {
            let python = Python {
                tracer: owned(tracer)?,
                should_trace: owned(should_trace)?,
                cache: owned(cache)?,
                tool: owned(tool)?,
                local_events: owned(local_events)?,
                set_local_events: owned(set_local_events)?,
                disable: owned(disable)?,
                real_settrace: owned(settrace)?,
                real_gettrace: owned(gettrace)?,
                real_free_tool: owned(free_tool)?,
            };
            let interpreter = Interpreter {
                resume: u8::try_from(number(resume)).ok()?,
                to_resume: usize::try_from(number(to_resume)).ok()?,
                line_at_return: number(line_at_return) != 0,
            };
            State::new(python, interpreter)
        })()
    };
    match made {
        Some(made) => {
            drop(state::replace_state(made));
            py::return_none()
        }
        // SAFETY: the GIL is held.
        None if unsafe { py::PyErr_Occurred() }.is_null() => {
            py::raise(unsafe { py::PyExc_TypeError }, c"arguments of another kind")
        }
        None => ptr::null_mut(),
    }
}

/// `start(branch, once)`: this thread is measured, as if its trace function were set. With `once`
/// the collector need not be told of a line again that it knows.
pub unsafe extern "C" fn start(_: Object, args: *const Object, count: isize) -> Object {
    let Some(args) = (unsafe { arguments::<2>(args, count) }) else { return too_few() };
    // SAFETY: objects, and the GIL is held.
    let [branch, once] = args.map(|one| unsafe { py::PyObject_IsTrue(one) } == 1);
    with_state(|state| {
        state.started = true;
        state.branch = branch;
        state.once = once && !branch;
    });
    with_thread(|thread| thread.traced = true);
    py::return_none()
}

/// `new_tracer()`: coverage has made a tracer for this thread. One of its own would know of no frame
/// that runs already.
pub unsafe extern "C" fn new_tracer(_: Object, _: *const Object, _: isize) -> Object {
    with_thread(|thread| thread.stack.clear());
    py::return_none()
}

/// `contexts(should_start, switch)`: functions begin contexts.
pub unsafe extern "C" fn contexts(_: Object, args: *const Object, count: isize) -> Object {
    let Some(args) = (unsafe { arguments::<2>(args, count) }) else { return too_few() };
    // SAFETY: objects, and the GIL is held.
    let [should_start, switch] = args.map(|one| unsafe { Owned::of_borrowed(one) });
    let (Some(should_start), Some(switch)) = (should_start, switch) else { return too_few() };
    with_state(|state| state.contexts = Some(Contexts { should_start, switch }));
    py::return_none()
}

/// `stop()`: nothing is measured, in no thread.
pub unsafe extern "C" fn stop(_: Object, _: *const Object, _: isize) -> Object {
    with_state(|state| state.started = false);
    py::return_none()
}

/// `hand_over(data)`: puts what is new into the collector's sets, and tells whether anything
/// happened since the last call.
pub unsafe extern "C" fn hand_over(_: Object, args: *const Object, count: isize) -> Object {
    let Some([data]) = (unsafe { arguments::<1>(args, count) }) else { return too_few() };
    let done = with_state(|state| {
        let activity = std::mem::replace(&mut state.activity, false);
        // SAFETY: the collector's dictionary.
        unsafe { state.hand_over(*data) }.map(|()| activity)
    });
    match done {
        Some(None) => ptr::null_mut(),
        // SAFETY: the GIL is held.
        Some(Some(activity)) => unsafe { py::PyLong_FromLong(activity.into()) },
        None => py::raise(unsafe { py::PyExc_RuntimeError }, c"not configured"),
    }
}

/// `repeat()`: lines are told again from here on.
pub unsafe extern "C" fn repeat(_: Object, _: *const Object, _: isize) -> Object {
    with_state(|state| state.once = false);
    py::return_none()
}

/// `forget()`: whatever is executed from here on is new.
pub unsafe extern "C" fn forget(_: Object, _: *const Object, _: isize) -> Object {
    with_state(State::forget);
    py::return_none()
}

/// `new_threads(function)`: threads for which `threading` sets this trace function are measured.
pub unsafe extern "C" fn new_threads(_: Object, args: *const Object, count: isize) -> Object {
    let Some([function]) = (unsafe { arguments::<1>(args, count) }) else { return too_few() };
    // SAFETY: an object, and the GIL is held.
    let function = (*function != py::none()).then(|| unsafe { Owned::of_borrowed(*function) });
    let last =
        with_state(|state| std::mem::replace(&mut state.for_new_threads, function.flatten()));
    drop(last);
    py::return_none()
}

/// Whether a trace function is coverage's: the tracer, or what starts one in a new thread.
fn is_coverages(function: Object) -> bool {
    let handed = with_state(|state| (state.python.tracer.get(), state.for_new_threads.clone()));
    let Some((tracer, installing)) = handed else { return false };
    if function == tracer {
        return true;
    }
    let Some(installing) = installing else { return false };
    // SAFETY: two objects. They are methods, so equal ones need not be the same.
    let equal = unsafe { py::PyObject_RichCompareBool(function, installing.get(), EQUAL) };
    if equal < 0 {
        unsafe { py::PyErr_Clear() };
    }
    equal == 1
}

/// Instead of `sys.settrace`: another trace function takes this thread from coverage, and
/// coverage's own gives it back.
pub unsafe extern "C" fn settrace(_: Object, args: *const Object, count: isize) -> Object {
    let Some([function]) = (unsafe { arguments::<1>(args, count) }) else { return too_few() };
    let ours = is_coverages(*function);
    let real = with_state(|state| state.python.real_settrace.clone());
    let Some(real) = real else { return py::return_none() };
    // Nothing is to be reset in a new thread, and that would look at all code objects anew.
    if !(ours && is_free()) {
        let wanted = if ours { py::none() } else { *function };
        // SAFETY: objects, and the GIL is held.
        if unsafe { real.call(&[wanted]) }.is_none() {
            return ptr::null_mut();
        }
    }
    with_thread(|thread| thread.traced = ours);
    py::return_none()
}

/// Whether no trace function is really set in this thread.
fn is_free() -> bool {
    current().is_some_and(|function| function.get() == py::none())
}

/// The trace function that is really set.
fn current() -> Option<Owned> {
    let real = with_state(|state| state.python.real_gettrace.clone())?;
    // SAFETY: the GIL is held.
    unsafe { real.call(&[]) }
}

/// Instead of `sys.gettrace`: coverage's tracer, where its trace function would be set.
pub unsafe extern "C" fn gettrace(_: Object, _: *const Object, _: isize) -> Object {
    let Some(real) = current() else { return ptr::null_mut() };
    let traced = with_thread(|thread| thread.traced).unwrap_or(false);
    if real.get() != py::none() || !traced {
        return real.into_raw();
    }
    let tracer = with_state(|state| state.started.then(|| state.python.tracer.clone()));
    tracer.flatten().unwrap_or(real).into_raw()
}

/// Instead of `sys.monitoring.free_tool_id`: what a test does to all tools does not reach ours,
/// which it would not find in a run with a trace function.
pub unsafe extern "C" fn free_tool_id(_: Object, args: *const Object, count: isize) -> Object {
    let Some([tool]) = (unsafe { arguments::<1>(args, count) }) else { return too_few() };
    let handed =
        with_state(|state| (state.python.real_free_tool.clone(), state.python.tool.clone()));
    let Some((real, ours)) = handed else { return py::return_none() };
    // SAFETY: objects, and the GIL is held.
    unsafe {
        match py::PyObject_RichCompareBool(*tool, ours.get(), EQUAL) {
            1 => py::return_none(),
            0 => real.call(&[*tool]).map_or(ptr::null_mut(), Owned::into_raw),
            _ => ptr::null_mut(),
        }
    }
}
