//! Measures which arcs Python code executes, as coverage's C tracer does, with `sys.monitoring`.
//!
//! Only code that is measured has events, so that everything else runs at full speed. What is
//! measured, and where the arcs go, is decided by coverage: `host/native.py` puts this where
//! coverage has its own tracers.
//!
//! A library that CPython 3.12 and newer imports. It must never take the interpreter down: no
//! function here indexes, unwraps or panics, and each pointer from CPython is looked at.

mod arcs;
mod callbacks;
mod contexts;
mod cpython;
mod events;
mod functions;
mod stack;
mod state;

use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::ptr;

use cpython::{FastCall, METH_FASTCALL, Object, Owned, PyMethodDef, PyModuleDef};

const fn method(name: &'static CStr, function: FastCall) -> PyMethodDef {
    PyMethodDef {
        name: name.as_ptr(),
        function: Some(function),
        flags: METH_FASTCALL,
        doc: ptr::null(),
    }
}

const END: PyMethodDef =
    PyMethodDef { name: ptr::null(), function: None, flags: 0, doc: ptr::null() };

/// CPython writes to the definition, and keeps it as long as the module.
struct Definition<T>(UnsafeCell<T>);

// SAFETY: only CPython uses it, with the GIL held.
unsafe impl<T> Sync for Definition<T> {}

static METHODS: Definition<[PyMethodDef; 13]> = Definition(UnsafeCell::new([
    method(c"contexts", functions::contexts),
    method(c"configure", functions::configure),
    method(c"add", functions::add),
    method(c"start", functions::start),
    method(c"stop", functions::stop),
    method(c"hand_over", functions::hand_over),
    method(c"forget", functions::forget),
    method(c"repeat", functions::repeat),
    method(c"new_threads", functions::new_threads),
    method(c"settrace", functions::settrace),
    method(c"gettrace", functions::gettrace),
    method(c"free_tool_id", functions::free_tool_id),
    END,
]));

static MODULE: Definition<PyModuleDef> = Definition(UnsafeCell::new(PyModuleDef {
    head: [1, 0],
    init: ptr::null(),
    index: 0,
    copy: ptr::null_mut(),
    name: c"xtask_core".as_ptr(),
    doc: ptr::null(),
    size: -1,
    methods: METHODS.0.get().cast(),
    slots: ptr::null_mut(),
    traverse: ptr::null(),
    clear: ptr::null(),
    free: ptr::null(),
}));

/// What CPython calls to import the library. Null with Python's error set if it cannot be.
///
/// # Safety
/// CPython calls it, with the GIL held.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyInit_xtask_core() -> Object {
    // SAFETY: the definition is complete, and lives for ever.
    let module = unsafe { cpython::PyModule_Create2(MODULE.0.get(), cpython::API_VERSION) };
    let module = Owned::new(module);
    let complete = module.filter(|module| {
        // SAFETY: a module, and the GIL is held.
        unsafe { callbacks::add_to(module.get()) }.is_some()
    });
    complete.map_or(ptr::null_mut(), Owned::into_raw)
}
