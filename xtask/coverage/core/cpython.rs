//! The functions of CPython that the core calls, declared by hand: no header is needed to build
//! it, and one library serves every minor version with the default object layout.

use std::ffi::{c_char, c_int, c_long, c_uint, c_void};
use std::ptr;

/// Only ever behind a pointer.
#[repr(C)]
pub struct PyObject {
    _opaque: [u8; 0],
}

/// A pointer to an object; whether it is borrowed or owned is said where it is kept.
pub type Object = *mut PyObject;

/// Arguments of a builtin function declared as [`METH_FASTCALL`].
pub type FastCall = unsafe extern "C" fn(Object, *const Object, isize) -> Object;

pub const METH_FASTCALL: c_int = 0x80;

/// How an object is called that has such a function of its own: with itself, its arguments, their
/// number and a flag, and the names of the last ones.
pub type Vectorcall = unsafe extern "C" fn(Object, *const Object, usize, Object) -> Object;

/// The flag.
const ARGUMENTS_OFFSET: usize = 1 << (usize::BITS - 1);

/// The version of the C API that `PyModule_Create2` is told; the same for all of Python 3.
pub const API_VERSION: c_int = 1013;

#[repr(C)]
pub struct PyMethodDef {
    pub name: *const c_char,
    pub function: Option<FastCall>,
    pub flags: c_int,
    pub doc: *const c_char,
}

#[repr(C)]
pub struct PyModuleDef {
    /// `PyObject_HEAD` of a default build: a count and a type.
    pub head: [usize; 2],
    pub init: *const c_void,
    pub index: isize,
    pub copy: Object,
    pub name: *const c_char,
    pub doc: *const c_char,
    pub size: isize,
    pub methods: *mut PyMethodDef,
    pub slots: *mut c_void,
    pub traverse: *const c_void,
    pub clear: *const c_void,
    pub free: *const c_void,
}

#[repr(C)]
pub struct PyMemberDef {
    pub name: *const c_char,
    pub kind: c_int,
    pub offset: isize,
    pub flags: c_int,
    pub doc: *const c_char,
}

pub const T_PYSSIZET: c_int = 19;
pub const READONLY: c_int = 1;

#[repr(C)]
pub struct PySlot {
    pub slot: c_int,
    pub value: *mut c_void,
}

pub const TP_CALL: c_int = 50;
pub const TP_MEMBERS: c_int = 72;

#[repr(C)]
pub struct PyTypeSpec {
    pub name: *const c_char,
    pub size: c_int,
    pub item_size: c_int,
    pub flags: c_uint,
    pub slots: *mut PySlot,
}

pub const TPFLAGS_NO_INSTANTIATION: c_uint = 1 << 7;
pub const TPFLAGS_HAVE_VECTORCALL: c_uint = 1 << 11;
pub const TPFLAGS_DEFAULT: c_uint = 1 << 18;

unsafe extern "C" {
    #[link_name = "_Py_NoneStruct"]
    static mut NONE: PyObject;
    pub static mut PyExc_RuntimeError: Object;
    pub static mut PyExc_TypeError: Object;

    pub fn PyModule_Create2(definition: *mut PyModuleDef, version: c_int) -> Object;
    pub fn Py_IncRef(object: Object);
    pub fn Py_DecRef(object: Object);
    pub fn PyErr_SetString(kind: Object, text: *const c_char);
    pub fn PyErr_Occurred() -> Object;
    pub fn PyErr_Clear();
    pub fn PyObject_GetAttrString(object: Object, name: *const c_char) -> Object;
    pub fn PyObject_IsTrue(object: Object) -> c_int;
    pub fn PyObject_RichCompareBool(one: Object, other: Object, operation: c_int) -> c_int;
    pub fn PyObject_Vectorcall(
        callable: Object,
        args: *const Object,
        count: usize,
        names: Object,
    ) -> Object;
    pub fn PyVectorcall_Call(callable: Object, args: Object, names: Object) -> Object;
    pub fn PyType_FromSpec(spec: *mut PyTypeSpec) -> Object;
    pub fn PyType_GenericAlloc(kind: Object, items: isize) -> Object;
    pub fn PyObject_SetAttrString(object: Object, name: *const c_char, value: Object) -> c_int;
    pub fn Py_EnterRecursiveCall(text: *const c_char) -> c_int;
    pub fn Py_LeaveRecursiveCall();
    pub fn PyLong_AsLong(number: Object) -> c_long;
    pub fn PyLong_FromLong(number: c_long) -> Object;
    pub fn PyTuple_Pack(length: isize, ...) -> Object;
    pub fn PyDict_New() -> Object;
    pub fn PyDict_GetItemWithError(dict: Object, key: Object) -> Object;
    pub fn PyDict_SetItem(dict: Object, key: Object, value: Object) -> c_int;
    pub fn PySet_New(iterable: Object) -> Object;
    pub fn PySet_Add(set: Object, key: Object) -> c_int;
    pub fn PyBytes_AsStringAndSize(
        bytes: Object,
        text: *mut *mut c_char,
        length: *mut isize,
    ) -> c_int;
    pub fn PyEval_GetFrame() -> Object;
    pub fn PyFrame_GetLasti(frame: Object) -> c_int;
    pub fn PyFrame_GetLineNumber(frame: Object) -> c_int;
    pub fn PyCode_GetCode(code: Object) -> Object;
    pub fn PyCode_Addr2Line(code: Object, offset: c_int) -> c_int;
    pub fn PyUnstable_Eval_RequestCodeExtraIndex(
        free: Option<unsafe extern "C" fn(*mut c_void)>,
    ) -> isize;
    pub fn PyUnstable_Code_GetExtra(code: Object, index: isize, extra: *mut *mut c_void) -> c_int;
    pub fn PyUnstable_Code_SetExtra(code: Object, index: isize, extra: *mut c_void) -> c_int;
}

