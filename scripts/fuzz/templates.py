r"""What random programs are made of.

A template is Python with places that are filled in anew each time, from these kinds:

    $e  an expression, mostly an int        $i  something to iterate over
    $h  the same in a scope of its own      $j  the same in a scope of its own
        (lambda, comprehension)
    $r  a name to read                      $n  a name to assign to
    $k  a small number                      $u  a number of this template's own
    $E  a class of exceptions               $w  a context manager
    $s  a statement of one line             $p  a pattern of `match`
    $b  a block                             $l  a block in a loop
    $q  a block without return and break    $X  a literal with the text of a block
    $F $G $C $A $B  the body of a function, generator, coroutine, asynchronous generator, class
    $f $g $c $a $K $m $y $d  the name of a function, generator, coroutine, asynchronous
        generator, class, context manager, asynchronous context manager, decorator
    ~   perhaps a line break             ^^  a line break

In front of a template may stand, in brackets, what its place has to be (`loop`), must not be
(`!class`), and how often it is chosen (`*3`).
"""

EXPRESSIONS = r'''
[*9] $r
[*5] $k
[*2] $f($k)
sum($g($k))
[*3] ($e~ + $e)
($e~ - $e)
($e % 5)
[*0.5] ($e // $e)
[*2] ($e~ if $e~ else $e)
(~$e~ if $e~ else $e~ if $e else~ $e~)
[*2] ($e~ and $e)
[*2] ($e~ or $e)
(~$e and~ $e or~ not $e~)
(not $e)
($e <~ $e)
(0 <= $e~ < $e~ < 9)
(~$e~ == $e~ != $e~ in $i~)
-$r
[*4] $f($e)
[*2] $f(~$e,~ $e~)
$f(~$e,~ b=$e,~ d=$e~)
$f(*[$e,~ $e])
$f(~**{"a": $e,~ "b": $e~})
$f(~*$j, **{})
$f($f($e),~ $f(~$e~)~)
(lambda v: v + $h)($e)
(lambda v=$e:~ v)()
(lambda v: $f(v))(~$e~)
(lambda: $h)()
(lambda v: (lambda w: v - w))($e)($e)
(~lambda v:~ v +~ $h~)($e)
(lambda *v: sum(v))($e, *$j)
sum(list((lambda: (yield $h))()) and [1])
[*2] sum([v + $h for v in $j])
sum(~[~v~ for v in $j~ if $h~]~)
sum(v~ for v in $j~ if v % 2)
len({v % 3~ for v in $j})
len({v: $h~ for v in $j~ if $h})
sum([~v * w~ for v in $j~ for w in $j~ if $h])
sum([sum([w + v~ for w in $j])~ for v in $j])
len([[$h for w in $j] for v in $j])
len({~v: {w~ for w in range(v)}~ for v in range($k)~})
len([(lambda: v + w) for v in $j for w in $j])
sum(h() for h in [(lambda: v) for v in $j])
any(v > $h for v in $j)
all(~v~ for v in $j~)
[!class !iterable] sum([n for v in $j if (n := v + $h)])
[!class !hidden] (n := $e)
[!class !hidden] ((n := $e)~ + n)
[!class !hidden] (n if (n := $e)~ else $e)
sum(map(lambda v: v % 3, $j))
sum(map($f, $j))
len(list(filter($f, $j)))
len(sorted($j, key=lambda v: -v))
len(sorted($j, key=$f))
max($j, key=$f, default=0)
max(~$j,~ key=lambda v:~ $h,~ default=0)
functools.reduce(lambda v, w: v + w,~ $j, $e)
functools.partial($f, $e)()
[*$j, $e][0]
max(~*$j,~ $e~,~ 0)
len({**{0: $e},~ 1: $e})
len(f"{$e}")
len(f"{$e!r:>{$k}}{$e}")
len(f"{~$e~}")
len(f"{$e}" f"text")
len(~f"{$e}"~ "text"~ f"{$e}"~)
len("""one^^two""")
len(f"""one {$e}^^two {~$e~} three^^""")
[$e,~ $e,~ $e][$e % 3]
{0: $e,~ 1: $e}[$e % 2]
(~$e,~ $e~)[0]
[$e, $e, $e][:$k][0]
next($g($e), 0)
next($g($e))
[*2] sum($g($e))
sum($g($e), start=$f($e))
next(iter($j), 0)
next((v for v in $j if $h), 0)
sum(zip_sum($g($e), $g($e)))
$K($e).m($e)
$K($e).m(~$e~).bit_length()
$K($e)($e)
$K($e).p
$K($e).q
$K.k($e)
$K.t($e)
$K($e).missing
getattr($K($e), "absent", $e)
hasattr($K($e), "gone")
$K($e)[$e]
len($K($e))
($e in $K($e))
($K($e) == $K($e))
($K($e) < $K($e))
len({$K($e): 1,~ $K($e): 2})
(1 if $K($e) else 0)
($K($e)~ and $e)
sum($K($e))
len(f"{$K($e):3}")
[1, 2, 3, 4][$K($e) % 2]
sum(sorted([$K($e), $K($e)])[0])
isinstance($e, $K)
eval(compile("$k + f0(1)", __file__, "eval"))
eval(compile("\n" * $k + "[v for v in range(3)]", __file__, "eval"))[0]
eval("$k + 1")
eval("sum(v for v in range($k))")
call($f, $e)
call(lambda: $h)
call(lambda v:~ $h,~ $e)
guard($f, $e)
guard(lambda: $h)
run($c($e))
run(both($c($e), $c($e)))
run(collect($a($e)))
guard(run, $c($e))
close($g($e))
close($c($e))
[generator] ((yield $e) or 0)
[generator] ((yield) or 0)
[generator] (~(yield~ $e) or~ $e~)
[generator !async] ((yield from $i) or 0)
[generator !async] ((yield from $g($e)) or 0)
[*2 async] (await $c($e))
[async] (await~ $c(~$e~))
[async] ((await $c($e))~ + (await $c($e)))
[async] ((await pause($k)) or 0)
[async] sum([v async for v in $a($e)])
[async] sum([~v~ async for v in $a($e)~ if v~])
[async] sum([await $c(v)~ for v in $j])
[async] sum([v + w async for v in $a($e) for w in $j])
[async] len({v async for v in $a($e)})
[async] sum(await collect(v async for v in $a($e)))
[async] sum(await collect($a($e)))
'''

