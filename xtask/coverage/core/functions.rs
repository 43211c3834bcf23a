//! What Python calls: to begin and end measuring, to take what was measured, and what stands in
//! for functions of `sys` meanwhile.

use std::ptr;

use crate::cpython::{self as py, Object, Owned};
use crate::state::{self, Contexts, Interpreter, Python, State, with_state, with_thread};

/// `==` of `PyObject_RichCompareBool`.
const EQUAL: i32 = 2;

unsafe fn argument(args: *const Object, count: isize, at: usize) -> Option<Object> {
    let there = !args.is_null() && usize::try_from(count).is_ok_and(|count| at < count);
    // SAFETY: there are as many.
    there.then(|| unsafe { *args.add(at) })
}

fn too_few() -> Object {
    py::raise(unsafe { py::PyExc_TypeError }, c"too few arguments")
}

/// `configure(tracer, should_trace, cache, tool, local_events, set_local_events, disable,
/// settrace, gettrace, free_tool_id, resume, to_resume, line_at_return)`.
pub unsafe extern "C" fn configure(_: Object, args: *const Object, count: isize) -> Object {
    // SAFETY: the arguments live as long as the call.
    let made = unsafe {
        let owned = |at| argument(args, count, at).and_then(|one| Owned::of_borrowed(one));
        let number = |at| argument(args, count, at).map(|one| py::PyLong_AsLong(one));
        (|| {
            let python = Python {
                tracer: owned(0)?,
                should_trace: owned(1)?,
                cache: owned(2)?,
                tool: owned(3)?,
                local_events: owned(4)?,
                set_local_events: owned(5)?,
                disable: owned(6)?,
                real_settrace: owned(7)?,
                real_gettrace: owned(8)?,
                real_free_tool: owned(9)?,
            };
            let interpreter = Interpreter {
                resume: u8::try_from(number(10)?).ok()?,
                to_resume: usize::try_from(number(11)?).ok()?,
                line_at_return: number(12)? != 0,
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
        None if unsafe { py::PyErr_Occurred() }.is_null() => too_few(),
        None => ptr::null_mut(),
    }
}

/// `start(branch, once)`: this thread is measured, as if its trace function were set. With `once`
/// the collector need not be told of a line again that it knows.
pub unsafe extern "C" fn start(_: Object, args: *const Object, count: isize) -> Object {
    // SAFETY: objects, and the GIL is held.
    let truth = |at| unsafe { argument(args, count, at).map(|one| py::PyObject_IsTrue(one) == 1) };
    let (Some(branch), Some(once)) = (truth(0), truth(1)) else { return too_few() };
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
    // SAFETY: the arguments live as long as the call.
    let owned = |at| unsafe { argument(args, count, at).and_then(|one| Owned::of_borrowed(one)) };
    let (Some(should_start), Some(switch)) = (owned(0), owned(1)) else { return too_few() };
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
    let Some(data) = (unsafe { argument(args, count, 0) }) else { return too_few() };
    let done = with_state(|state| {
        let activity = std::mem::replace(&mut state.activity, false);
        // SAFETY: the collector's dictionary.
        unsafe { state.hand_over(data) }.map(|()| activity)
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
    let Some(function) = (unsafe { argument(args, count, 0) }) else { return too_few() };
    // SAFETY: an object, and the GIL is held.
    let function = (function != py::none()).then(|| unsafe { Owned::of_borrowed(function) });
    let last =
        with_state(|state| std::mem::replace(&mut state.for_new_threads, function.flatten()));
    drop(last);
    py::return_none()
}

/// Whether a trace function is coverage's: the tracer, or what starts one in a new thread.
fn is_coverages(function: Object) -> bool {
    let Some((tracer, installing)) = with_state(|state| {
        // SAFETY: objects, and the GIL is held.
        let installing = state.for_new_threads.as_ref().map(Owned::get);
        let installing = installing.and_then(|one| unsafe { Owned::of_borrowed(one) });
        (state.python.tracer.get(), installing)
    }) else {
        return false;
    };
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
    let Some(function) = (unsafe { argument(args, count, 0) }) else { return too_few() };
    let ours = is_coverages(function);
    let Some(real) =
        with_state(|state| unsafe { Owned::of_borrowed(state.python.real_settrace.get()) })
            .flatten()
    else {
        return py::return_none();
    };
    let wanted = if ours { py::none() } else { function };
    // Nothing is to be reset in a new thread, and that would look at all code objects anew.
    let needless = ours && unsafe { is_free() };
    // SAFETY: a callable and an object.
    let result = if needless {
        py::return_none()
    } else {
        unsafe {
            py::PyObject_CallFunctionObjArgs(real.get(), wanted, ptr::null_mut::<py::PyObject>())
        }
    };
    if !result.is_null() {
        with_thread(|thread| thread.traced = ours);
    }
    result
}

/// Whether no trace function is really set in this thread.
unsafe fn is_free() -> bool {
    // SAFETY: a callable, and the GIL is held.
    unsafe { current() }.is_some_and(|function| function.get() == py::none())
}

unsafe fn current() -> Option<Owned> {
    let real = with_state(|state| unsafe { Owned::of_borrowed(state.python.real_gettrace.get()) });
    // SAFETY: a callable.
    Owned::new(unsafe {
        py::PyObject_CallFunctionObjArgs(real.flatten()?.get(), ptr::null_mut::<py::PyObject>())
    })
}

/// Instead of `sys.gettrace`: coverage's tracer, where its trace function would be set.
pub unsafe extern "C" fn gettrace(_: Object, _: *const Object, _: isize) -> Object {
    let Some(real) = (unsafe { current() }) else { return ptr::null_mut() };
    let traced = with_thread(|thread| thread.traced).unwrap_or(false);
    if real.get() != py::none() || !traced {
        return real.into_raw();
    }
    let tracer = with_state(|state| {
        // SAFETY: an object, and the GIL is held.
        let tracer = unsafe { Owned::of_borrowed(state.python.tracer.get()) };
        tracer.filter(|_| state.started)
    });
    tracer.flatten().unwrap_or(real).into_raw()
}

/// Instead of `sys.monitoring.free_tool_id`: what a test does to all tools does not reach ours,
/// which it would not find in a run with a trace function.
pub unsafe extern "C" fn free_tool_id(_: Object, args: *const Object, count: isize) -> Object {
    let Some(tool) = (unsafe { argument(args, count, 0) }) else { return too_few() };
    let handed = with_state(|state| unsafe {
        Some((
            Owned::of_borrowed(state.python.real_free_tool.get())?,
            Owned::of_borrowed(state.python.tool.get())?,
        ))
    });
    let Some((real, ours)) = handed.flatten() else { return py::return_none() };
    // SAFETY: objects, and the GIL is held.
    unsafe {
        match py::PyObject_RichCompareBool(tool, ours.get(), EQUAL) {
            1 => py::return_none(),
            0 => {
                py::PyObject_CallFunctionObjArgs(real.get(), tool, ptr::null_mut::<py::PyObject>())
            }
            _ => ptr::null_mut(),
        }
    }
}
