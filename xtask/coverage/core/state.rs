//! What the core knows: of each code object that is measured, and of each file.

use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;
use std::ptr;

use crate::arcs::{self, ArcSet};
use crate::cpython::{self as py, Object, Owned};
use crate::stack::Stack;

/// Arcs that a code object has executed lately: most line events repeat one of them.
const RECENT: usize = 8;

/// Hangs on a code object that is measured, and dies with it.
pub struct Code {
    /// Index into [`Executed::files`].
    file: usize,
    /// `-co_firstlineno`, as coverage writes entries and exits.
    pub entry: i32,
    recent: [u64; RECENT],
    /// Of which [`Executed::epoch`] `recent` is.
    epoch: u32,
    /// Lines of offsets that have been looked up: the line table is read from its start.
    lines: Vec<(i32, i32)>,
}

struct File {
    name: Owned,
    arcs: ArcSet,
}

/// How this interpreter differs from others.
#[derive(Clone, Copy, Default)]
pub struct Interpreter {
    /// The opcode `RESUME`.
    pub resume: u8,
    /// Bytes from `f_lasti` of a suspended generator to its `RESUME`: 2, but 0 in 3.13.
    pub to_resume: usize,
    /// Whether the C tracer takes a line that shows only as a frame returns for an arc (3.14).
    pub line_at_return: bool,
}

/// Owned references to what was handed over at the start.
pub struct Python {
    pub should_trace: Owned,
    /// `Collector.should_trace_cache`: file names to dispositions.
    pub cache: Owned,
    pub tool: Owned,
    pub local_events: Owned,
    pub set_local_events: Owned,
    pub disable: Owned,
    pub real_settrace: Owned,
    pub real_gettrace: Owned,
    pub real_free_tool: Owned,
}

/// Functions of coverage's, which begin and end a context.
#[derive(Clone)]
pub struct Contexts {
    /// From a frame to the name of the context that begins with it, or `None`.
    pub should_start: Owned,
    pub switch: Owned,
}

pub struct State {
    pub python: Python,
    pub interpreter: Interpreter,
    /// What `threading` sets as the trace function of new threads, if it is coverage's.
    pub for_new_threads: Option<Owned>,
    /// What begins and ends contexts, if functions do.
    pub contexts: Option<Contexts>,
    pub tracers: Tracers,
    pub executed: Executed,
    /// Whether anything happened since coverage asked last.
    pub activity: bool,
    /// The index of the memory that CPython keeps for us with each code object.
    extra: isize,
}

/// What coverage makes for each thread each time that it starts. One that was stopped measures no
/// more, wherever it is still the trace function, though others have been started since.
pub struct Tracer {
    /// What Python knows it by.
    pub object: Owned,
    pub started: bool,
    pub in_context: bool,
    pub follows: Follows,
    pub stack: Stack,
}

/// Which frames a tracer hears of, as a program sets trace functions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    All,
    /// Those that began with it: the C tracer is their `f_trace`, and each trace function that is
    /// written in Python leaves them that.
    Begun,
    /// No trace function is set.
    Nothing,
}

impl Tracer {
    /// A frame of measured code begins or goes on.
    #[inline]
    pub fn push(&mut self, code: usize, last: i32) {
        self.stack.push(code, last);
        if self.follows != Follows::All
            && let Some(frame) = self.stack.top(code)
        {
            frame.another = true;
        }
    }
}

/// All tracers, known by their numbers. None is ever given up: coverage keeps its own as well.
#[derive(Default)]
pub struct Tracers(Vec<Tracer>);

/// Which lines and arcs were executed.
pub struct Executed {
    pub branch: bool,
    /// A line that was executed is of no interest any more: without branches, and while contexts
    /// do not change.
    pub once: bool,
    /// Counts how often everything was forgotten.
    epoch: u32,
    files: Vec<File>,
    /// A dictionary: names of files to their indices.
    indices: Owned,
}

/// The state of the one interpreter that is measured. Whoever comes here holds its GIL.
struct Shared(UnsafeCell<Option<State>>);

// SAFETY: each access holds the GIL, and ends before Python code can run.
unsafe impl Sync for Shared {}

static STATE: Shared = Shared(UnsafeCell::new(None));

/// Look at the state, or change it. Nothing that is called here may run Python code: another
/// thread could be given the GIL meanwhile.
#[inline]
pub fn with_state<R>(act: impl FnOnce(&mut State) -> R) -> Option<R> {
    // SAFETY: the GIL is held, and no other access is under way, see above.
    unsafe { (*STATE.0.get()).as_mut() }.map(act)
}