ITERABLES = r"""
[*3] range($k)
[*3] [$e,~ $e]
($e,~ $e,~ $e)
[]
[~$e,~ *$j,~]
[*2] $g($e)
$g(~$e~)
{$e: $e,~ $e: $e}
$K($e)
(v~ for v in $j)
[v for v in $j~ if $h]
list($j)
sorted([$e, $e])
map($f, $j)
filter(None, $j)
reversed([$e, $e])
itertools.islice($g($e), $k)
itertools.chain($j, $j)
each($f, $j)
"""

MANAGERS = r"""
[*3] $m($e)
[*3] $K($e)
contextlib.suppress($E)
contextlib.nullcontext($e)
contextlib.closing($g($e))
Swallow()
Swallow($E)
$m(~$e~)
"""

PATTERNS = r"""
[*3] $k
$k | $k
[_, *_]
[_, _]
(0, _)
(_, $k)
[int(), int() as v]
{"a": v}
{"a": $k, **rest}
{}
int() as v
int(v)
bool()
None
str()
$K(v=$k)
$K(v=v)
$K()
[*0.3] math.pi
"""

# In one line, as far as expressions have no breaks in them.
SIMPLE = r"""
[*8] $n = $e
[*2] $n = (~$e~)
[*2] $n += $e
$n: int = $e
$n = $n = $e
$n, $n = $e, $e
($n,~ $n) = (~$e,~ $e~)
[*0.5] $n, *rest = $j
[$n, *rest] = $j
$n = \^^    $e
[*4] log($e)
[*2] log(~$e,~ $e,~)
log(~$f(~$e~),~ $f(~$e,~ $e~)~)
log(~$f($e)~ + $f($e)~)
[*2] $f($e)
assert $e or 1
[*0.3] assert $e, $e
[*0.3] assert (~$e~), (~$e~)
pass
...
"text"
[*2] $n = $e; $n = $e
$n = $e; log($e); $f($e)
n = $e; del n
n = [$e, $e]; del n[0], n[0]
[*0.3] raise $E($e)
[*0.2] raise $E
[*0.1] raise $E($e) from $E()
[*0.05] sys.exit($k)
[*0.05] raise SystemExit
[*0.3] gc.collect()
[*0.3] thread($f, $e)
[*0.2] thread(lambda: $h)
[*2 raw-threads] raw_thread($f, $e)
[*2 raw-threads] raw_thread(lambda: $h)
[*2 threads] thread($f, $e)
[*2 threads] threads($f, $g, $k)
[*2 switch] start()
[*2 switch] stop()
[switch] call(start)
[switch] call(stop)
[switch] stop(); start()
[*2 settrace] log(traced_by(None, $f, $h))
[settrace] log(traced_by(blind, $f, $h))
[settrace] log(sys.gettrace() is State.trace)
[*2 switch-context] context($k)
[switch-context] call(context, $k)
[*1.5 fork] fork()
[*0.7 fork] log(fork())
[fork] call(fork)
import math
from os import path
h = lambda v=$h: v; log(h())
h = lambda v: $f(v); log(h($e), h($e))
h = [lambda: $h, lambda v=$e:~ v]; log(h[0](), h[1]())
[*4 returns] return $e
[*2 returns] return (~$e~)
[returns] return
[returns] return $f(~$e,~ $e~)
[ends] return
[*1.5 loop] break
[*1.5 loop] continue
[*5 generator] yield $e
[*2 generator] $n = (yield $e) or 0
[generator] yield
[generator] yield (~$e~)
[generator] yield $e; yield $e
[generator] yield $e, $e
[*2 generator !async] yield from $i
[generator !async] yield from $g($e)
[generator !async] $n = (yield from $g($e)) or 0
[generator !async] yield from (~$e,~ $e~)
[generator !async] yield from each($f, $i)
[*4 async] $n = await $c($e)
[*2 async] await $c($e)
[*2 async] await pause($k)
[async] log(~await $c($e),~ await $c(~$e~)~)
[async] await both($c($e), $c($e))
[async] await fail($E)
[async] await old(1)
[!inline] if $e: $s
[!inline] for $n in $i: $s
[!inline] for v in $i: log($e)
[!inline] for v in $i: $f(v)
[!inline] for v in $i: pass
[!inline] for v in $i: $n = v; log($n)
[!inline] with $w: $s
[!inline] with $w as v: $s
[async !inline] async for v in $a($e): $s
[async !inline] async with $y($e): $s
"""