/// The arguments of a [`FastCall`], as many as are needed.
///
/// # Safety
/// CPython has handed them over, in a call that is not over yet.
pub unsafe fn arguments<'a, const N: usize>(
    args: *const Object,
    count: isize,
) -> Option<&'a [Object; N]> {
    if args.is_null() || usize::try_from(count).ok()? < N {
        return None;
    }
    // SAFETY: there are as many, and they live as long as the call.
    unsafe { std::slice::from_raw_parts(args, N) }.try_into().ok()
}

/// The arguments of a [`Vectorcall`], as many as are needed.
///
/// # Safety
/// As [`arguments`].
pub unsafe fn event_arguments<'a, const N: usize>(
    args: *const Object,
    count: usize,
) -> Option<&'a [Object; N]> {
    // SAFETY: as this function's.
    unsafe { arguments(args, (count & !ARGUMENTS_OFFSET).cast_signed()) }
}

/// `None`, borrowed.
pub fn none() -> Object {
    &raw mut NONE
}

/// `None`, to be returned.
pub fn return_none() -> Object {
    // SAFETY: the object is there as long as the interpreter is.
    unsafe { Py_IncRef(none()) };
    none()
}

/// An owned reference, given up when this is dropped.
pub struct Owned(Object);

impl Owned {
    /// Takes over a new reference; `None` if it is null, with Python's error set.
    pub fn new(object: Object) -> Option<Self> {
        (!object.is_null()).then_some(Self(object))
    }

    /// # Safety
    /// `object` is null or an object, and the calling thread holds the GIL.
    pub unsafe fn of_borrowed(object: Object) -> Option<Self> {
        if !object.is_null() {
            // SAFETY: as this function's.
            unsafe { Py_IncRef(object) };
        }
        Self::new(object)
    }

    /// # Safety
    /// `object` is an object, and the calling thread holds the GIL.
    pub unsafe fn attribute(object: Object, name: &std::ffi::CStr) -> Option<Self> {
        // SAFETY: as this function's; the name ends with a zero.
        Self::new(unsafe { PyObject_GetAttrString(object, name.as_ptr()) })
    }

    /// Calls this. `None` with Python's error set.
    ///
    /// # Safety
    /// The arguments are objects, and the calling thread holds the GIL.
    pub unsafe fn call(&self, arguments: &[Object]) -> Option<Self> {
        // SAFETY: as this function's.
        Self::new(unsafe {
            PyObject_Vectorcall(self.0, arguments.as_ptr(), arguments.len(), ptr::null_mut())
        })
    }

    /// Calls this, a builtin function, as if that did not count against the limit of recursion: a
    /// trace function has nothing to call here.
    ///
    /// # Safety
    /// As [`Self::call`].
    pub unsafe fn call_uncounted(&self, arguments: &[Object]) -> Option<Self> {
        // SAFETY: as this function's; what is counted is the same before and after.
        unsafe {
            Py_LeaveRecursiveCall();
            let result = self.call(arguments);
            Py_EnterRecursiveCall(c"".as_ptr());
            result
        }
    }

    /// Borrowed from this.
    pub fn get(&self) -> Object {
        self.0
    }

    /// The reference, to be given up by whoever takes it.
    pub fn into_raw(self) -> Object {
        let object = self.0;
        std::mem::forget(self);
        object
    }
}

/// Another reference to the same object.
impl Clone for Owned {
    fn clone(&self) -> Self {
        // SAFETY: this owns a reference, and is cloned where the GIL is held.
        unsafe { Py_IncRef(self.0) };
        Self(self.0)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: this owns the reference, and is dropped where the GIL is held.
        unsafe { Py_DecRef(self.0) }
    }
}

/// Sets a Python error and returns what a function returns then.
pub fn raise(kind: Object, text: &std::ffi::CStr) -> Object {
    // SAFETY: both are valid, and the text is copied.
    unsafe { PyErr_SetString(kind, text.as_ptr()) };
    ptr::null_mut()
}