/// Begin to measure with this state; the last one's is dropped by the caller.
pub fn replace_state(state: State) -> Option<State> {
    // SAFETY: the GIL is held, and no other access is under way.
    unsafe { (*STATE.0.get()).replace(state) }
}

/// The number of no tracer.
const NOBODY: usize = usize::MAX;

thread_local! {
    /// The tracer that would be the trace function of this thread.
    static TRACER: Cell<usize> = const { Cell::new(NOBODY) };
}

/// From here on this tracer, or none, is the trace function of this thread.
pub fn set_tracer(number: Option<usize>) {
    // There is none any more as the thread ends.
    let _ = TRACER.try_with(|tracer| tracer.set(number.unwrap_or(NOBODY)));
}

impl Tracers {
    /// The one that measures this thread.
    #[inline]
    pub fn current(&mut self) -> Option<&mut Tracer> {
        self.of_thread().filter(|tracer| tracer.follows != Follows::Nothing)
    }

    /// The one that coverage has started in this thread, whatever a program has done since.
    pub fn of_thread(&mut self) -> Option<&mut Tracer> {
        let number = TRACER.try_with(Cell::get).ok()?;
        let tracer = self.0.get_mut(number)?;
        if tracer.started {
            return Some(tracer);
        }
        // It was stopped in another thread.
        set_tracer(None);
        None
    }

    /// The number of a new one. `None` if there was no memory for it.
    pub fn add(&mut self, object: Owned) -> Option<usize> {
        self.0.try_reserve(1).ok()?;
        let (follows, stack) = (Follows::All, Stack::new());
        self.0.push(Tracer { object, started: false, in_context: false, follows, stack });
        Some(self.0.len() - 1)
    }

    pub fn get_mut(&mut self, number: usize) -> Option<&mut Tracer> {
        self.0.get_mut(number)
    }

    /// The number of the one that Python knows by this object.
    pub fn number_of(&self, object: Object) -> Option<usize> {
        self.0.iter().rposition(|tracer| tracer.object.get() == object)
    }
}

unsafe extern "C" fn free_code(extra: *mut c_void) {
    if !extra.is_null() {
        // SAFETY: `State::measure` made it, and CPython hands it over once, as its code dies.
        drop(unsafe { Box::from_raw(extra.cast::<Code>()) });
    }
}

impl State {
    /// `None` with Python's error set.
    pub fn new(python: Python, interpreter: Interpreter) -> Option<Self> {
        // SAFETY: the GIL is held.
        let indices = Owned::new(unsafe { py::PyDict_New() })?;
        // SAFETY: the function is there as long as the library, which is never unloaded.
        let extra = unsafe { py::PyUnstable_Eval_RequestCodeExtraIndex(Some(free_code)) };
        if extra < 0 {
            py::raise(unsafe { py::PyExc_RuntimeError }, c"no room with code objects");
            return None;
        }
        Some(Self {
            python,
            interpreter,
            for_new_threads: None,
            contexts: None,
            tracers: Tracers::default(),
            executed: Executed { branch: true, once: false, epoch: 1, files: Vec::new(), indices },
            activity: false,
            extra,
        })
    }

    /// What is known of a code object, if it is measured.
    ///
    /// # Safety
    /// `code` is a code object that lives on while the answer is used.
    #[inline]
    pub unsafe fn code<'a>(&self, code: Object) -> Option<&'a mut Code> {
        let mut extra = ptr::null_mut();
        // SAFETY: `code` is a code object, the index is ours.
        if unsafe { py::PyUnstable_Code_GetExtra(code, self.extra, &mut extra) } != 0 {
            // SAFETY: the GIL is held.
            unsafe { py::PyErr_Clear() };
            return None;
        }
        // SAFETY: null, or made by `measure` and alive as its code is.
        unsafe { extra.cast::<Code>().as_mut() }
    }

    /// From here on a code object is measured. `None` with Python's error set.
    ///
    /// # Safety
    /// `code` is a code object, `name` a string.
    pub unsafe fn measure(&mut self, code: Object, name: Object, first: i32) -> Option<usize> {
        let file = self.executed.file(name)?;
        let known = Box::into_raw(Box::new(Code {
            file,
            entry: first.wrapping_neg(),
            recent: [0; RECENT],
            epoch: 0,
            lines: Vec::new(),
        }));
        // SAFETY: `code` is a code object, the index is ours.
        if unsafe { py::PyUnstable_Code_SetExtra(code, self.extra, known.cast()) } != 0 {
            // SAFETY: made above, and nobody else has it.
            drop(unsafe { Box::from_raw(known) });
            return None;
        }
        Some(known as usize)
    }
}

