"""A claim is a small graph of named quantities.

As in pytest, a function is named after what it returns and asks for what it needs by argument name.
Arguments with defaults are parameters, one namespace a claim; `rng` is the function's own random stream.
"""

from __future__ import annotations

import difflib
import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, TypeVar

from verify.errors import SetupError

Function = Callable[..., Any]
F = TypeVar("F", bound=Function)
Cases = Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]

INSTANCE, REFERENCE, RUN, MEASUREMENT = "instance", "reference", "run", "measurement"
ASSUMPTION, CHECK = "assumption", "check"


def check_key(name: str) -> str:
    """The key of a check among the quantities: a check may be called like a quantity."""
    return f"check[{name}]"


def check_name(key: str) -> str:
    """The name of the check with that key."""
    return key.removeprefix("check[").removesuffix("]")


@dataclass(frozen=True)
class Quantity:
    """A named function; `layers` are what replaced it, each asking for the one before by its own name."""

    name: str
    role: str
    layers: tuple[Function, ...]

    def over(self, function: Function) -> Quantity:
        """The quantity with one more layer."""
        return Quantity(self.name, self.role, (*self.layers, function))


@dataclass(frozen=True)
class Alteration:
    """A control (its named check must fail) or an ablation (its named check is recorded)."""

    name: str
    check: str
    changes: Mapping[str, Any]
    cases: Cases | None = None


@dataclass(frozen=True)
class Space:
    """Where `verify attack` looks for instances: `sample` draws plain data, `build` makes the instance of it."""

    of: str
    sample: Function
    build: Function


