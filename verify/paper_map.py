"""The map of papers and claims: `paper_map.yaml`, read safely and checked down to the last field."""

import difflib
import keyword
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from verify.errors import SetupError

NAME = "paper_map.yaml"
_LARGEST = 5_000_000  # bytes; a thousand papers stay below it
_DEEPEST = 12  # levels of nesting; the map itself has six
_MOST = 500  # problems that one message lists
_QUOTED = re.compile("'(.*?)'")
_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_ARXIV = re.compile(r"([0-9]{4}\.[0-9]{4,5}|[a-z-]+(\.[A-Z]{2})?/[0-9]{7})(v[0-9]+)?")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER: Any = yaml.resolver.Resolver()

FieldPath = tuple[str | int, ...]
Kind = Literal["theorem", "lemma", "finding", "observation", "conjecture"]
Known = Literal["exact", "summary", "abstract", "reconstructed"]
Priority = Literal["core", "extended", "deep"]
Expected = Literal["verified", "refuted", "undecided", "vacuous"]


def _wrong(text: str) -> PydanticCustomError:
    return PydanticCustomError("wrong", "{text}", {"text": text})


def _slug(text: str) -> str:
    """Kebab case that is also the name of an importable module once a-b is written a_b."""
    if not _SLUG.fullmatch(text) or len(text) > 80:
        raise _wrong("is no slug; use words of a-z and 0-9 joined by '-', a letter first, at most 80 long")
    if keyword.iskeyword(text) or text == "world":
        raise _wrong(f"is a reserved name (Python keyword or shared module); add a word: '{text}-claim'")
    return text


def slug_problem(text: str) -> str | None:
    """What is wrong with a slug, and the mend."""
    try:
        _slug(text)
    except PydanticCustomError as error:
        return error.message()
    return None


def _text(text: str) -> str:
    """One paragraph: white space and line ends collapse to single blanks."""
    text = " ".join(text.split())
    if not text or not text.isprintable():
        raise _wrong("is empty or has a control character; write plain words, or remove it if optional")
    return text


def _arxiv(text: str) -> str:
    if not _ARXIV.fullmatch(text):
        raise _wrong(f'{_short(text)} is no arXiv id; write it as "2502.04664" or "cs/0501001"')
    return text