impl Executed {
    /// The index of a file, a new one where it is not known yet.
    fn file(&mut self, name: Object) -> Option<usize> {
        // SAFETY: a dictionary and a string; strings compare without Python code.
        let known = unsafe { py::PyDict_GetItemWithError(self.indices.get(), name) };
        if !known.is_null() {
            // SAFETY: a number that was put there below.
            return usize::try_from(unsafe { py::PyLong_AsLong(known) }).ok();
        }
        let index = self.files.len();
        // SAFETY: the GIL is held.
        let number = Owned::new(unsafe { py::PyLong_FromLong(index.try_into().ok()?) })?;
        let owned = unsafe { Owned::of_borrowed(name) }?;
        // SAFETY: as above.
        if unsafe { py::PyDict_SetItem(self.indices.get(), name, number.get()) } != 0 {
            return None;
        }
        self.files.push(File { name: owned, arcs: ArcSet::default() });
        Some(index)
    }

    /// From a line to another, in a code object's file. False if there was no memory for it.
    #[inline]
    pub fn record(&mut self, code: &mut Code, from: i32, to: i32) -> bool {
        let arc = arcs::arc(if self.branch { from } else { 0 }, to);
        if code.epoch != self.epoch {
            code.epoch = self.epoch;
            code.recent = [arcs::EMPTY; RECENT];
        }
        let Some(recent) = code.recent.get_mut((arcs::hash(arc) >> 61) as usize) else {
            return false;
        };
        if *recent == arc {
            return true;
        }
        let Some(file) = self.files.get_mut(code.file) else { return false };
        let kept = file.arcs.insert(arc).is_ok();
        if kept {
            *recent = arc;
        }
        kept
    }

    /// The exit of a code object: an arc, but no line.
    pub fn record_exit(&mut self, code: &mut Code, last: i32) {
        if self.branch {
            self.record(code, last, code.entry);
        }
    }

    /// Puts what is new into the sets of coverage's collector.
    /// `None` with Python's error set; what was not taken is new the next time.
    ///
    /// # Safety
    /// `data` is a dictionary of file names to sets.
    pub unsafe fn hand_over(&mut self, data: Object) -> Option<()> {
        let branch = self.branch;
        for file in &mut self.files {
            let news = file.arcs.take_news();
            if news.is_empty() {
                continue;
            }
            // SAFETY: as this function's.
            if unsafe { add(data, file.name.get(), &news, branch) }.is_none() {
                file.arcs.give_back(news);
                return None;
            }
        }
        Some(())
    }

    /// Everything that is executed from here on is new, unless nothing is told twice: there are no
    /// events any more of what is not.
    pub fn forget(&mut self) {
        if self.once {
            return;
        }
        let executed = self.files.iter_mut().filter(|file| !file.arcs.is_empty());
        executed.for_each(|file| file.arcs.clear());
        self.epoch = self.epoch.wrapping_add(1);
    }
}

unsafe fn add(data: Object, name: Object, news: &[u64], branch: bool) -> Option<()> {
    // SAFETY: as the caller's; strings and numbers compare without Python code.
    unsafe {
        let mut set = Owned::of_borrowed(py::PyDict_GetItemWithError(data, name));
        if set.is_none() {
            let new = Owned::new(py::PySet_New(ptr::null_mut()))?;
            if py::PyDict_SetItem(data, name, new.get()) != 0 {
                return None;
            }
            set = Some(new);
        }
        let set = set?;
        for arc in news {
            let executed = executed(*arc, branch)?;
            if py::PySet_Add(set.get(), executed.get()) != 0 {
                return None;
            }
        }
    }
    Some(())
}

/// What coverage has in its sets: a pair of lines, or without branches a line. Not the C tracer's
/// numbers, whose form is another from one version of coverage to the next.
unsafe fn executed(arc: u64, branch: bool) -> Option<Owned> {
    let (from, to) = arcs::lines(arc);
    // SAFETY: the GIL is held, and the tuple takes references of its own.
    unsafe {
        let to = Owned::new(py::PyLong_FromLong(to.into()))?;
        if !branch {
            return Some(to);
        }
        let from = Owned::new(py::PyLong_FromLong(from.into()))?;
        Owned::new(py::PyTuple_Pack(2, from.get(), to.get()))
    }
}

impl Code {
    /// The line of an offset; -1 where there is none.
    ///
    /// # Safety
    /// `code` is the code object that this hangs on.
    pub unsafe fn line_at(&mut self, code: Object, offset: i32) -> i32 {
        if let Some((_, line)) = self.lines.iter().find(|(at, _)| *at == offset) {
            return *line;
        }
        // SAFETY: a code object.
        let line = unsafe { py::PyCode_Addr2Line(code, offset) };
        if self.lines.try_reserve(1).is_ok() {
            self.lines.push((offset, line));
        }
        line
    }
}
