"""One `verify attack`: the search runs in a worker; what it found is told, kept and made easy to repeat."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify import explain, instances, terminal
from verify.errors import SetupError
from verify.terminal import INTERRUPTED

if TYPE_CHECKING:
    from verify.suite import Suite
    from verify.workers import Pool

TIGHTER = 1e-3  # relative; an instance that is less than that above the claim's own is not worth keeping
INLINE = 400  # characters of data that a line of Python still shows

Outcome = Mapping[str, Any]


@dataclass(frozen=True)
class Assault:
    """What the command line asked for."""

    claim_id: str
    of: str | None = None
    seconds: float = 30.0
    seed: int = 0
    falsify: tuple[str, ...] = ()
    one: str | None = None
    keep: bool = True
    as_json: bool = False
    map_path: Path | None = None

    def run(self, suite: Suite) -> int:
        """Searches, tells, and returns the exit code: 1 if an instance fails."""
        from verify.paper_map import select

        if select(suite.map.ids(), (self.claim_id,)) != [self.claim_id]:
            raise SetupError(f"{self.claim_id} is no claim but a choice of several; attack one at a time")
        out = terminal.Out(sys.stderr if self.as_json else sys.stdout)
        try:
            results = self.results(suite, out)
        except KeyboardInterrupt:
            out.line(f"interrupted; a shorter search: {self.command()} --seconds {self.seconds / 4:g}")
            return INTERRUPTED
        if self.one is not None:
            return self.tell_one(out, results)
        for result in results:
            self.tell(out, suite.root, result)
        if self.as_json:
            print(
                json.dumps({"schema": 1, "id": self.claim_id, "spaces": results}, allow_nan=False, indent=1)
            )
        return int(any(found["fails"] for result in results for found in result["found"]))

    def results(self, suite: Suite, out: terminal.Out) -> list[dict[str, Any]]:
        """What the worker found."""
        from concurrent.futures.process import BrokenProcessPool

        from verify.attack import work

        with _watched(out) as pool:
            try:
                return pool.submit(work, str(suite.root.absolute()), self.claim_id, self.options()).result()
            except BrokenProcessPool as error:
                cause = pool.cause_of_death()
                raise SetupError(f"{self.claim_id}: the search's process died ({cause})") from error

    def options(self) -> dict[str, Any]:
        """The arguments of `attack`, or of `examine` for one instance."""
        factors = dict(map(_factor, self.falsify))
        if self.one is None:
            return {"seconds": self.seconds, "seed": self.seed, "of": self.of, "falsify": factors}
        if self.of is None:
            raise SetupError("--try needs --of INSTANCE: which instance of the claim the data are for")
        return {"of": self.of, "data": _data(self.one), "falsify": factors}

    def command(self, *more: str) -> str:
        """The command that repeats this one."""
        words = ["verify", "attack", self.claim_id, *more]
        words += ["--of", self.of] if self.of and "--of" not in more else []
        words += [word for text in self.falsify for word in ("--falsify", text)]
        return shlex.join([*words, *(["--map", str(self.map_path)] if self.map_path else [])])

    # --- what is told ---------------------------------------------------------------------------------------------

    def tell(self, out: terminal.Out, root: Path, result: Outcome) -> None:
        """One space: how much was tried, then every check from the worst."""
        tried = explain.count(result["instances"], "instance")
        out.paragraph(
            f"{self.claim_id}: {tried} of {result['space']} in {explain.seconds(result['seconds'])}", "bold"
        )
        if result["unfit"]:
            out.line(f"  {result['unfit']} of them meet no assumption and count for nothing")
        for message, number in list(result["raised"].items())[:3]:
            out.line(f"  {number} more were no instance: {message}", terminal.YELLOW)
        for found in result["found"]:
            self.tell_check(out, root, result, found)
        if not result["found"]:
            out.line("  nothing was found: no instance of the space meets the assumptions", terminal.YELLOW)

    def tell_check(self, out: terminal.Out, root: Path, result: Outcome, found: Outcome) -> None:
        """The worst instance of one check; how to repeat it where that is of use."""
        own = result["own"][found["check"]]
        if found["fails"]:
            out.line(f"  ✗ {found['check']} FAILS on the smallest instance that was found", terminal.RED)
            out.line("\n".join(explain.comparison(found["record"], indent="      ")))
        else:
            known = "" if own is None else f"; {own:.6g} on the claim's own"
            out.line(f"  ✓ {found['check']}: measured/bound at most {found['tightness']:.6g}{known}")
        is_news = own is None or found["tightness"] > own + TIGHTER * abs(own)
        if found["fails"] or (is_news and found["tightness"] > 0):
            out.line(f"      instance: {_shortened(json.dumps(found['data']))}")
            for line in self.again(root, result["space"], found):
                out.line(f"      {line}")

    def again(self, root: Path, of: str, found: Outcome) -> Iterator[str]:
        """Keeps the instance, in the claim or else among the results; one command and three lines of Python."""
        check, data = found["check"], found["data"]
        if self.keep and not self.falsify:
            file = instances.keep(root, self.claim_id, of, check, data)
            yield f"kept in {file.relative_to(root)}: every run tries it from now on"
            yield f"again:    {shlex.join(['verify', 'run', self.claim_id])}"
            arguments = f"**claim.worst[{of!r}][{check!r}]"
        elif found["fails"]:
            text = json.dumps(data)
            name = _set_aside(root, self.claim_id, data) if len(text) > INLINE else ""
            yield f"again:    {self.command('--of', of, '--try', f'@{name}' if name else text)}"
            arguments = f"**json.load(open({name!r}))" if name else f"**{data}"
        else:
            return
        factors = "".join(f".replace({n}=lambda {n}: {f:g} * {n})" for n, f in map(_factor, self.falsify))
        yield "in Python: import json, verify" if "json." in arguments else "in Python: import verify"
        yield f"           claim = verify.load().claims[{self.claim_id!r}]{factors}"
        yield f"           print(verify.evaluate(claim.at({of!r}, {arguments})).data['reason'])"

    def tell_one(self, out: terminal.Out, records: Sequence[Outcome]) -> int:
        """The checks on the one instance that was given."""
        for record in records:
            failed = record["outcome"] == "fails"
            out.line(
                f"{'✗' if failed else '✓'} {record['name']} {record['outcome']}",
                terminal.RED if failed else "",
            )
            out.line("\n".join(explain.comparison(record)))
        if self.as_json:
            print(
                json.dumps({"schema": 1, "id": self.claim_id, "checks": records}, allow_nan=False, indent=1)
            )
        return int(any(record["outcome"] == "fails" for record in records))


@contextmanager
def _watched(out: terminal.Out) -> Iterator[Pool]:
    """A worker, and on a terminal a line on what it has found so far."""
    from verify.workers import Pool

    status = out.console.status("starting") if out.console is not None else None

    def report(name: str, text: str) -> None:
        if status is not None:
            status.update(text)

    pool = Pool(1, report)
    try:
        if status is not None:
            status.start()
        yield pool
    finally:
        if status is not None:
            status.stop()
        pool.kill()


def _factor(text: str) -> tuple[str, float]:
    """("gamma", 0.95) of gamma=0.95."""
    name, _, number = text.partition("=")
    try:
        return name.strip(), float(number)
    except ValueError:
        raise SetupError(f"--falsify {text}: write REFERENCE=FACTOR, such as gamma=0.95") from None


def _data(text: str) -> dict[str, Any]:
    """The data of --try."""
    try:
        data = json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
    except (OSError, ValueError) as error:
        raise SetupError(f"--try {_shortened(text)}: no JSON ({error}); write {{...}} or @FILE") from error
    if not isinstance(data, dict):
        raise SetupError(f"--try {_shortened(text)}: an instance is a JSON object, {{argument: value}}")
    return data


def _set_aside(root: Path, claim_id: str, data: Mapping[str, Any]) -> str:
    """Writes a counterexample that is too long for a line; the file's name from the project's root."""
    file = root / "results" / claim_id / "counterexample.json"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(data) + "\n")
    except OSError as error:
        raise SetupError(f"{file}: cannot be written ({error.strerror or error})") from error
    return str(file.relative_to(root))


def _shortened(text: str) -> str:
    return text if len(text) <= INLINE else f"{text[:INLINE]} …"
