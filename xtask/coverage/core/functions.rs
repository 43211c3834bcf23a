//! What Python calls: to begin and end measuring, to take what was measured, and what stands in
//! for functions of `sys` meanwhile.

use std::ptr;

use crate::cpython::{self as py, Object, Owned, arguments};
use crate::state::{
    self, Contexts, Follows, Interpreter, Python, State, Tracer, set_tracer, with_state,
};

/// `==` of `PyObject_RichCompareBool`.
const EQUAL: i32 = 2;

fn too_few() -> Object {
    py::raise(unsafe { py::PyExc_TypeError }, c"too few arguments")
}

/// `configure(should_trace, cache, tool, local_events, set_local_events, disable,
/// settrace, gettrace, free_tool_id, resume, to_resume, line_at_return)`.
pub unsafe extern "C" fn configure(_: Object, args: *const Object, count: isize) -> Object {
    let Some(args) = (unsafe { arguments::<12>(args, count) }) else { return too_few() };
    let [should_trace, cache, tool, local_events, set_local_events, disable, ..] = *args;
    let [.., settrace, gettrace, free_tool, resume, to_resume, line_at_return] = *args;
    // SAFETY: objects that live as long as the call, and the GIL is held.
    let made = unsafe {
        let owned = |object| Owned::of_borrowed(object);
        let number = |object| py::PyLong_AsLong(object);
        (|| {
            let python = Python {
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

/// `add(tracer)`: the number of a tracer that coverage has made. It knows of no frame that runs
/// already.
pub unsafe extern "C" fn add(_: Object, args: *const Object, count: isize) -> Object {
    let Some([object]) = (unsafe { arguments::<1>(args, count) }) else { return too_few() };
    // SAFETY: an object, and the GIL is held.
    let Some(object) = (unsafe { Owned::of_borrowed(*object) }) else { return too_few() };
    let number = with_state(|state| state.tracers.add(object)).flatten();
    match number.and_then(|number| number.try_into().ok()) {
        // SAFETY: the GIL is held.
        Some(number) => unsafe { py::PyLong_FromLong(number) },
        None => py::raise(unsafe { py::PyExc_RuntimeError }, c"no room for a tracer"),
    }
}

/// `start(number, branch, once)`: this thread is measured by a tracer, as if that were its trace
/// function. With `once` the collector need not be told of a line again that it knows.
pub unsafe extern "C" fn start(_: Object, args: *const Object, count: isize) -> Object {
    let Some([number, flags @ ..]) = (unsafe { arguments::<3>(args, count) }) else {
        return too_few();
    };
    // SAFETY: objects, and the GIL is held.
    let [branch, once] = flags.map(|one| unsafe { py::PyObject_IsTrue(one) } == 1);
    with_state(|state| {
        state.executed.branch = branch;
        state.executed.once = once && !branch;
    });
    // SAFETY: an object.
    set_tracer(unsafe {
        with_numbered(*number, |tracer| {
            tracer.started = true;
            tracer.follows = Follows::All;
        })
    });
    py::return_none()
}

/// Changes a tracer, and tells its number if there is one.
unsafe fn with_numbered(number: Object, act: impl FnOnce(&mut Tracer)) -> Option<usize> {
    // SAFETY: an object, and the GIL is held; -1 if it is no number.
    let number = usize::try_from(unsafe { py::PyLong_AsLong(number) }).ok()?;
    with_state(|state| state.tracers.get_mut(number).map(act)).flatten().map(|()| number)
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

/// `stop(number)`: a tracer measures no more, in no thread.
pub unsafe extern "C" fn stop(_: Object, args: *const Object, count: isize) -> Object {
    let Some([number]) = (unsafe { arguments::<1>(args, count) }) else { return too_few() };
    // SAFETY: an object.
    unsafe { with_numbered(*number, |tracer| tracer.started = false) };
    py::return_none()
}

/// `hand_over(data)`: puts what is new into the collector's sets, and tells whether anything
/// happened since the last call.
pub unsafe extern "C" fn hand_over(_: Object, args: *const Object, count: isize) -> Object {
    let Some([data]) = (unsafe { arguments::<1>(args, count) }) else { return too_few() };
    let done = with_state(|state| {
        let activity = std::mem::replace(&mut state.activity, false);
        // SAFETY: the collector's dictionary.
        unsafe { state.executed.hand_over(*data) }.map(|()| activity)
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
    with_state(|state| state.executed.once = false);
    py::return_none()
}

/// `forget()`: whatever is executed from here on is new.
pub unsafe extern "C" fn forget(_: Object, _: *const Object, _: isize) -> Object {
    with_state(|state| state.executed.forget());
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

/// What a function does as a trace function.
enum TraceFunction {
    /// It is a tracer of coverage's.
    Tracer(usize),
    /// It starts one in a new thread.
    Installing,
    /// Coverage does not measure where it is set.
    Another,
}

fn kind_of(function: Object) -> TraceFunction {
    if function == py::none() {
        return TraceFunction::Another;
    }
    let installing = with_state(|state| state.for_new_threads.clone()).flatten();
    if installing.is_some_and(|installing| equal(function, installing.get())) {
        return TraceFunction::Installing;
    }
    let number = with_state(|state| state.tracers.number_of(function)).flatten();
    number.map_or(TraceFunction::Another, TraceFunction::Tracer)
}

/// Methods that are equal need not be the same.
fn equal(one: Object, other: Object) -> bool {
    // SAFETY: two objects, and the GIL is held.
    let equal = unsafe { py::PyObject_RichCompareBool(one, other, EQUAL) };
    if equal < 0 {
        unsafe { py::PyErr_Clear() };
    }
    equal == 1
}

/// Instead of `sys.settrace`: another trace function takes this thread from coverage, but for frames
/// that run already, and one of coverage's own gives it back.
pub unsafe extern "C" fn settrace(_: Object, args: *const Object, count: isize) -> Object {
    let Some([function]) = (unsafe { arguments::<1>(args, count) }) else { return too_few() };
    let kind = kind_of(*function);
    let real = with_state(|state| state.python.real_settrace.clone());
    let Some(real) = real else { return py::return_none() };
    let wanted = if let TraceFunction::Tracer(_) = kind { py::none() } else { *function };
    // Nothing is to be reset in a new thread, and that would look at all code objects anew.
    if !(wanted == py::none() && is_free()) {
        // SAFETY: objects, and the GIL is held.
        if unsafe { real.call_uncounted(&[wanted]) }.is_none() {
            return ptr::null_mut();
        }
    }
    match kind {
        TraceFunction::Tracer(number) => set_tracer(Some(number)),
        TraceFunction::Installing => set_tracer(None),
        TraceFunction::Another => {}
    }
    let follows = match kind {
        TraceFunction::Tracer(_) => Follows::All,
        _ if *function == py::none() => Follows::Nothing,
        _ => Follows::Begun,
    };
    with_state(|state| state.tracers.of_thread().map(|tracer| tracer.follows = follows));
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
    unsafe { real.call_uncounted(&[]) }
}

/// Instead of `sys.gettrace`: coverage's tracer, where its trace function would be set.
pub unsafe extern "C" fn gettrace(_: Object, _: *const Object, _: isize) -> Object {
    let Some(real) = current() else { return ptr::null_mut() };
    if real.get() != py::none() {
        return real.into_raw();
    }
    let tracer =
        with_state(|state| state.tracers.current().map(|tracer| tracer.object.clone())).flatten();
    tracer.unwrap_or(real).into_raw()
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
            0 => real.call_uncounted(&[*tool]).map_or(ptr::null_mut(), Owned::into_raw),
            _ => ptr::null_mut(),
        }
    }
}
