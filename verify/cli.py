"""The command line. Nothing but typer is imported before a command needs it: start-up is what people feel."""

import os
import sys
import traceback
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from verify import __version__
from verify.errors import VerifyError

if TYPE_CHECKING:
    from verify.suite import Suite

EXPECTED, UNEXPECTED, UNUSABLE, INTERRUPTED = 0, 1, 2, 130
LARGEST_SEED = 2**32 - 1

HELP = """Checks theorems of machine-learning theory papers numerically.

A claim builds an instance that satisfies the assumptions, computes what the theorem predicts, runs what it
speaks about and compares the two as intervals. Then one ingredient is changed so that the theorem no longer
applies (a control), and the same comparison has to fail.

\b
Examples:
  verify list                       what there is, and what is known of it
  verify run                        everything that is not current already
  verify run paper-a 'paper-b/x*'   one paper, and some claims of another
  verify run paper/claim --fresh 5  on five new random instances
  verify show paper/claim           statement, checks, where each width comes from
  verify new paper/claim            begin a claim of your own
  verify attack paper/claim         search for the instance that strains it most
  verify figures; verify report     the pictures and the page, from evidence
"""
EPILOG = """\b
Verdicts:
  verified   every check holds, every control is rejected
  refuted    a check fails
  undecided  the intervals are too wide to say
  vacuous    a control passes, or a check has no control that could fail it
  invalid    an assumption fails, or a certificate does not stand up
  error      the claim's code raised, or returned no value

\b
Exit codes:
  0    every verdict is the one that paper_map.yaml expects (verified, as a rule)
  1    some verdict is not; or a figure is missing, differs or fails
  2    usage, map or set-up error
  130  interrupted; finished evidence is kept
"""

app = typer.Typer(
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: rich would double the time it takes
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Size(StrEnum):
    """How large the instances are."""

    QUICK = "quick"
    FULL = "full"


Select = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SELECT", help="A claim id, a paper's slug or a glob; none: all.", show_default=False
    ),
]
Map = Annotated[
    Path | None,
    typer.Option(
        "--map",
        metavar="PATH",
        help="The paper map; default: the nearest paper_map.yaml.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Strict JSON on stdout, everything else on stderr.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"verify {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    select: Select = None,
    size: Annotated[Size, typer.Option(help="full takes each claim's larger parameters.")] = Size.QUICK,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=LARGEST_SEED,
            metavar="N",
            help="Seed of the instances and runs; default: 0.",
            show_default=False,
        ),
    ] = None,
    fresh: Annotated[
        int,
        typer.Option(
            min=0,
            max=1000,
            metavar="N",
            help="N new random seeds instead, printed so that they can be repeated.",
            show_default=False,
        ),
    ] = 0,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=4096,
            metavar="N",
            help="Worker processes; default: one a core. 0: in this process, for debuggers.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        float | None,
        typer.Option(
            min=1,
            metavar="S",
            help="Give an evaluation up after S seconds; default: 600 at size quick, none at full.",
            show_default=False,
        ),
    ] = None,
    executor: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="A dask scheduler, tcp://HOST:PORT, whose workers evaluate instead (extra `cluster`).",
            show_default=False,
        ),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Evaluate again what is current, too.")
    ] = False,
    as_json: AsJson = False,
    map_path: Map = None,
) -> None:
    """Evaluate claims and print their verdicts.

    Evidence that is current (neither code, data nor versions changed) is taken from results/. A claim whose
    verdict is not the expected one is explained below the table.

    \b
    Examples:
      verify run
      verify run some-paper --size full --jobs 8
      verify run some-paper/claim --seed 7 --no-cache
      verify run --fresh 100 --executor tcp://scheduler:8786
      verify run --json > verdicts.json
    """
    if seed is not None and fresh:
        raise typer.BadParameter("--fresh draws the seeds itself; leave out --seed", param_hint="'--fresh'")
    from verify.session import Request, Session

    request = Request(
        tuple(select or ()), size.value, seed, fresh, jobs, not no_cache, as_json, map_path, executor, limit
    )
    raise typer.Exit(Session(suite_of(map_path), request).run())


@app.command("list")
def list_(
    findings: Annotated[
        bool, typer.Option("--findings", help="Only what contradicts or sharpens a paper.")
    ] = False,
    as_json: AsJson = False,
    map_path: Map = None,
) -> None:
    """List papers, claims and their current verdicts.

    Also lists what in a paper is not checkable, and why. `stale`: code, data or versions changed since the
    evaluation; `not run`: there is no evidence yet.
    """
    from verify import terminal
    from verify.catalogue import Catalogue

    papers = Catalogue(suite_of(map_path)).papers(only_findings=findings)
    if as_json:
        _print_json({"schema": 1, "papers": papers})
    else:
        terminal.listing(terminal.Out(sys.stdout), papers)
        if not papers:
            typer.echo("no findings" if findings else "no papers yet", err=True)


@app.command()
def show(
    claim_id: Annotated[
        str, typer.Argument(metavar="ID", help="A claim id (paper/claim), or a paper's slug.")
    ],
    map_path: Map = None,
) -> None:
    """Show all there is on one claim, or on a paper.

    Statement, source, assumptions, checks, controls, power, evidence, figure. Each side of a
    check is an interval; behind it stands how well it is known and why it is that wide.
    """
    from verify import terminal
    from verify.catalogue import Catalogue

    out, catalogue = terminal.Out(sys.stdout), Catalogue(suite_of(map_path))
    if claim_id in catalogue.map.papers:
        terminal.listing(out, [catalogue.paper(claim_id)])
    else:
        terminal.page(out, catalogue.page(claim_id))