# With blocks.
COMPOUND = r'''
[*4]
if $e:
    $b
--
[*3]
if $e:
    $b
else:
    $b
--
[*2]
if $e:
    $b
elif $e:
    $b
else:
    $b
--
if (
    $e
    and $e
    or $e
):
    $b
--
if $e: $s
elif $e: $s
else: $s
--
[*0.5]
if 0:
    $b
--
[*0.5]
if 0:
    $b
else:
    $b
--
[*0.5]
if 1:
    $b
else:
    $b
--
[*0.5]
if __debug__:
    $b
--
[*0.5]
if not $e and 0:
    $b
elif True or $e:
    $b
--
[*0.3]
while 0:
    $b
--
[*0.3]
while False: pass
else: $s
--
[*0.5]
while 1:
    $b
    break
--
[*2]
t$u = 0
while True:
    t$u += 1
    if t$u > $k:
        break
    $l
--
t$u = 0
while 1:
    t$u += 1
    if t$u > $k: break
    $l
--
[*2]
t$u = $k
while t$u:
    t$u -= 1
    $l
--
t$u = $k
while (t$u := t$u - 1) > 0 and $e:
    $l
else:
    $b
--
t$u = $k
while t$u: t$u -= 1
--
t$u = $k
while t$u > 0: t$u -= 1; log(t$u)
else: $s
--
t$u = 3
while (
    t$u
    and $e
):
    t$u -= 1
    $l
--
[*3]
for $n in $i:
    $l
--
for $n in $i:
    $l
else:
    $b
--
for $n in $i:
    if $e:
        break
    $l
else:
    $b
--
for $n in $i:
    if $e: continue
    $l
--
for $n, $n in zip($i, $i):
    $l
--
for v, $n in enumerate($i):
    $l
--
for $n in (
    $e,
    $e,
):
    $l
--
for v in $i:
    for w in $i:
        $l
--
for v in $i: [w for w in $j]
--
for v in range($k): log(v); log($e)
--
for $n in $i:
    pass
--
for $n in $i:
    try:
        $l
    except $E:
        continue
    finally:
        $l
--
for $n in $i:
    try:
        for v in $i:
            try:
                $l
            finally:
                $b
    except $E:
        $l
--
for $n in $i:
    try:
        if $e:
            continue
        if $e:
            break
        $l
    finally:
        log($e)
--
for $n in $i:
    try: $s
    except $E: continue
    else: break
    finally: $s
--
for $n in $i:
    with $w:
        $l
        continue
--
for $n in $i:
    with $w:
        if $e:
            break
        $l
--
[returns]
for $n in $i:
    try:
        return $e
    finally:
        continue
--
[returns]
for $n in $i:
    try:
        $l
        return $e
    finally:
        if $e:
            break
--
[*3]
try:
    $b
except $E:
    $b
--
[*2]
try:
    $b
except ($E, $E) as error:
    log(type(error).__name__)
    $b
--
[*2]
try:
    $b
except $E as error:
    $b
except $E:
    $b
else:
    $b
finally:
    $b
--
try:
    $b
except Exception:
    $b
else:
    $b
--
try:
    $b
except:
    log($e)
--
[*2]
try:
    $b
finally:
    $b
--
try:
    $b
except $E:
    raise
finally:
    $b
--
try:
    try:
        $b
    except $E:
        raise
    finally:
        $b
except BaseException:
    log(0)
    raise
--
try:
    raise $E($e)
except $E as error:
    $b
except Exception:
    $b
--
try:
    raise $E($e)
except (
    $E,
    $E,
):
    $b
finally:
    $b
--
try:
    try:
        raise $E($e)
    finally:
        $b
except Exception as error:
    log(type(error.__context__).__name__)
--
try:
    try:
        $f($e)
    except $E as error:
        raise $E($e) from error
except Exception:
    $b
--
try: $s
except $E: $s
--
try: $s
finally: $s
--
try:
    $f(
        $e,
        $f($e),
        $e // 0,
    )
except Exception:
    $b
--
[returns]
try:
    return $f($e)
except $E:
    return $e
finally:
    $b
--
[returns]
try:
    $b
    return $e
finally:
    return $e
--
[returns]
try:
    $b
    return $e
except $E:
    $b
else:
    return $e
finally:
    log($e)
--
[*2 !async]
try:
    $b
except* $E:
    $q
except* $E as group:
    log(len(group.exceptions))
    $q
--
try:
    raise ExceptionGroup("group", [$E($e), $E($e)])
except* $E:
    $q
except* ($E, $E):
    $q
else:
    $b
finally:
    $b
--
try:
    try:
        raise ExceptionGroup("group", [$E($e), ExceptionGroup("inner", [$E($e)])])
    except* $E as group:
        raise $E($e)
except BaseException as error:
    log(type(error).__name__)
--
try:
    $b
except* $E: log($e)
except* $E: pass
--
[*3]
with $w:
    $b
--
[*2]
with $w as v, $w:
    $b
--
with (
    $w as v,
    $w,
):
    $b
--
with $w:
    with $w:
        $b
    $b
--
with contextlib.ExitStack() as stack:
    stack.enter_context($w)
    stack.callback($f, $e)
    $b
--
with contextlib.suppress($E):
    $b
    raise $E($e)
--
with $w: raise $E($e)
--
[returns]
with $w:
    $b
    return $e
--
[returns]
with $w, $w:
    return $f($e)
--
try:
    with $w:
        raise $E($e)
except Exception:
    $b
--
[*2]
match $e:
    case $p:
        $b
    case $p if $e:
        $b
    case _:
        $b
--
match ($e, $e):
    case $p:
        $b
    case [v, w] if v > w:
        $b
    case (v, _):
        $b
--
match {"a": $e, "b": $e}:
    case {"c": _}:
        $b
    case {"a": v, **rest} if $e:
        $b
    case $p:
        $b
--
match $K($e):
    case $p if $e: $s
    case $K(v=$k | $k): $s
    case $K(): $s
--
match [
    $e,
    $e,
]:
    case [
        v,
        w,
    ] if (
        $e
        and w
    ):
        $b
    case $p:
        $b
--
match $e:
    case v if v == $e: $s
    case v if $f(v): $s
    case $p: $s
--
match $e:
    case $p:
        $b
--
[*2]
def h$u(a=$e, b=$e):
    step()
    $F
log(h$u($e))
--
def h$u(a, *, d=$e): return a + d
log(h$u($e), h$u(a=$e, d=$e))
--
def h$u(
    a: int = $e,
    *rest: $f($e),
    **more: int,
) -> $f($e):
    step()
    $F
log(h$u($e, $e))
--
def h$u(a=0):
    """Only a text."""
h$u()
--
def h$u(a=0):
    """A text.

    Over lines.
    """

    # A comment.
    $F
h$u()
--
@$d
def h$u(a=$e):
    step()
    $F
log(h$u($e))
--
@$d
@maker(
    $e,
    $e,
)
@maker($f($e))
def h$u(
    a=$e,
):
    step()
    $F
log(h$u())
--
@lambda h: h
def h$u(): return $e
log(h$u())
--
@(lambda h:
  $d(h))
def h$u(): step(); return $e
log(h$u())
--
@functools.lru_cache
def h$u(a=$e):
    step()
    return $e
log(h$u(1), h$u(1))
--
def h$u[T](a: T = $e) -> T:
    step()
    $F
log(h$u())
--
class L$u[T](Base):
    v: T
    $B
--
[function]
def h$u():
    nonlocal a
    a = $e
    return a
log(h$u(), a)
--
[function]
def h$u(b=$e):
    def inner(d=1):
        nonlocal b
        step()
        b += d + 1
        $F
    log(inner())
    return inner() or b
log(h$u())
--
def h$u():
    global x, y
    x = $e
    y = x + $e
    del y
    y = 0
h$u()
--
def h$u(a):
    step()
    if a <= 0:
        return $e
    return h$u(a - 1) + 1
log(h$u($k))
--
def h$u(a):
    step()
    try:
        return h$u(a - 1) if a > 0 else $f($e)
    finally:
        log(a)
log(h$u($k))
--
[*0.3]
def h$u(a):
    return h$u(a + 1) + 1
try:
    h$u(0)
except RecursionError:
    $b
--
[*0.2]
def h$u(a):
    try:
        return h$u(a + 1)
    finally:
        a = 1
try:
    h$u(0)
except RecursionError:
    log(1)
--
[*0.1]
def h$u(a):
    return sorted([1, 2], key=lambda v: h$u(a + v))
try:
    h$u(0)
except RecursionError:
    log(1)
--
[*0.1]
def h$u(a):
    yield a
    yield from h$u(a + 1)
try:
    for v in h$u(0): pass
except RecursionError:
    log(1)
--
[*2]
def h$u(a=$e):
    $G
try:
    g$u = h$u($e)
    log(next(g$u, 0))
    log(g$u.send($e))
    $b
    log(next(g$u))
except StopIteration as stop:
    log(stop.value)
--
[*2]
def h$u(a=$e):
    try:
        $G
    finally:
        $G
g$u = h$u($e)
next(g$u, 0)
try:
    g$u.throw($E($e))
    $b
except ($E, StopIteration, RuntimeError):
    $b
del g$u
--
[*2]
def h$u(a=$e):
    try:
        yield $e
        yield $e
    except $E:
        $G
    yield $e
g$u = h$u($e)
next(g$u)
try:
    log(g$u.throw($E($e)))
    log(next(g$u))
except Exception as error:
    log(type(error).__name__)
--
g$u = $g($e)
next(g$u, 0)
$b
try:
    g$u.close()
except Exception:
    $b
--
g$u = $g($e)
g$u.close()
--
g$u = $g($e)
try:
    g$u.throw($E)
except Exception:
    $b
--
g$u = $g($e)
for v in g$u:
    if $e:
        break
    $l
del g$u
--
g$u = [$g($e)]
next(g$u[0], 0)
g$u.append(g$u)
del g$u
gc.collect()
--
def h$u(a=$e):
    try:
        yield $e
    except GeneratorExit:
        log($e)
        raise
g$u = h$u()
next(g$u)
g$u.close()
--
def h$u(a=$e):
    try:
        yield $e
    except GeneratorExit:
        $b
    finally:
        $b
g$u = h$u()
next(g$u)
del g$u
--
def h$u(a=$e):
    try:
        yield $e
    except GeneratorExit:
        yield $e
g$u = h$u()
next(g$u)
try:
    g$u.close()
except RuntimeError:
    $b
del g$u
--
def h$u(a=$e):
    with $w:
        yield $e
        yield from $g($e)
    yield $e
g$u = h$u()
log(next(g$u, 0), next(g$u, 0))
try:
    g$u.throw($E($e))
except Exception:
    $b
--
def h$u(a=$e):
    $n = yield from inner$u($e)
    log($n)
    $G
def inner$u(a=$e):
    try:
        yield $e
        return $e
    finally:
        log($e)
g$u = h$u()
next(g$u, 0)
try:
    g$u.throw($E($e))
except Exception:
    $b
--
def h$u(a=$e):
    try:
        yield from inner$u($e)
    except $E:
        yield $e
    finally:
        $b
def inner$u(a=$e):
    while True:
        try:
            yield $e
        except $E:
            yield $e
            return
g$u = h$u()
try:
    next(g$u)
    g$u.throw($E($e))
    g$u.throw($E($e))
except Exception:
    log(2)
--
def h$u(): yield $e; yield $e
log(*h$u())
--
def h$u():
    yield
g$u = h$u()
for v in g$u: log(1)
--
def h$u():
    try: yield
    except $E: pass
g$u = h$u(); next(g$u)
try: g$u.throw($E)
except BaseException: log(3)
--
def h$u(a): yield a
g$u = h$u($e)
try: g$u.throw($E)
except Exception: log(3)
--
g$u = ($h for v in range(4) if $h)
log(next(g$u, 0))
g$u.close()
--
g$u = (
    v
    for v in $j
    if $h
)
log(next(g$u, 0))
try:
    g$u.throw($E($e))
except Exception:
    log(4)
--
g$u = [$g($e), $g($e)]
for v in (0, 1, 0, 1, 1):
    next(g$u[v], 0)
    $b
--
def h$u():
    try:
        return (yield $e)
    finally:
        log($e)
try:
    g$u = h$u()
    next(g$u)
    g$u.send($e)
except StopIteration as stop:
    log(stop.value)
--
async def h$u(a=$e):
    step()
    $C
log(run(h$u($e)))
--
async def h$u(a=$e):
    try:
        $C
        await pause(1)
    except $E:
        $C
    finally:
        $C
g$u = h$u($e)
try:
    g$u.send(None)
    g$u.throw($E($e))
    g$u.close()
except (Exception, StopIteration):
    $b
--
async def h$u(a=$e):
    await pause(2)
    return await $c($e)
g$u = h$u($e)
g$u.send(None)
g$u.close()
--
async def h$u(a=$e):
    async with $y($e) as v:
        await pause(1)
        $C
g$u = h$u($e)
try:
    g$u.send(None)
    del g$u
except StopIteration:
    pass
--
async def h$u(): return $e
h$u().close()
log(run(h$u()))
--
async def h$u(a=$e):
    await pause(1)
async def i$u(a=$e):
    await h$u()
    await h$u()
g$u = i$u()
g$u.send(None)
try:
    g$u.throw($E($e))
except Exception:
    log(5)
--
async def h$u(a=$e):
    $A
async def i$u(a=$e):
    async for v in h$u($e):
        $l
    else:
        $b
    return [v async for v in h$u($e)]
log(run(i$u()))
--
async def h$u(a=$e):
    try:
        yield $e
        yield $e
    except $E:
        yield $e
    finally:
        await pause(1)
        log($e)
async def i$u(a=$e):
    v = h$u($e)
    await anext(v)
    try:
        await v.athrow($E($e))
        await v.asend(None)
    except (Exception, StopAsyncIteration):
        log($e)
    await v.aclose()
run(i$u())
--
async def h$u(a=$e):
    try:
        $A
        yield $e
        yield $e
    finally:
        log($e)
async def i$u(a=$e):
    v = h$u($e)
    async for w in v:
        break
    await v.aclose()
    return await anext(v, $e)
log(run(i$u()))
--
async def h$u(a=$e):
    async for v in $a($e):
        if $e:
            return $e
        $l
log(run(h$u()))
--
async def h$u(a=$e):
    yield $e
    yield $e
async def i$u(a=$e):
    async for v in h$u():
        break
g$u = i$u()
try:
    g$u.send(None)
except StopIteration:
    log(0)
--
async def h$u(a=$e):
    async for v in $a($e): log(v)
    async for v in $a($e): await pause(1); log(v)
    return sum([v async for v in $a($e)]) + len([
        v
        async for v in $a($e)
        if await $c(v)
    ])
log(run(h$u()))
--
[*0.2]
async def h$u(a=$e):
    step()
    await asyncio.sleep(0)
    $C
log(asyncio.run(h$u($e)))
--
[*0.1]
async def h$u(a=$e):
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        log($e)
        raise
    finally:
        log($e)
async def i$u(a=$e):
    v = asyncio.create_task(h$u($e))
    await asyncio.sleep(0)
    v.cancel()
    log(len(await asyncio.gather(v, $c($e), return_exceptions=True)))
asyncio.run(i$u())
--
[*0.1]
async def h$u(a=$e):
    async for v in $a($e):
        break
    async with asyncio.TaskGroup() as group:
        group.create_task($c($e))
        group.create_task($c($e))
asyncio.run(h$u())
--
[*3 async]
async for $n in $a($e):
    $l
--
[async]
async for $n in $a($e):
    $l
else:
    $b
--
[async]
async for $n in $a(
    $e,
):
    if $e:
        break
    await pause($k)
--
[*2 async]
async with $y($e):
    $b
--
[async]
async with $y($e) as v, $y($e):
    $b
--
[async]
async with (
    $y($e) as v,
    $y($e),
):
    $b
--
[async]
async with $y($e):
    raise $E($e)
--
[async returns]
async with $y($e):
    return $e
--
[async loop]
async with $y($e):
    break
--
[async]
async with contextlib.AsyncExitStack() as stack:
    await stack.enter_async_context($y($e))
    stack.enter_context($w)
    $b
--
[async]
try:
    await $c($e)
    $b
except* $E:
    log($e)
--
[async]
try:
    await pause(1)
    $b
except $E:
    await $c($e)
finally:
    await pause(1)
--
class L$u:
    $B
--
class L$u(Base):
    """A text."""

    v = $e

    def __init__(self, v=$e):
        self.v = v
        super().__init__()

    @property
    def p(self):
        $F

    @p.setter
    def p(self, a):
        $F
n = L$u()
n.p = $e
log(n.p)
--
class L$u($K):
    def m(self, a=$e, b=$e):
        step()
        $F
        return super().m(a)
log(L$u($e).m($e))
--
class L$u($K, flag=$e): pass
--
class L$u(metaclass=Meta):
    v = [w for w in $j]
    def m(self): return self.v
log(len(L$u().m()))
--
class Meta$u(type):
    def __new__(kind, name, bases, space):
        $F
        return super().__new__(kind, name, bases, space)
    def __call__(kind, *args):
        step()
        return super().__call__(*args)
class L$u(metaclass=Meta$u):
    v = $e
log(L$u().v)
--
class L$u:
    def __init_subclass__(kind, **words):
        super().__init_subclass__()
        log(len(words))
        $b
class M$u(L$u, a=$e,
          b=$e):
    v = $e
--
class L$u:
    def __get__(self, it, kind):
        step()
        $F
    def __set__(self, it, a):
        step()
        $F
    def __set_name__(self, kind, name):
        log(name)
class M$u:
    v = L$u()
n = M$u()
n.v = $e
log(n.v)
--
class L$u:
    def __del__(self):
        log($e)
        $F
n = L$u()
$b
n = $e
--
class L$u:
    def __del__(self):
        raise $E($e)
n = [L$u()]
n.append(n)
n = 0
gc.collect()
--
class L$u(dict):
    def __missing__(self, a):
        step()
        $F
log(L$u()[$e])
--
class L$u:
    def __iter__(self):
        return self
    def __next__(self):
        step()
        if $e:
            raise StopIteration
        return $e
for v in L$u():
    if $e: break
    log(v)
--
@$d
@dataclasses.dataclass
class L$u:
    v: int = $e
    w: list = dataclasses.field(default_factory=lambda: [$h])

    def __post_init__(self):
        $F
log(L$u().v)
--
@$d
class L$u: v = $e; w = $e
--
@contextlib.contextmanager
def h$u(a=$e):
    $n = $e
    try:
        yield $e
    except $E:
        $b
    finally:
        $b
with h$u($e) as v:
    $b
    raise $E($e)
--
@contextlib.contextmanager
def h$u(a=$e):
    $n = $e
    yield $e
    $b
try:
    with h$u($e):
        $b
except Exception:
    log(6)
--
exec(compile($X, __file__, "exec"))
--
exec(compile("\n" * $k + $X, __file__, "exec"), {**globals()})
--
for v in range($k):
    exec(compile("\n" * v + $X, __file__, "exec"), {**globals()})
--
exec("def h(a=1):\n    return a + 1\nlog(h())")
--
h = compile($X, __file__, "exec")
exec(h, {**globals()})
exec(h, {**globals()})
--
exec(compile("def made(a=1):\n    for v in range(a):\n        yield v\n", __file__, "exec"))
log(*globals().get("made", range)(3))
--
try:
    sorted([3, 1, 2], key=lambda v: $h // (v - 2))
except Exception:
    $b
--
try:
    list(map(lambda v: v // (v - 1), range(3)))
except ZeroDivisionError:
    log(7)
--
def h$u(a):
    raise $E(a)
def i$u(a): return h$u(a)
def j$u(a):
    return sorted([a], key=i$u)
try:
    j$u($e)
except Exception as error:
    $b
--
def h$u(a):
    try:
        return i$u(a)
    finally:
        log($e)
def i$u(a):
    with $w:
        raise $E(a)
try:
    h$u($e)
except Exception:
    $b
--
# A comment.

$b

    # Another one, oddly indented.
--
n = {
    "a": $e,
    # A comment.

    "b": [
        $e,
        $f(
            $e,
        ),
    ],
    **{"c": $e},
}
--
n = (
    $e
    + $e
    - $f(
        $e,
    )
)
--
n = $K($e) \
    .m($e)
--
n = f"""{
    $e
} and {
    $f($e)
    + $e
}"""
--
n = f"""
{$e} {$e
    + $e} {[v
    for v in $j]}
end"""
--
log(
    $f($e) or
    $e
    if $e else
    $f(
        $e
    )
)
--
log(*[
    v
    for v in $j
    if $h
    if $h
], *(
    w
    for v in $j
    for w in $j
))
--
n = [
    $h
    for v in $j
    for w in [v]
    if (
        v
        and $h
    )
]
--
n = {
    v:
    $h
    for v in $j
}
--
n = lambda v: (
    v +
    $h
)
log(n($e))
--
n = lambda v: v; log(n($e)); log((lambda: $h)())
--
[*0.5]
type T$u = list[$f($e)]
log(len(str(T$u.__value__)))
--
[threads *3]
def h$u(a=$e):
    step()
    $F
thread(h$u, $e)
--
[threads *2]
def h$u(a=$e):
    $G
thread(lambda: list(h$u()))
--
[threads]
g$u = $g($e)
thread(lambda: next(g$u, 0))
next(g$u, 0)
thread(g$u.close)
--
[threads]
class L$u(threading.Thread):
    def run(self):
        $F
n = L$u()
n.start()
n.join()
--
[raw-threads *3]
def h$u(a=$e):
    step()
    $F
raw_thread(h$u, $e)
--
[raw-threads]
g$u = $g($e)
next(g$u, 0)
raw_thread(next, g$u, 0)
next(g$u, 0)
--
[settrace *4]
t$u = sys.gettrace()
sys.settrace(None)
try:
    log($h)
    $n = $h
finally:
    sys.settrace(t$u)
--
[settrace *2]
t$u = sys.gettrace()
sys.settrace(following)
try:
    $n = $h
    log(sys.gettrace() is following, $h)
finally:
    sys.settrace(t$u)
    log(sys.gettrace() is t$u)
--
[settrace *2]
t$u = sys.gettrace()
sys.settrace(blind)
$n = guard($f, $h)
sys.settrace(t$u)
log($n)
--
[settrace *2]
log(traced_by(None, lambda: $h))
--
[settrace]
log(traced_by(following, $f, $h))
--
[switch-context *3]
context($k)
$b
context(0)
--
[switch *4]
def h$u(a=$e):
    $b
    start()
    $F
h$u()
--
[switch *4]
def h$u(a=$e):
    stop()
    $F
h$u()
--
[switch *3]
def h$u(a=$e):
    yield $e
    $b
    start()
    yield $e
    stop()
    yield $e
    start()
g$u = h$u()
next(g$u)
$b
next(g$u)
$f($e)
next(g$u)
$b
next(g$u, 0)
--
[switch *2]
def h$u(a):
    step()
    if a:
        h$u(a - 1)
    else:
        start()
        $f($e)
    log(a)
h$u(3)
--
[fork *3]
def h$u(a=$e):
    step()
    fork()
    $F
h$u()
--
[fork *2]
g$u = $g($e)
next(g$u, 0)
fork()
next(g$u, 0)
g$u.close()
--
[reload *4]
def h$u(a=$e, b=$e):
    step()
    $F
def i$u(a=$e, b=$e):
    step()
    $F
log(h$u())
h$u.__code__ = i$u.__code__
log(h$u(), i$u())
--
[reload *2]
def h$u(a=$e, b=$e):
    h$u.__code__ = i$u.__code__
    $F
def i$u(a=$e, b=$e):
    step()
    $F
h$u()
h$u()
--
[reload *2]
def h$u(a=$e):
    yield $e
    $G
def i$u(a=$e):
    yield $e
    $G
g$u = h$u()
next(g$u)
h$u.__code__ = i$u.__code__
log(*g$u, *h$u())
--
[reload *2]
h$u = types.FunctionType(f0.__code__.replace(co_name="other"), globals(), "other", (1, 2, 3, 0))
log(h$u($e))
--
[reload *2]
h$u = types.FunctionType(f0.__code__.replace(co_firstlineno=$k + 1), globals(), "h", (1, 2, 3, 0))
log(h$u($e), f0($e))
--
[reload *2 module]
if again():
    reload()
--
[exec-many *4]
for t$u in range($k * 300):
    exec(compile("\n" * (t$u % 7) + $X, __file__, "exec"), {**globals()})
--
[exec-many *4]
for t$u in range($k * 300):
    n = eval(compile("\n" * (t$u % 7) + "lambda v: v + %d" % t$u, __file__, "eval"))
    log(n(1))
--
[exec-many *2]
n = []
for t$u in range($k * 300):
    code = f0.__code__.replace(co_name=f"h{t$u}")
    n.append(types.FunctionType(code, globals(), "h", (1, 2, 3, 0)))
    if t$u % 50 == 0:
        n[-1]($e)
        n.clear()
'''