@dataclass
class Claim:
    """One checkable statement.

    id: "paper-slug/claim-slug". cases: repeats the claim over parameter values, either {name: values}
    (the product) or a list of {name: value}. full: the parameters of `--size full`, and its `cases` if they differ.
    Raises SetupError for names that exist twice or not at all, when they are used.
    """

    id: str
    cases: Cases | None = None
    full: Mapping[str, Any] = field(default_factory=dict)
    quantities: dict[str, Quantity] = field(default_factory=dict, repr=False)
    controls: dict[str, Alteration] = field(default_factory=dict, repr=False)
    ablations: dict[str, Alteration] = field(default_factory=dict, repr=False)
    spaces: dict[str, Space] = field(default_factory=dict, repr=False)
    worst: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    draw: Function | None = field(default=None, repr=False)
    overrides: Mapping[str, Any] = field(default_factory=dict, repr=False)

    # --- decorators -----------------------------------------------------------------------------------------

    def instance(self, function: F) -> F:
        """Data and hyperparameters, made from a seed (`rng`)."""
        return self._define(INSTANCE, function.__name__, function)

    def reference(self, function: F) -> F:
        """What theory predicts, with a certificate."""
        return self._define(REFERENCE, function.__name__, function)

    def run(self, function: F) -> F:
        """What actually happened: a training run, an algorithm, a Monte Carlo."""
        return self._define(RUN, function.__name__, function)

    def measurement(self, function: F) -> F:
        """What is read off a run afterwards, with a certificate of its own (a margin in balls, say)."""
        return self._define(MEASUREMENT, function.__name__, function)

    def assumption(self, function: F) -> F:
        """A check of the instance itself; while it does not hold, the claim is not judged."""
        return self._define(ASSUMPTION, function.__name__, function)

    def check(self, name: str) -> Callable[[F], F]:
        """A relation between two values, as made by `at_most`, `equal` or `less`."""
        if not isinstance(name, str):
            raise SetupError(f'{self.id}: a check has a name: @claim.check("margin-gap")')
        return lambda function: self._define(CHECK, check_key(name), function)

    def figure(self, function: F) -> F:
        """How the claim's figure is drawn: (matplotlib figure, evidence) -> None."""
        if self.draw is not None:
            raise SetupError(f"{self.id}: a claim has one figure, and {function.__name__} is a second")
        self.draw = function
        return function

    def control(self, name: str, /, *, must_fail: str, cases: Cases | None = None, **changes: Any) -> None:
        """An altered world in which the check `must_fail` has to fail, in every one of its `cases`.

        changes: quantity=function (which may ask for the original under its own name) or parameter=value.
        """
        self._alter(self.controls, Alteration(name, must_fail, changes, cases))

    def ablation(self, name: str, /, *, check: str, cases: Cases | None = None, **changes: Any) -> None:
        """An assumption dropped: the outcome of `check` is recorded, never judged."""
        self._alter(self.ablations, Alteration(name, check, changes, cases))

    def space(self, of: str, *, build: Function) -> Callable[[F], F]:
        """Where `verify attack` looks for worse instances than the claim's own.

        of: the instance that is replaced. The decorated function has one argument, `draw`, which draws from a
        hypothesis strategy; it returns a dict of plain data (numbers, words, lists of them, arrays of floats).
        build(**data) makes the value of the instance, from lists in place of arrays; floats in the data are
        also moved freely, so `build` brings them to where they belong (unit length, sum 1).
        """

        def define(sample: F) -> F:
            if of not in self.named(INSTANCE):
                raise SetupError(self._unknown(of, self.named(INSTANCE), "instance"))
            if of in self.spaces:
                raise SetupError(f"{self.id}: there are two spaces of {of!r}")
            self.spaces[of] = Space(of, sample, build)
            return sample

        return define

    def at(self, of: str, /, **data: Any) -> Claim:
        """The claim on one instance of a space: `of` is what the space builds from the data."""
        if of not in self.spaces:
            raise SetupError(self._unknown(of, list(self.spaces), "space"))
        build = self.spaces[of].build
        return self.replace(**{of: lambda: build(**data)})

    # --- questions ------------------------------------------------------------------------------------------

    def named(self, role: str) -> list[str]:
        """Names of the quantities, checks or assumptions of one role, in the order of their definition."""
        return [name for name, quantity in self.quantities.items() if quantity.role == role]

    @property
    def references(self) -> dict[str, Function]:
        """{name: function} of what theory predicts."""
        return {name: self.quantities[name].layers[-1] for name in self.named(REFERENCE)}

    @property
    def checks(self) -> list[str]:
        """Names of the checks."""
        return [check_name(key) for key in self.named(CHECK)]

    def replace(self, **changes: Any) -> Claim:
        """An altered claim: quantity=function or parameter=value. Controls are built on it."""
        altered = copy(self)
        altered.quantities, altered.overrides = dict(self.quantities), dict(self.overrides)
        for name in changes.keys() & self.quantities.keys():
            if not callable(changes[name]):
                raise SetupError(
                    f"{self.id}: {name} is a quantity; replace it by a function, not {changes[name]!r:.60}"
                )
            altered.quantities[name] = self.quantities[name].over(changes[name])
        known = altered.parameters()  # a replacement may bring parameters of its own
        for name in changes.keys() - self.quantities.keys():
            if name not in known:
                raise SetupError(self._unknown(name, [*self.quantities, *known], "quantity or parameter"))
            altered.overrides = {**altered.overrides, name: changes[name]}
        return altered

    def sized(self, size: str) -> Claim:
        """The claim at a size: "quick" as it stands, "full" with its `full` parameters."""
        if size == "quick":
            return self
        full = dict(self.full)
        altered = copy(self)
        altered.cases = full.pop("cases", self.cases)
        return altered.replace(**full)

    def parameters(self) -> dict[str, Any]:
        """Every parameter with its value: defaults of the functions, then what was replaced."""
        found: dict[str, Any] = {}
        for name, _, function in self._functions():
            for parameter in inspect.signature(function).parameters.values():
                if parameter.default is not inspect.Parameter.empty:
                    known = found.setdefault(parameter.name, parameter.default)
                    if repr(known) != repr(parameter.default) and parameter.name not in self.overrides:
                        raise SetupError(
                            f"{self.id}: parameter {parameter.name} of {name} defaults to {parameter.default!r}, "
                            f"elsewhere to {known!r}: parameters are one namespace a claim"
                        )
        for case in self.each_case():
            found |= {name: case[name] for name in case if name not in found}
        return {**found, **self.overrides}

    def each_case(self, cases: Cases | None = None) -> list[dict[str, Any]]:
        """The cases as a list of {name: value}; one empty case if the claim has none."""
        cases = self.cases if cases is None else cases
        if not cases:
            return [{}]
        if isinstance(cases, Mapping):
            return [dict(zip(cases, values, strict=True)) for values in itertools.product(*cases.values())]
        return [dict(case) for case in cases]

    def cases_of(self, alteration: Alteration) -> list[dict[str, Any]]:
        """The claim's cases that agree with what the alteration names (all of them if it names none)."""
        wanted = self.each_case(alteration.cases) if alteration.cases else [{}]
        chosen = [
            case
            for case in self.each_case()
            if any(all(case.get(name) == value for name, value in want.items()) for want in wanted)
        ]
        if not chosen:
            raise SetupError(
                f"{self.id}: control {alteration.name!r} names no case of the claim: {alteration.cases}"
            )
        return chosen

    def arguments(self, function: Function) -> list[str]:
        """Names that a function asks for."""
        return list(inspect.signature(function).parameters)

    def validate(self) -> None:
        """SetupError unless every name that is asked for exists and the graph has no cycle."""
        if not self.checks:
            raise SetupError(f"{self.id}: a claim without a check says nothing")
        known = {*self.quantities, *self.parameters(), "rng"}
        for name, layer, function in self._functions():
            for argument in self.arguments(function):
                if argument not in known:
                    where = f"{self.id}: {name}, asked for by {function.__name__}"
                    raise SetupError(self._unknown(argument, sorted(known), f"name ({where})"))
                if argument == name and layer == 0:
                    raise SetupError(f"{self.id}: {name} asks for itself")
        for alteration in (*self.controls.values(), *self.ablations.values()):
            self.replace(**alteration.changes).parameters()
            self.cases_of(alteration)
        self._refuse_cycles()

    # --- inside ---------------------------------------------------------------------------------------------

    def _functions(self) -> Iterator[tuple[str, int, Function]]:
        for quantity in self.quantities.values():
            for layer, function in enumerate(quantity.layers):
                yield quantity.name, layer, function

    def _define(self, role: str, name: str, function: F) -> F:
        if name in self.quantities or name == "rng":
            raise SetupError(f"{self.id}: the name {name!r} is taken")
        self.quantities[name] = Quantity(name, role, (function,))
        return function

    def _alter(self, table: dict[str, Alteration], alteration: Alteration) -> None:
        if alteration.name in self.controls or alteration.name in self.ablations:
            raise SetupError(f"{self.id}: there are two controls or ablations {alteration.name!r}")
        if alteration.check not in self.checks:
            raise SetupError(
                self._unknown(alteration.check, self.checks, f"check of control {alteration.name!r}")
            )
        if not alteration.changes:
            raise SetupError(f"{self.id}: control {alteration.name!r} changes nothing")
        self.replace(**alteration.changes)
        table[alteration.name] = alteration

    def _unknown(self, name: str, known: Sequence[str], what: str) -> str:
        near = difflib.get_close_matches(name, known, n=3) or list(known)
        return f"{self.id}: no {what} {name!r}; there is {', '.join(near) or 'none'}"

    def _refuse_cycles(self) -> None:
        done: set[str] = set()

        def visit(name: str, trail: tuple[str, ...]) -> None:
            if name in trail:
                raise SetupError(
                    f"{self.id}: {' asks for '.join((*trail, name))}: the quantities form a circle"
                )
            if name in done or name not in self.quantities:
                return
            for function in self.quantities[name].layers:
                for argument in self.arguments(function):
                    if argument != name:
                        visit(argument, (*trail, name))
            done.add(name)

        for name in self.quantities:
            visit(name, ())