@app.command()
def new(
    claim_id: Annotated[
        str, typer.Argument(metavar="PAPER/CLAIM", help="Two slugs: words of a-z, 0-9, '-'.")
    ],
    map_path: Map = None,
) -> None:
    """Begin a claim: a row in the map and a module that runs as it stands.

    The module holds a small true theorem with a certified reference, a run, two controls, a space for
    `verify attack` and a figure; put yours in its place. In a folder without a map (there and above) one
    is written. Nothing that exists is overwritten.

    \b
    Example:
      verify new my-paper/main-theorem && verify run
    """
    from verify.new import new as begin

    steps = begin(claim_id, map_path)
    for step in steps:
        typer.echo(f"{step.did} {_shown(step.path)}")
    row, module = (_shown(step.path) for step in steps)
    typer.echo(
        f"\nNow:  verify run {claim_id}\n"
        f"Edit: {row}: title, source and kind of the claim, title and summary of the paper\n"
        f"      {module}: the statement, then one function after the other\n"
        f"Then: verify attack {claim_id}; verify figures; verify report; pytest"
    )


@app.command()
def attack(
    claim_id: Annotated[str, typer.Argument(metavar="ID", help="A claim id (paper/claim).")],
    of: Annotated[
        str | None,
        typer.Option(
            metavar="INSTANCE", help="Only this space; default: all of the claim's.", show_default=False
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=1e6, metavar="S", help="How long to search.")] = 30.0,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, metavar="N", help="Seed of the search.")] = 0,
    falsify: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REFERENCE=FACTOR",
            help="Multiply a reference first: would the search notice that it is wrong?",
            show_default=False,
        ),
    ] = None,
    one: Annotated[
        str | None,
        typer.Option(
            "--try",
            metavar="JSON",
            help="Only this instance: its data, or @FILE with them.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[bool, typer.Option(help="Whether the claim tries from now on what is found.")] = True,
    as_json: AsJson = False,
    map_path: Map = None,
) -> None:
    """Search for the instance that strains a claim most.

    The search covers the space of instances that the claim declares (@claim.space), guided by the
    tightness measured/bound of its checks. An instance that is tighter than all that the claim tries
    already is kept in CLAIM.worst.json beside the claim's module, and tried by every run from then on.
    Exit code 1: an instance fails.

    \b
    Examples:
      verify attack paper/claim --seconds 60
      verify attack paper/claim --falsify bound=0.95
      verify attack paper/claim --of data --try '{"sizes": [1, 2], "points": [[0.5, 1.0]]}'
    """
    from verify.assault import Assault

    wanted = Assault(claim_id, of, seconds, seed, tuple(falsify or ()), one, keep, as_json, map_path)
    raise typer.Exit(wanted.run(suite_of(map_path)))


@app.command()
def figures(
    select: Select = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Write nothing; fail if a file is missing or differs by more than a pixel."
        ),
    ] = False,
    map_path: Map = None,
) -> None:
    """Draw the figures from current evidence.

    They go to figures/<paper>/<claim>.svg and show seed 0 at size quick. A file is written
    only if something visible changed.
    """
    from verify.figures import write_figures
    from verify.store import Store

    suite = suite_of(map_path)
    drawn = write_figures(suite, Store(suite.root), select or [], check=check, watch=_tell)
    states = [one.state for one in drawn]
    typer.echo(
        ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)) or "no claims yet"
    )
    raise typer.Exit(UNEXPECTED if any(one.is_bad for one in drawn) else EXPECTED)


def _tell(drawn: Any) -> None:
    """A line for what is worth one."""
    if drawn.state != "unchanged":
        typer.echo(
            f"{drawn.state}: {_shown(drawn.path)}" + (f": {drawn.message}" if drawn.message else ""),
            err=drawn.is_bad,
        )


@app.command()
def report(map_path: Map = None) -> None:
    """Write the report, report/index.html.

    It is self-contained, and made from stored evidence and figures: nothing is computed again.
    """
    from verify.report import write

    typer.echo(f"wrote {_shown(write(suite_of(map_path)))}")


def suite_of(path: Path | None) -> "Suite":
    """The suite of --map, or of the nearest map."""
    from verify import paper_map
    from verify.suite import Suite

    if path is None:
        return Suite(paper_map.read(paper_map.find()))
    return Suite(paper_map.read(path / paper_map.NAME if path.is_dir() else path))


def _shown(path: Path) -> str:
    """A path as short as it can be typed here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _print_json(data: Any) -> None:
    import json

    typer.echo(json.dumps(data, allow_nan=False, indent=1))


def main() -> None:
    """Entry point: whatever goes wrong ends in one paragraph and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without ✓ gets ?
    sys.exit(_flushed(_code()))


def _code() -> int:
    """Runs the command; its exit code."""
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXPECTED if end.code is None else UNUSABLE
    except KeyboardInterrupt:
        return INTERRUPTED
    except VerifyError as error:
        print(f"verify: {error}", file=sys.stderr)
    except BrokenPipeError:
        return EXPECTED
    except Exception as error:
        print(_stumbled(error), file=sys.stderr)
    return UNUSABLE


def _stumbled(error: Exception) -> str:
    """An error of the engine itself: what, and the last places it went through."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = [f"  {_shown(Path(f.filename))}:{f.lineno} in {f.name}: {f.line}" for f in frames]
    return "\n".join([f"verify: an error of verify itself: {type(error).__name__}: {error}", *places])


def _flushed(code: int) -> int:
    """The code, once what was written has arrived; a reader that left (`| head`) is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
