"""As a new user: the built wheel in a fresh environment, an empty folder, a claim; break it, read, mend it."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RATE = 'return 1 - certify.smallest_eigenvalue(hessian) / certify.norm(hessian, "spectral")'
HOSTILE = {
    "raises": "raise RuntimeError('on import')",
    "imports": "import antigravity_that_is_not_there",
    "exits": "import sys\nsys.exit(3)",
    "prints": "print('{\"schema\": 2}')\nfrom verify import Claim, equal, exact\n",
    "dies": "import os\nos.kill(os.getpid(), 9)",
}
PRINTS = """
claim = Claim("my-paper/prints")
claim.check("one")(lambda: equal(exact(1), exact(1)))
"""


def run(*words: str, cwd: Path, **options) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, **options
    )


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory) -> Path:
    """A virtual environment with the wheel; what it depends on is borrowed from this one, verify itself is not."""
    folder = tmp_path_factory.mktemp("fresh")
    built = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", "venv", cwd=folder, check=True)
    python = folder / "venv" / "bin" / "python"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--no-deps",
        "--no-index",
        "--quiet",
    ]
    installed = run(*pip, str(wheel), cwd=folder)
    assert installed.returncode == 0, installed.stderr
    script = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(run(str(python), "-c", script, cwd=folder, check=True).stdout.strip())
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = run(str(python), "-c", "import verify; print(verify.__file__)", cwd=folder, check=True).stdout
    assert Path(where.strip()).is_relative_to(site)
    return python.parent


@pytest.fixture
def verify(bin_folder, tmp_path):
    return lambda *words: run(str(bin_folder / "verify"), *words, cwd=tmp_path)


@pytest.fixture
def tests(bin_folder, tmp_path):
    return lambda *words: run(str(bin_folder / "python"), "-m", "pytest", "-q", *words, cwd=tmp_path)


def test_first_hour(verify, tests, tmp_path):
    assert verify("run").returncode == 2
    assert verify("new", "my-paper/contraction").returncode == 0
    done = tests()
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    module = tmp_path / "claims" / "my_paper" / "contraction.py"
    module.write_text(module.read_text().replace(RATE, RATE.replace("1 - ", "1 - 1.05 * ")))
    done = tests()
    assert done.returncode == 1
    for words in ("check[contraction]", "measured", "bound", "verify run my-paper/contraction"):
        assert words in done.stdout
    module.write_text(module.read_text().replace("1.05 * ", ""))
    assert tests().returncode == 0
    for command in (["figures"], ["report"], ["show", "my-paper/contraction"], ["list"]):
        assert verify(*command).returncode == 0, command
    assert "svg" in (tmp_path / "report" / "my-paper" / "contraction.html").read_text()


def test_bad_input_at_each_step_is_one_paragraph(verify, tmp_path):
    verify("new", "my-paper/contraction")
    paper_map, module = tmp_path / "paper_map.yaml", tmp_path / "claims" / "my_paper" / "contraction.py"
    text, code = paper_map.read_text(), module.read_text()
    steps = [
        (["new", "My Paper"], "PAPER/CLAIM"),
        (["run", "my-paper/contractoin"], "contraction"),
        (["show", "nothing"], "verify list"),
        (["attack", "my-paper/contraction", "--of", "hessian"], "starts"),
        (["run", "--size", "huge"], "full"),
        (["figures", "none-such"], "none-such"),
    ]
    for words, mend in steps:
        done = verify(*words)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False), words
        assert mend in done.stderr, done.stderr
    for broken, mend in (
        (text.replace("kind: theorem", "kind: theroem"), "did you mean 'theorem'"),
        (text.replace("    title", "   title", 1), "paper_map.yaml:"),
        (text + "  my-paper: 3\n", "twice"),
    ):
        paper_map.write_text(broken)
        done = verify("run")
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
        assert mend in done.stderr, done.stderr
    paper_map.write_text(text)
    module.write_text(code.replace('must_fail="contraction"', 'must_fail="contractions"', 1))
    done = verify("run")
    assert done.returncode == 2
    assert "contraction" in done.stdout + done.stderr


def test_a_hostile_claim_harms_no_other(verify, tmp_path):
    verify("new", "my-paper/good")
    for slug, code in HOSTILE.items():
        verify("new", f"my-paper/{slug}")
        (tmp_path / "claims" / "my_paper" / f"{slug}.py").write_text(
            code + (PRINTS if slug == "prints" else "")
        )
    done = verify("run", "--json", "--jobs", "2")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith('{\n "schema": 1')
    assert "my-paper/good" in done.stderr
    assert "5 of 6" not in done.stderr
    assert done.stdout.count('"verdict": "error"') == 4
    assert done.stdout.count('"verdict": "verified"') == 1


def test_the_wheel_holds_the_engine_and_nothing_else(bin_folder):
    (wheel,) = bin_folder.parent.parent.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"verify", wheel.name.rsplit("-py3")[0] + ".dist-info"}
    for needed in ("py.typed", "templates/index.html.j2", "templates/claim.py.txt", "templates/_style.css"):
        assert f"verify/{needed}" in names
