//! The objects that `sys.monitoring` calls.
//!
//! Not builtin functions: each call of one counts against the limit of recursion in C. Near it a
//! callback would fail, and the program with it, where a trace function in C goes on.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_void};
use std::mem::{offset_of, size_of};
use std::ptr;

use crate::cpython::{self as py, Object, Owned, PyMemberDef, PySlot, PyTypeSpec, Vectorcall};
use crate::{contexts, events};

const CALLBACKS: [(&CStr, Vectorcall); 14] = [
    (c"on_start", events::on_start),
    (c"on_resume", events::on_resume),
    (c"on_throw", events::on_throw),
    (c"on_line", events::on_line),
    (c"on_jump", events::on_jump),
    (c"on_return", events::on_return),
    (c"on_yield", events::on_yield),
    (c"on_unwind", events::on_unwind),
    (c"on_start_in_context", contexts::on_start),
    (c"on_resume_in_context", contexts::on_resume),
    (c"on_throw_in_context", contexts::on_throw),
    (c"on_return_in_context", contexts::on_return),
    (c"on_yield_in_context", contexts::on_yield),
    (c"on_unwind_in_context", contexts::on_unwind),
];

/// An object of the type that is made here.
#[repr(C)]
struct Callback {
    /// `PyObject_HEAD` of a default build: a count and a type.
    head: [usize; 2],
    vectorcall: Vectorcall,
}

struct Definition<T>(UnsafeCell<T>);

// SAFETY: only CPython uses it, with the GIL held.
unsafe impl<T> Sync for Definition<T> {}

static MEMBERS: Definition<[PyMemberDef; 2]> = Definition(UnsafeCell::new([
    PyMemberDef {
        name: c"__vectorcalloffset__".as_ptr(),
        kind: py::T_PYSSIZET,
        offset: offset_of!(Callback, vectorcall).cast_signed(),
        flags: py::READONLY,
        doc: ptr::null(),
    },
    PyMemberDef { name: ptr::null(), kind: 0, offset: 0, flags: 0, doc: ptr::null() },
]));

/// Adds all to the module. `None` with Python's error set.
///
/// # Safety
/// `module` is a module, and the GIL is held.
pub unsafe fn add_to(module: Object) -> Option<()> {
    // SAFETY: as this function's; what is handed over is an object.
    unsafe {
        let kind = callback_type()?;
        for (name, vectorcall) in CALLBACKS {
            let made = Owned::new(py::PyType_GenericAlloc(kind.get(), 0))?;
            (*made.get().cast::<Callback>()).vectorcall = vectorcall;
            if py::PyObject_SetAttrString(module, name.as_ptr(), made.get()) != 0 {
                return None;
            }
        }
    }
    Some(())
}

fn callback_type() -> Option<Owned> {
    let call: unsafe extern "C" fn(Object, Object, Object) -> Object = py::PyVectorcall_Call;
    let mut slots = [
        PySlot { slot: py::TP_CALL, value: call as *mut c_void },
        PySlot { slot: py::TP_MEMBERS, value: MEMBERS.0.get().cast() },
        PySlot { slot: 0, value: ptr::null_mut() },
    ];
    let mut spec = PyTypeSpec {
        name: c"xtask_core.Callback".as_ptr(),
        size: i32::try_from(size_of::<Callback>()).ok()?,
        item_size: 0,
        flags: py::TPFLAGS_DEFAULT | py::TPFLAGS_HAVE_VECTORCALL | py::TPFLAGS_NO_INSTANTIATION,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the GIL is held; the members live for ever, everything else is copied.
    Owned::new(unsafe { py::PyType_FromSpec(&mut spec) })
}
