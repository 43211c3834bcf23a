"""What a difference between two cores is: a fault, or something that none of them answers for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .runners import BARE, PLAIN, Ended, Pair, Place, alone

DIFFERS = "differs"
#: The native core, or whichever is the second, disagrees with itself.
UNSTEADY = "disagrees with itself"

# What is no fault, and is counted and listed apart.
UNDETERMINED = "not deterministic"
"""The reference disagrees with itself."""
RECURSION = "at the limit of recursion"
"""There the C tracer raises errors in the program; see docs/measuring.md."""


@dataclass
class Verdict:
    """What a program does. Without kinds both cores agree."""

    kinds: frozenset[str] = frozenset()
    how: list[str] = field(default_factory=list)

    def fault(self, cores: tuple[str, str]) -> bool:
        """A crash of the reference alone is none: there is nothing to compare with."""
        ours = {f"{cores[1]} {kind}" for kind in ("crashes", "never ends", UNSTEADY)}
        return bool(self.kinds & {DIFFERS, *ours}) or f"{cores[0]} never ends" in self.kinds


def judge(place: Place, text: str) -> Verdict:
    """A program by itself, in fresh processes."""
    return judge_last(place, place.saved([text]))


def judge_last(place: Place, files: list[Path]) -> Verdict:
    """The last of some programs, run after the others."""
    reference, other = place.cores
    answers = [alone(place, core, files) for core in place.cores]
    ended = [answer for answer in answers if isinstance(answer, Ended)]
    if ended:
        # The interpreter may do so by itself: then that says nothing of cores.
        by_itself = alone(place, BARE, files)
        told = [by_itself] if isinstance(by_itself, Ended) else ended
        kinds = frozenset(f"{answer.core} {answer.kind}" for answer in told)
        return Verdict(kinds, [str(answer) for answer in told])
    how = differences(*(answer[-1] for answer in answers), place.cores)
    if not how:
        return Verdict()
    for core, answer, kind in (
        (reference, answers[0], UNDETERMINED),
        (other, answers[1], f"{other} {UNSTEADY}"),
    ):
        again = alone(place, core, files)
        if isinstance(again, Ended):
            return Verdict(frozenset({f"{core} {again.kind}"}), [str(again)])
        changed = differences(answer[-1], again[-1], (core, f"{core} again"))
        if changed:
            return Verdict(frozenset({kind}), changed)
    plain = alone(place, PLAIN, files)
    if not isinstance(plain, Ended) and plain[-1]["recursion"]:
        return Verdict(frozenset({RECURSION}), how)
    return Verdict(frozenset({DIFFERS}), how)


def differences(one: dict[str, Any], other: dict[str, Any], cores: tuple[str, str]) -> list[str]:
    """In words; nothing if there are none."""
    found = []
    if one["outcome"] != other["outcome"]:
        found += [f"{core} ends as: {it['outcome']}" for core, it in zip(cores, (one, other))]
    contexts, others = one["contexts"], other["contexts"]
    for context in sorted(contexts.keys() | others.keys()):
        where = f" in the context {context}" if context else ""
        arcs = [{tuple(arc) for arc in it.get(context, ())} for it in (contexts, others)]
        for core, only in zip(cores, (arcs[0] - arcs[1], arcs[1] - arcs[0])):
            if only:
                found.append(f"only {core}{where}: {' '.join(map(str, sorted(only)))}")
    children, others = one.get("children", {}), other.get("children", {})
    if children.keys() != others.keys():
        found.append(f"forked {sorted(children)} and {sorted(others)}")
    for name in sorted(children.keys() & others.keys()):
        within = differences(children[name], others[name], cores)
        found += [f"in the process {name}, {difference}" for difference in within]
    return found


def which_differ(pair: Pair, files: list[Path]) -> list[bool] | list[Ended]:
    """By file, what two processes that go on say quickly; or how they ended."""
    pair.ask(files)
    return compared(pair)


def compared(pair: Pair) -> list[bool] | list[Ended]:
    answers = pair.answers()
    ended = [answer for answer in answers if isinstance(answer, Ended)]
    return ended or [bool(differences(*both, pair.place.cores)) for both in zip(*answers)]
