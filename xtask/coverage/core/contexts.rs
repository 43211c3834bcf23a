//! The callbacks where contexts begin with functions (`dynamic_context`): each frame may begin one,
//! measured or not, so all are followed, as the C tracer does it always.

use std::ptr;

use crate::cpython::{self as py, Object, Owned, event_arguments};
use crate::events;
use crate::state::{Contexts, Follows, Tracer, with_state};

/// What a frame is known by: by what is known of its code, or by the code that is not measured.
unsafe fn id(code: Object) -> usize {
    // SAFETY: a code object, which lives as long as the call.
    let known = with_state(|state| unsafe { state.code(code) }.map(|known| ptr::from_ref(known)));
    known.flatten().map_or(code as usize, |known| known as usize)
}

/// The code of a callback's frame, if its thread is measured.
unsafe fn traced_code(args: *const Object, count: usize) -> Option<Object> {
    // SAFETY: as the callback's.
    let [code] = unsafe { event_arguments::<1>(args, count) }?;
    with_tracer(|_| *code)
}

/// Look at the tracer that measures this thread, or change it. Nothing may run Python code here.
fn with_tracer<R>(act: impl FnOnce(&mut Tracer) -> R) -> Option<R> {
    with_state(|state| state.tracers.current().map(act)).flatten()
}

/// Whether a context begins with the frame that runs now. `None` with Python's error set.
unsafe fn begin() -> Option<bool> {
    let none = with_tracer(|tracer| tracer.in_context || tracer.follows != Follows::All);
    if none.unwrap_or(true) {
        return Some(false);
    }
    let contexts = with_state(|state| state.contexts.clone());
    let Some(Contexts { should_start, switch }) = contexts.flatten() else { return Some(false) };
    // SAFETY: objects, and the GIL is held; the frame is borrowed while it runs.
    unsafe {
        let frame = py::PyEval_GetFrame();
        if frame.is_null() {
            return Some(false);
        }
        let context = should_start.call(&[frame])?;
        if context.get() == py::none() {
            return Some(false);
        }
        with_tracer(|tracer| tracer.in_context = true);
        switch.call(&[context.get()])?;
    }
    Some(true)
}

/// A frame begins or goes on: `push` has measured code on the stack.
unsafe fn enter(args: *const Object, count: usize, push: py::Vectorcall) -> Object {
    // SAFETY: as the callback's.
    unsafe {
        let Some(code) = traced_code(args, count) else { return py::return_none() };
        let Some(begins_context) = begin() else { return ptr::null_mut() };
        if Owned::new(push(ptr::null_mut(), args, count, ptr::null_mut())).is_none() {
            return ptr::null_mut();
        }
        let id = id(code);
        with_tracer(|tracer| {
            if id == code as usize {
                tracer.push(id, 0);
            }
            if let Some(frame) = tracer.stack.top(id) {
                frame.begins_context = begins_context;
            }
        });
    }
    py::return_none()
}

/// A frame ends or is suspended: `pop` takes measured code from the stack.
unsafe fn leave(args: *const Object, count: usize, pop: py::Vectorcall) -> Object {
    // SAFETY: as the callback's.
    unsafe {
        let Some(code) = traced_code(args, count) else { return py::return_none() };
        let id = id(code);
        let top = with_tracer(|tracer| tracer.stack.top(id).copied()).flatten();
        drop(Owned::new(pop(ptr::null_mut(), args, count, ptr::null_mut())));
        if id == code as usize {
            with_tracer(|tracer| tracer.stack.pop(id));
        }
        if !top.is_some_and(|frame| frame.begins_context) {
            return py::return_none();
        }
        with_tracer(|tracer| tracer.in_context = false);
        let contexts = with_state(|state| state.contexts.clone());
        let Some(Contexts { switch, .. }) = contexts.flatten() else { return py::return_none() };
        switch.call(&[py::none()]).map_or(ptr::null_mut(), Owned::into_raw)
    }
}

pub unsafe extern "C" fn on_start(
    _: Object,
    args: *const Object,
    count: usize,
    _: Object,
) -> Object {
    unsafe { enter(args, count, events::on_start) }
}

pub unsafe extern "C" fn on_resume(
    _: Object,
    args: *const Object,
    count: usize,
    _: Object,
) -> Object {
    unsafe { enter(args, count, events::on_resume) }
}

pub unsafe extern "C" fn on_throw(
    _: Object,
    args: *const Object,
    count: usize,
    _: Object,
) -> Object {
    unsafe { enter(args, count, events::on_throw) }
}

pub unsafe extern "C" fn on_return(
    _: Object,
    args: *const Object,
    count: usize,
    _: Object,
) -> Object {
    unsafe { leave(args, count, events::on_return) }
}

pub unsafe extern "C" fn on_yield(
    _: Object,
    args: *const Object,
    count: usize,
    _: Object,
) -> Object {
    unsafe { leave(args, count, events::on_yield) }
}

pub unsafe extern "C" fn on_unwind(
    _: Object,
    args: *const Object,
    count: usize,
    _: Object,
) -> Object {
    unsafe { leave(args, count, events::on_unwind) }
}