Slug = Annotated[str, AfterValidator(_slug)]
Text = Annotated[str, AfterValidator(_text)]
Verdicts = Annotated[tuple[Expected, ...], BeforeValidator(lambda v: (v,) if isinstance(v, str) else v)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NotCheckable(_Model):
    """Something that the paper says and no claim here checks."""

    what: Text = Field(description="what in the paper is not checked")
    because: Text = Field(description="why it is not checked")


class ClaimRow(_Model):
    """What the map says about one claim; its statement is the docstring of its module."""

    title: Text = Field(description="a short title")
    kind: Kind = Field(description="one of theorem, lemma, finding, observation, conjecture")
    source: Text = Field(description="where in the paper it stands, such as 'Theorem 1'")
    known: Known = Field(description="how its source is known: exact, summary, abstract or reconstructed")
    priority: Priority = Field(description="one of core, extended, deep")
    expected: Verdicts = Field(("verified",), description="a verdict, or a list of them for a conjecture")
    because: Text | None = Field(None, validate_default=True, description="why that verdict is expected")
    differs: Text | None = Field(None, validate_default=True, description="the paper's differing statement")

    @field_validator("expected")
    @classmethod
    def _list_for_conjectures(cls, expected: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not expected or len(set(expected)) < len(expected):
            raise _wrong("is empty or repeats a verdict; name every expected verdict once")
        if len(expected) > 1 and info.data.get("kind", "conjecture") != "conjecture":
            raise _wrong("is a list, which only a conjecture may have; name one verdict")
        return expected

    @field_validator("because")
    @classmethod
    def _reason_for_the_unusual(cls, because: str | None, info: ValidationInfo) -> str | None:
        usual = info.data.get("expected") == ("verified",)
        if because is None and not usual and "expected" in info.data:
            raise _wrong("is missing; say why another verdict than verified is expected")
        if because is not None and usual:
            raise _wrong("explains an 'expected' that is verified anyway; remove it, or add 'expected'")
        return because

    @field_validator("differs")
    @classmethod
    def _finding_differs(cls, differs: str | None, info: ValidationInfo) -> str | None:
        if differs is None and info.data.get("kind") == "finding":
            raise _wrong("is missing; a finding names the paper's statement it contradicts or sharpens")
        return differs


class Paper(_Model):
    """One paper of the map: what it says, what it assumes, what is checked of it and what is not."""

    title: Text = Field(description="the title")
    authors: tuple[Text, ...] = Field(min_length=1, description="a list of names")
    year: int = Field(ge=1900, le=2100, description="the year of the first version, 2025, without quotes")
    arxiv: Annotated[str, AfterValidator(_arxiv)] | None = Field(
        None, description='the id in quotes: "2502.04664"; leave it out while there is none'
    )
    venue: Text | None = Field(None, description="where it appeared")
    summary: Text = Field(description="one line in own words: what the paper says")
    assumptions: dict[Slug, Text] = Field({}, description="a mapping from name to short statement, or {}")
    not_checkable: tuple[NotCheckable, ...] = Field((), description="a list of {what, because}, or []")
    claims: dict[Slug, ClaimRow] = Field({}, description="a mapping from claim slug to claim, or nothing")


class _File(_Model):
    papers: dict[Slug, Paper] = Field(description="a mapping from paper slug to paper")


@dataclass(frozen=True)
class PaperMap:
    """The validated map; `claims/`, `results/`, `figures/` and `report/` lie beside its file."""

    path: Path
    papers: dict[str, Paper]

    @property
    def root(self) -> Path:
        """The folder of the map."""
        return self.path.parent

    def ids(self) -> list[str]:
        """All claim ids, 'paper/claim', in the order of the map."""
        return [f"{slug}/{claim}" for slug, paper in self.papers.items() for claim in paper.claims]

    def row(self, claim_id: str) -> ClaimRow:
        """The row of one claim; an unknown id is a SetupError that names the nearest ones."""
        paper, _, claim = claim_id.partition("/")
        if paper not in self.papers or claim not in self.papers[paper].claims:
            raise SetupError(_unmatched(claim_id, self.ids()))
        return self.papers[paper].claims[claim]

    def module_name(self, claim_id: str) -> str:
        """The claim's module as it is imported; a-b becomes a_b."""
        self.row(claim_id)
        return "claims." + _module(claim_id).replace("/", ".")

    def module_path(self, claim_id: str) -> Path:
        """The file of the claim's module."""
        return self.root.joinpath(*self.module_name(claim_id).split(".")).with_suffix(".py")


def find(start: Path | None = None) -> Path:
    """The nearest paper_map.yaml at or above a folder (default: the working directory)."""
    try:
        start = (start or Path.cwd()).resolve()
        for folder in (start, *start.parents):
            if (folder / NAME).is_file():
                return folder / NAME
    except OSError as error:
        raise SetupError(f"cannot look for {NAME}: {error}; change to a readable folder") from error
    raise SetupError(f"no {NAME} in {start} or above; change to a project's folder or give --map PATH")


def read(path: Path, check_modules: bool = True) -> PaperMap:
    """The validated map; otherwise a SetupError that lists every problem with file, line, field and mend."""
    try:
        path = Path(path).absolute()
        return checked(_text_of(path, _shown(path)), path, check_modules)
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror or error}; check the path and its permissions") from error


def checked(text: str, path: Path, check_modules: bool = True) -> PaperMap:
    """As `read`, for a text that may not have been written to the path yet."""
    name = _shown(path)
    tree = _parsed(text, name)
    papers = _validated(tree)
    if check_modules:
        _check_modules(tree, path.parent / "claims")
    if tree.problems or papers is None:
        problems = sorted(set(tree.problems))
        lines = [f"{name}:{line}: {field}: {text}" for line, field, text in problems[:_MOST]]
        more = len(problems) - _MOST
        raise SetupError("\n".join([*lines, f"... and {more} more"] if more > 0 else lines))
    return PaperMap(path, papers)


def select(ids: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """The ids that match some pattern (claim id, paper slug or glob), in their order; no pattern: all."""
    chosen: set[str] = set(() if patterns else ids)
    unmatched = []
    for pattern in patterns:
        matching = [i for i in ids if fnmatchcase(i, pattern) or fnmatchcase(i.partition("/")[0], pattern)]
        chosen.update(matching)
        if not matching:
            unmatched.append(_unmatched(pattern, ids))
    if unmatched:
        raise SetupError("\n".join(unmatched))
    return [i for i in ids if i in chosen]


def _unmatched(pattern: str, ids: Sequence[str]) -> str:
    """The message for a pattern without a match; a claim's slug alone counts as near its id."""
    names = {i.partition("/")[2]: i for i in ids} | {i.partition("/")[0]: i.partition("/")[0] for i in ids}
    names |= {i: i for i in ids}
    near = dict.fromkeys(names[n] for n in difflib.get_close_matches(pattern[:200], names, cutoff=0.5))
    mend = f"the nearest: {', '.join(near)}" if near else "'verify list' shows all"
    return f"no claim matches {_short(pattern)}; {mend}"


@dataclass(frozen=True)
class _Unfit:
    """A scalar that is neither text nor a plain whole number, or an alias: no field accepts it."""

    kind: str
    text: str


class _Tree:
    """A YAML document as plain data, with the line of every field and the problems found so far."""

    def __init__(self, text: str) -> None:
        self.lines: dict[FieldPath, int] = {(): 1}
        self.problems: list[tuple[int, str, str]] = []
        self.data: Any = None
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        for event in self._events:
            if isinstance(event, yaml.NodeEvent):
                if self.data is not None:
                    raise _fatal("a second document begins; remove it and its '---'", event)
                self.data = self._value(event, ())
        self.data = {} if self.data is None else self.data

    def report(self, path: FieldPath, text: str, event: Any = None) -> None:
        """Note a problem at the line of an event, of the field, or of the nearest field around it."""
        around = path
        while around not in self.lines:
            around = around[:-1]
        self.problems.append((_line(event) if event else self.lines[around], _dotted(path), text))

    def _value(self, event: Any, path: FieldPath) -> Any:
        self.lines.setdefault(path, _line(event))
        if isinstance(event, yaml.AliasEvent):
            return _Unfit("an alias", f"*{event.anchor}")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if event.tag is not None:
            self.report(path, f"has the tag {_short(event.tag)}; remove it", event)
        if len(path) >= _DEEPEST:
            raise _fatal(f"{_dotted(path)} is nested too deeply; unfold it, the map has six levels", event)
        return self._mapping(path) if isinstance(event, yaml.MappingStartEvent) else self._list(path)

    def _list(self, path: FieldPath) -> tuple[Any, ...]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return tuple(items)

    def _mapping(self, path: FieldPath) -> dict[str, Any]:
        """The first of two equal keys is kept, the other one reported."""
        data: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _fatal(f"{_dotted(path)} has a key that is no plain word; write a single word", event)
            here = (*path, event.value)
            if event.value in data:
                what = f"claim id '{path[1]}/{event.value}'" if path[2:] == ("claims",) else "key"
                text = f"the {what} is given twice, first in line {self.lines[here]}; rename or remove one"
                self.report(here, text, event)
            self.lines.setdefault(here, _line(event))
            data.setdefault(event.value, self._value(next(self._events), here))
        return data


def _fatal(problem: str, event: Any) -> yaml.MarkedYAMLError:
    """A problem that ends the reading; its text has the mend."""
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _scalar(event: yaml.ScalarEvent) -> str | int | _Unfit:
    """Text, or a whole number in its plain form; whatever else YAML makes of a word is unfit."""
    text = event.value
    if event.tag is not None:
        return _Unfit("a tagged value", text)
    kind = _RESOLVER.resolve(yaml.ScalarNode, text, event.implicit).rpartition(":")[2]
    if kind == "str":
        return text
    if kind == "int" and text.isdigit() and str(int(text[:9])) == text:
        return int(text)
    kinds = {"null": "nothing", "bool": "a truth value", "timestamp": "a date"}
    return _Unfit(kinds.get(kind, "a number"), text)


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _text_of(path: Path, name: str) -> str:
    """The file's text, if it can be a map at all."""
    if path.is_dir():
        raise SetupError(f"{name}: is a folder; name the file in it")
    if not path.is_file():
        raise SetupError(f"{name}: no such file; create it or give --map PATH")
    if path.stat().st_size > _LARGEST:
        raise SetupError(f"{name}: larger than {_LARGEST:,} bytes, no paper map; give another by --map PATH")
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SetupError(f"{name}:{line}: not UTF-8; save the file in that encoding") from error


def _parsed(text: str, name: str) -> _Tree:
    try:
        return _Tree(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        mend = "" if ";" in str(error.problem) else "; check quotes, colons and indentation"
        problem = f"{error.problem}{mend}"
    except yaml.reader.ReaderError as error:
        line = text.encode().count(b"\n", 0, error.position) + 1
        problem = "a control character; remove it"
    raise SetupError(f"{name}:{line}: cannot be read as YAML: {problem}")


def _validated(tree: _Tree) -> dict[str, Paper] | None:
    """The papers, or None with the problems noted in the tree."""
    try:
        return _File.model_validate(tree.data).papers
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            path = detail["loc"]
            if path and (path[-1] == "[key]" or (path[-1] == 0 and path not in tree.lines)):
                path = path[:-1]
            tree.report(path, _explained(path, detail))
        return None


def _explained(path: FieldPath, error: ErrorDetails) -> str:
    """What is wrong at a path, and the mend."""
    fields, name = _place(path)
    given = error["input"]
    if isinstance(given, _Unfit) and given.kind == "an alias":
        return f"is the alias {_short(given.text)}; write out what it stands for"
    match error["type"]:
        case "wrong":
            return error["msg"]
        case "missing":
            return f"is missing; add {fields[name].description}"
        case "extra_forbidden":
            return f"is no field here; {_nearest(name, fields)}"
        case "literal_error":
            return f"is {_given(given)}; {_nearest(given, re.findall(_QUOTED, error['ctx']['expected']))}"
        case "string_type" if isinstance(given, int) or (isinstance(given, _Unfit) and given.text):
            quoted = given.text if isinstance(given, _Unfit) else given
            return f'is {_given(given)}; write text, in quotes: "{quoted}"'
    return f"is {_given(given)}; write {fields[name].description}"


def _place(path: FieldPath) -> tuple[dict[str, FieldInfo], str]:
    """The fields of the model that a path leads into, and the path's own name among them."""
    match path:
        case (_, _, "claims", _, str(name), *_):
            return ClaimRow.model_fields, name
        case (_, _, "not_checkable", _, str(name), *_):
            return NotCheckable.model_fields, name
        case (_, _, str(name), *_):
            return Paper.model_fields, name
        case (str(name),):
            return _File.model_fields, name
    return _File.model_fields, "papers"


def _nearest(word: Any, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(word)[:200], names, n=1, cutoff=0.5)
    return f"did you mean '{near[0]}'?" if near else f"use one of {', '.join(names)}"


def _given(value: Any) -> str:
    match value:
        case _Unfit(kind, text):
            return "empty" if kind == "nothing" else f"{kind}, {_short(text)}"
        case str():
            return f"the text {_short(value)}"
        case int():
            return f"the number {value}"
    return f"{'a list' if isinstance(value, tuple) else 'a mapping'}{'' if value else ' without entries'}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _dotted(path: FieldPath) -> str:
    parts = (f"[{p}]" if isinstance(p, int) else "." + (p if p.isprintable() else repr(p)) for p in path)
    return "".join(parts).removeprefix(".")[:200] or "top level"


def _check_modules(tree: _Tree, folder: Path) -> None:
    """Every row has its module and every module its row; `world.py` and `_*.py` are shared, not claims."""
    slugs = [path for path in tree.lines if all(_SLUG.fullmatch(str(part)) for part in path)]
    papers = {_module(path[1]): path for path in slugs if len(path) == 2}
    rows = {f"{_module(p[1])}/{_module(p[3])}": p for p in slugs if len(p) == 4 and p[2] == "claims"}
    for row, path in rows.items():
        if not (folder / f"{row}.py").is_file():
            tree.report(path, f"has no module; write claims/{row}.py or remove the row")
    for module in sorted(folder.glob("[!_.]*/*.py")):
        paper, row = module.parent.name, f"{module.parent.name}/{module.stem}"
        if paper not in papers:
            tree.report(("papers",), f"claims/{paper}/ belongs to no paper; add one or rename it _{paper}")
        elif row not in rows and module.stem != "world" and not module.stem.startswith(("_", ".")):
            where = (*papers[paper], "claims")
            tree.report(where, f"claims/{row}.py has no row; add one, or rename it _{module.name}")


def _module(slug: str | int) -> str:
    return str(slug).replace("-", "_")
