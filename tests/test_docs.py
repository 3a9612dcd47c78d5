"""The documentation says what works: every command and every snippet in it is run, page by page."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT_CODE = re.compile(r"\s+# exit code (\d+)$")
PROGRAMS = {"verify": ["-m", "verify"], "pytest": ["-m", "pytest", "-p", "no:cacheprovider"]}


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, text) of the fenced blocks of a page."""
    return BLOCK.findall(page.read_text())


def edit(file: str, old: str, new: str) -> None:
    """What a reader does by hand: replaces the one place where a text stands."""
    path = Path(file)
    text = path.read_text()
    assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times"
    path.write_text(text.replace(old, new))


def command(line: str) -> None:
    """A line `$ verify ...`, with the exit code that stands behind it or 0."""
    text = line.removeprefix("$ ")
    expected = EXIT_CODE.search(text)
    text, _, target = EXIT_CODE.sub("", text).partition(" > ")
    program, *arguments = shlex.split(text)
    run = subprocess.run(
        [sys.executable, *PROGRAMS[program], *arguments], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == int(expected[1] if expected else 0), f"{line}\n{run.stdout}\n{run.stderr}"
    if target:
        Path(target).write_text(run.stdout)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    names = {"__name__": "docs", "edit": edit}
    for language, text in blocks(page):
        if language == "python":
            exec(compile(text, f"{page.name}", "exec"), names)
        elif language == "console":
            for line in text.splitlines():
                command(line)


def test_every_block_is_run_or_is_a_file():
    languages = {language for page in PAGES for language, _ in blocks(page)}
    assert languages == {"python", "console", "yaml"}


def test_every_page_is_reached_and_every_link_leads_somewhere():
    config = (ROOT / "mkdocs.yml").read_text()
    assert {page.name for page in PAGES} == set(re.findall(r"- ([a-z-]+\.md)$", config, re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / target).is_file(), f"{page.name}: {target}"


def test_every_command_is_documented():
    from verify.cli import app

    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    page = (ROOT / "docs" / "commands.md").read_text()
    assert known == set(re.findall(r"^\$ verify (\w+) --help$", page, re.MULTILINE))


@pytest.mark.skipif(not (ROOT / ".venv" / ".ready").exists(), reason="make has not set up this checkout")
def test_the_site_is_built_and_loads_nothing_from_elsewhere():
    subprocess.run(["make", "docs"], cwd=ROOT, check=True, capture_output=True, timeout=120)
    pages = [page for page in (ROOT / "site").glob("*.html") if page.name != "404.html"]
    assert {page.stem for page in pages} == {page.stem for page in PAGES}
    for page in pages:
        loaded = re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"(https?:[^\"]*)", page.read_text())
        assert loaded == [], page.name