# What a program defines first; `$N` is the name, which everything may refer to.
DEFINITIONS = {
    "f": r'''
[*4]
def $N(a=1, b=2, c=3, d=0):
    step()
    $F
--
def $N(a=1, b=2, c=3, d=0):
    step()
    $F
    return $e
--
def $N(a=1, b=2, c=3, d=0):
    """A text."""
    step()

    $F
--
@$d
def $N(a=1, b=2, c=3, d=0):
    step()
    $F
--
def $N(
    a=1,
    b=2,
    c=$k,
    d=$k,
):
    step()
    $F
    return (
        a
        + $e
    )
--
def $N(a=1, b=2, c=3, d=0): step(); return a + b
--
def $N(a=1, b=2, c=3, d=0): return step(a)
--
$N = lambda a=1, b=2, c=3, d=0: step(a) + b
--
$N = lambda a=1, b=2, c=3, d=0: (
    step(a)
    + $k
)
--
def $N[T](a: T = 1, b=2, c=3, d=0) -> int:
    step()
    $F
''',
    "g": r"""
[*3]
def $N(a=1, b=2, c=3, d=0):
    step()
    $G
--
def $N(a=1, b=2, c=3, d=0):
    for v in range(a % 4):
        yield v
--
def $N(a=1, b=2, c=3, d=0):
    step()
    while a % 4:
        a -= 1
        yield $e
    $G
--
def $N(a=1, b=2, c=3, d=0):
    step()
    try:
        $G
        yield $e
    finally:
        log($e)
--
def $N(a=1, b=2, c=3, d=0):
    for v in range(3): yield v
--
def $N(a=1, b=2, c=3, d=0): yield a; yield b
--
def $N(a=1, b=2, c=3, d=0):
    step()
    yield a
    return (yield from $g(a - 1)) if a else 0
--
def $N(a=1, b=2, c=3, d=0):
    step()
    yield from (v for v in range(a % 4))
    yield from [
        a,
        $e,
    ]
""",
    "c": r"""
[*3]
async def $N(a=1, b=2, c=3, d=0):
    step()
    $C
--
async def $N(a=1, b=2, c=3, d=0):
    step()
    $C
    return $e
--
async def $N(a=1, b=2, c=3, d=0):
    step()
    await pause(1)
    $C
    return await pause(1) or $e
--
async def $N(a=1, b=2, c=3, d=0): return step(a)
--
async def $N(a=1, b=2, c=3, d=0):
    step()
    try:
        $C
    finally:
        await pause(1)
    return a
""",
    "a": r"""
[*2]
async def $N(a=1, b=2, c=3, d=0):
    step()
    $A
--
async def $N(a=1, b=2, c=3, d=0):
    for v in range(a % 4):
        yield v
--
async def $N(a=1, b=2, c=3, d=0):
    step()
    yield a
    await pause(1)
    $A
    yield $e
--
async def $N(a=1, b=2, c=3, d=0):
    step()
    try:
        yield a
        $A
    finally:
        await pause(1)
--
async def $N(a=1, b=2, c=3, d=0): yield a; yield step(b)
""",
    "m": r"""
[*2]
@contextlib.contextmanager
def $N(a=1):
    step()
    log(a)
    yield a
    $b
--
@contextlib.contextmanager
def $N(a=1):
    step()
    try:
        yield a
    finally:
        $b
--
@contextlib.contextmanager
def $N(a=1):
    step()
    try:
        yield a
    except $E:
        $b
--
@contextlib.contextmanager
def $N(a=1):
    step()
    with $w: yield a
--
class $N:
    def __init__(self, a=1):
        self.a = a
    def __enter__(self):
        step()
        return self.a
    def __exit__(self, kind, error, trace):
        step()
        return $e
--
class $N(contextlib.ContextDecorator):
    def __init__(self, a=1): self.a = a
    def __enter__(self): return self.a
    def __exit__(self, *info):
        step()
        if $e:
            raise $E($e)
        return False
""",
    "y": r"""
[*2]
class $N:
    def __init__(self, a=1):
        self.a = a
    async def __aenter__(self):
        step()
        await pause(1)
        return self.a
    async def __aexit__(self, kind, error, trace):
        await pause(1)
        return $e
--
@contextlib.asynccontextmanager
async def $N(a=1):
    step()
    try:
        yield a
    finally:
        await pause(1)
--
@contextlib.asynccontextmanager
async def $N(a=1):
    step()
    try:
        yield a
    except $E:
        $b
--
class $N:
    def __init__(self, a=1): self.a = a
    async def __aenter__(self): return self.a
    async def __aexit__(self, *info):
        step()
        if $e:
            raise $E($e)
""",
    "d": r"""
def $N(h):
    return h
--
def $N(h):
    @functools.wraps(h)
    def inner(*args, **words):
        step()
        return h(*args, **words)
    return h if isinstance(h, type) else inner
--
def $N(h):
    log(h.__name__)
    if isinstance(h, type):
        return h
    def inner(
        *args,
        **words,
    ):
        try:
            return h(*args, **words)
        finally:
            log($k)
    return inner
--
$N = lambda h: h
""",
}

