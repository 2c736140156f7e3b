"""Rules about security that no linter at hand has, each tried on a planted violation.

`tests/judged.py` asks bandit; these ask what bandit cannot see, by the syntax tree: SQL made where
it is executed, comparisons that take as long as they match, libraries' unsafe defaults, requests
in logs.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.judged import judged, statement

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("engine", "gateway", "ledger", "sandbox")
Found = Iterator[int]
Rule = Callable[[ast.Module], Found]

# What runs a statement, in asyncpg, in sqlite3 and in `ledger/database.py`.
_EXECUTES = frozenset(
    {"execute", "executemany", "executescript", "fetch", "fetchrow", "fetchval", "cursor"}
    | {"rows", "row", "value", "prepare"}
)
_SECRET = re.compile(r"(^|_)(secret|token|digest|hash|signature|password|mac|pepper|kek)$")
# Of a request: whatever a client wrote.
_WRITTEN = frozenset({"headers", "query", "query_string", "path", "path_qs", "url", "rel_url"})
_LOGGERS = frozenset({"log", "_log", "logger", "logging"})
_REQUESTS = frozenset({"request", "asked", "req"})


def name_of(node: ast.AST) -> str:
    """A dotted name; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = name_of(node.value)
        return f"{head}.{node.attr}" if head else node.attr
    return ""


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield name_of(node.func), node


def option(call: ast.Call, name: str) -> ast.expr | None:
    return next((one.value for one in call.keywords if one.arg == name), None)


def is_constant(node: ast.AST | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def sql_from_strings(tree: ast.Module) -> Found:
    """A statement that is put together, of more than constants, where it is executed."""
    for name, call in calls(tree):
        if name.rpartition(".")[2] in _EXECUTES and call.args and _glued(call.args[0]):
            yield call.lineno


def _glued(made: ast.expr) -> bool:
    """Whether a text is made of parts that are not constants of a module."""
    of_text = any(
        isinstance(one, ast.Constant) and isinstance(one.value, str) for one in ast.walk(made)
    )
    glue = (
        isinstance(made, ast.JoinedStr)
        or (isinstance(made, ast.BinOp) and isinstance(made.op, ast.Add | ast.Mod))
        or (isinstance(made, ast.Call) and name_of(made.func).endswith("format"))
    )
    chosen = {
        id(one)
        for node in ast.walk(made)
        if isinstance(node, ast.IfExp)
        for one in ast.walk(node.test)
    }
    parts = [one for one in ast.walk(made) if isinstance(one, ast.Name) and id(one) not in chosen]
    return glue and of_text and any(not re.fullmatch(r"_?[A-Z][A-Z0-9_]*", one.id) for one in parts)


def shells(tree: ast.Module) -> Found:
    """A command that a shell takes apart."""
    for name, call in calls(tree):
        shell = option(call, "shell")
        if name in {"os.system", "os.popen", "asyncio.create_subprocess_shell"} or (
            shell is not None and not is_constant(shell, False)
        ):
            yield call.lineno


def unsafe_yaml(tree: ast.Module) -> Found:
    """YAML that can make any object."""
    for name, call in calls(tree):
        if name in {"yaml.load", "yaml.load_all"}:
            loader = option(call, "Loader") or (call.args[1] if len(call.args) > 1 else None)
            told = "" if loader is None else ast.unparse(loader)
            # `_Loader` is a safe one's subclass, with less in it.
            if "Safe" not in told and told != "_Loader":
                yield call.lineno
        elif name in {"yaml.unsafe_load", "yaml.full_load"}:
            yield call.lineno


def unverified_tls(tree: ast.Module) -> Found:
    """A connection whose other end is not checked."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for name in ("verify", "ssl", "verify_ssl", "check_hostname", "validate_certs"):
                if is_constant(option(node, name), False):
                    yield node.lineno
            if name_of(node.func).endswith("_create_unverified_context"):
                yield node.lineno
        elif isinstance(node, ast.Assign) and is_constant(node.value, False):
            if any(name_of(one).endswith(".check_hostname") for one in node.targets):
                yield node.lineno
        elif isinstance(node, ast.Attribute) and node.attr == "CERT_NONE":
            yield node.lineno


def broken_hashes(tree: ast.Module) -> Found:
    """MD5 or SHA-1 that does not say that nothing depends on it."""
    for name, call in calls(tree):
        weak = name in {"hashlib.md5", "hashlib.sha1"} or (
            name == "hashlib.new"
            and call.args
            and isinstance(call.args[0], ast.Constant)
            and str(call.args[0].value).lower() in {"md5", "sha1"}
        )
        if weak and not is_constant(option(call, "usedforsecurity"), False):
            yield call.lineno


def timed_comparisons(tree: ast.Module) -> Found:
    """Two secrets that are compared until they differ; hmac.compare_digest does not tell when."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            sides = (node.left, node.comparators[0])
            named = [_SECRET.search(name_of(side).rpartition(".")[2]) for side in sides]
            plain = any(isinstance(side, ast.Constant) for side in sides)
            if isinstance(node.ops[0], ast.Eq | ast.NotEq) and any(named) and not plain:
                yield node.lineno


def patient_clients(tree: ast.Module) -> Found:
    """A client that waits for ever."""
    wanted = {"ClientSession", "urlopen", "HTTPConnection", "HTTPSConnection"}
    for name, call in calls(tree):
        waits = name.rpartition(".")[2] in wanted or name == "socket.create_connection"
        if waits and option(call, "timeout") is None:
            yield call.lineno


def logged_requests(tree: ast.Module) -> Found:
    """A log line that is given a request, or what a client wrote in it."""
    for name, call in calls(tree):
        head, _, method = name.rpartition(".")
        if head.rpartition(".")[2] not in _LOGGERS or method == "getLogger":
            continue
        for value in (*call.args, *(one.value for one in call.keywords)):
            for node in ast.walk(value):
                whole = isinstance(node, ast.Name) and node.id in _REQUESTS and node is value
                part = isinstance(node, ast.Attribute) and node.attr in _WRITTEN
                if whole or (part and name_of(node).partition(".")[0] in _REQUESTS):
                    yield call.lineno


def made_of_text(tree: ast.Module) -> Found:
    """Code that is made of text, archives that choose where they unpack, templates that trust."""
    for name, call in calls(tree):
        last = name.rpartition(".")[2]
        trusts = last == "Environment" and "jinja2" in name and option(call, "autoescape") is None
        if name in {"eval", "exec"} or last == "extractall" or trusts:
            yield call.lineno


RULES: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        *(sql_from_strings, shells, unsafe_yaml, unverified_tls, broken_hashes),
        *(timed_comparisons, patient_clients, logged_requests, made_of_text),
    )
}
# Modules that were looked at, with the reason.
FINE: Mapping[tuple[str, str], str] = {
    (
        "timed_comparisons",
        "engine/converters/archive/zip_cipher.py",
    ): "a customer's own password against its own spelling, in a sandbox",
    (
        "sql_from_strings",
        "engine/converters/data/database.py",
    ): "names of a customer's own database, quoted, in memory, in a sandbox",
    ("sql_from_strings", "ledger/embedded.py"): "the two roles of ours; DDL takes no parameters",
}

