"""`python -m bench [QUESTION] [options]`: without a question, all of them, one after the other."""

import importlib
import pkgutil
import sys
from pathlib import Path

# Not asked unless named: they run for minutes and answer with pass or fail.
ONLY_BY_NAME = {
    *("soak", "chaos", "hostile", "sniff_corpus", "office_corpus"),
    *("catalogue", "quality", "quality_pdf"),
    *("peers", "gate", "scaling"),
}


def questions() -> dict[str, str]:
    """Every module here that has a `main(argv)`: name → first line of its docstring."""
    found = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name.startswith("__"):
            continue
        loaded = importlib.import_module(f"bench.{module.name}")
        if hasattr(loaded, "main"):
            found[module.name] = (loaded.__doc__ or "").strip().splitlines()[0]
    return found


def main(argv: list[str]) -> int:
    """Answer the question named first, or all that are asked by default."""
    known = questions()
    if argv and argv[0] in {"-h", "--help", "list"}:
        for name, question in known.items():
            print(f"{name:14} {question}")
        return 0
    if argv and argv[0] not in known:
        print(f"no bench is called {argv[0]}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    names = argv[:1] or [name for name in known if name not in ONLY_BY_NAME]
    failed = 0
    for name in names:
        print(f"\n== {name}: {known[name]}", flush=True)
        failed |= int(importlib.import_module(f"bench.{name}").main(argv[1:]) or 0)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