# Methods of a class; each class has some of them.
METHODS = r"""
[*3]
def m(self, a=1, b=2):
    step()
    $F
--
def m(self, a=1): return step(a) + $k
--
def __call__(self, a=1):
    step()
    $F
--
@property
def p(self):
    step()
    $F
--
@functools.cached_property
def q(self):
    step()
    $F
--
@classmethod
def k(kind, a=1):
    step()
    $F
--
@staticmethod
def t(a=1): step(); return $e
--
def __getattr__(self, name):
    if name == "missing":
        return $k
    raise AttributeError(name)
--
def __getattr__(self, name):
    step()
    try:
        return {"absent": 1, "q": 2}[name]
    except KeyError:
        raise AttributeError from None
--
def __getattribute__(self, name): return super().__getattribute__(name)
--
def __getitem__(self, a):
    step()
    if a > 3:
        raise IndexError
    $F
    return $e
--
def __len__(self):
    return $k
--
def __contains__(self, a):
    step()
    $F
--
def __eq__(self, other):
    step()
    return $e
def __hash__(self):
    return $k
--
def __lt__(self, other): return self.v < $k
--
def __bool__(self):
    step()
    return bool($e)
--
def __iter__(self):
    step()
    $G
--
def __iter__(self): return iter([self.v, $k])
--
def __format__(self, text):
    step()
    return str($e)
--
def __mod__(self, other):
    step()
    $F
--
def __index__(self): return $k
--
def __enter__(self):
    step()
    $F
def __exit__(self, kind, error, trace):
    step()
    $F
--
def __enter__(self): return self
def __exit__(self, kind, error, trace): step(); return $e
--
def __enter__(self): return 0
def __exit__(self, kind, error, trace):
    step()
    try:
        $b
    finally:
        log($k)
--
def __del__(self):
    step()
    log($k)
--
[*0.5]
def __del__(self):
    step()
    $F
--
def __init_subclass__(kind, **words):
    log($k)
--
v2 = [w for w in $j]
--
if $e:
    w = $e
else:
    w = $k
--
for i in $j: pass
"""

MODULE = r"""
import asyncio, contextlib, dataclasses, functools, gc, itertools, math, sys, threading, types
from aid import *

a, b, c, d, x, y, n, v, w = 1, 2, 3, 0, 1, 0, 1, 2, 3


class Bad(Exception):
    pass


class Base:
    def __init_subclass__(kind, flag=0, **words):
        super().__init_subclass__(**words)
        log(flag)

    def __class_getitem__(kind, item):
        return kind


class Meta(type):
    def __prepare__(name, bases, **words):
        return {"made": $k}

    def __new__(kind, name, bases, space, **words):
        return super().__new__(kind, name, bases, dict(space))


def maker(*args):
    def decorate(h):
        log(len(args))
        return h
    return decorate


@types.coroutine
def old(a):
    yield
    return a
"""