PLANTED = [
    ("sql_from_strings", 'await c.execute(f"select {name}")', 'await c.execute("select $1", name)'),
    ("sql_from_strings", 'c.fetch("select " + name)', "c.fetch(_LIST, name)"),
    ("sql_from_strings", 'c.rows("select %s" % name)', 'c.rows(f"select 1")'),
    ("shells", "subprocess.run(line, shell=True)", "subprocess.run([line], shell=False)"),
    ("shells", 'os.system("ls")', 'os.stat("ls")'),
    ("unsafe_yaml", "yaml.load(text)", "yaml.load(text, Loader=yaml.CSafeLoader)"),
    ("unsafe_yaml", "yaml.load(text, yaml.Loader)", "yaml.safe_load(text)"),
    ("unverified_tls", "session.get(url, ssl=False)", "session.get(url, ssl=context)"),
    ("unverified_tls", "context.check_hostname = False", "context.check_hostname = True"),
    ("unverified_tls", "context.verify_mode = ssl.CERT_NONE", "context.verify_mode = mode"),
    ("broken_hashes", "hashlib.md5(text)", "hashlib.md5(text, usedforsecurity=False)"),
    ("broken_hashes", 'hashlib.new("sha1", text)', 'hashlib.new("sha256", text)'),
    ("timed_comparisons", "if shown == row.token: pass", "hmac.compare_digest(shown, row.token)"),
    ("timed_comparisons", "same = digest != other", 'same = token == "Z"'),
    ("patient_clients", "aiohttp.ClientSession()", "aiohttp.ClientSession(timeout=timeout)"),
    ("patient_clients", "urllib.request.urlopen(url)", "urlopen(url, timeout=3)"),
    ("logged_requests", 'log.info("x", request=request)', 'log.info("x", route=endpoint.path)'),
    ("logged_requests", 'log.info("x", at=request.path)', 'log.info("x", code=request[CODE])'),
    ("made_of_text", "eval(text)", "ast.literal_eval(text)"),
    ("made_of_text", "archive.extractall(folder)", "archive.read(name)"),
    ("made_of_text", "jinja2.Environment()", "jinja2.Environment(autoescape=True)"),
]


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in paths}


@pytest.mark.parametrize("rule", RULES)
def test_the_code_keeps_the_rule(trees: dict[str, ast.Module], rule: str) -> None:
    found = [
        f"{path}:{line}"
        for path, tree in trees.items()
        for line in RULES[rule](tree)
        if (rule, path) not in FINE and not _excused(path, tree, line)
    ]
    assert found == [], RULES[rule].__doc__


def _excused(path: str, tree: ast.Module, line: int) -> bool:
    """The statement says why it is fine: `noqa: S<number>` and a reason."""
    lines = (ROOT / path).read_text().splitlines()
    first, last = statement(tree, line)
    return any(re.search(r"#\s*noqa:.*\bS\d{3}\b\W+\w", one) for one in lines[first - 1 : last])


@pytest.mark.parametrize(("rule", "bad", "good"), PLANTED, ids=[one[1] for one in PLANTED])
def test_a_planted_violation_is_found_and_its_remedy_is_not(rule: str, bad: str, good: str) -> None:
    wrap = "async def f():\n    "
    assert list(RULES[rule](ast.parse(wrap + bad))) == [2]
    assert list(RULES[rule](ast.parse(wrap + good))) == []


def test_a_finding_of_bandit_counts_as_judged_where_its_statement_says_why() -> None:
    bare = 'X = f"""\nselect {a}\n"""'
    reasoned = f"{bare}  # noqa: S608 (columns)"
    silent = f"{bare}  # noqa: S608"
    finding = {"test_id": "B608", "line_number": 2}
    assert not judged(finding, bare, ast.parse(bare))
    assert not judged(finding, silent, ast.parse(silent))
    assert judged(finding, reasoned, ast.parse(reasoned))
    assert not judged(finding | {"test_id": "B105"}, reasoned, ast.parse(reasoned))
