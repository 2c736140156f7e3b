"""A plan while it is made: steps whose options are set one by one, and what was wrong so far."""

from collections.abc import Iterable, Mapping

from gateway.compat.convertapi.parameters.terms import FIRST, To


class DraftStep:
    """One conversion of ours, still without some of its options."""

    def __init__(self, target: str, operation: str | None, options: Mapping[str, str]) -> None:
        self.target = target
        self.operation = operation
        self.options = dict(options)
        # Which parameter set an option: a refusal of the option is one of the parameter.
        self.blamed: dict[str, str] = {}


class Draft:
    """What the tables and rules write to. `values` are read already, by ConvertAPI's names."""

    def __init__(self, steps: Iterable[To], values: Mapping[str, str], source: str) -> None:
        self.source = source
        self.steps = [DraftStep(one.target, one.operation, one.options) for one in steps]
        self.values = values
        self.refused: dict[str, list[str]] = {}

    def said(self, name: str, *default: str) -> str | None:
        """The parameter's value, or the default where it was not sent."""
        return self.values.get(name, default[0] if default else None)

    def is_on(self, name: str) -> bool:
        """Whether a flag was sent as true."""
        return self.values.get(name) == "true"

    def put(self, option: str, text: str, name: str, *, step: int = FIRST) -> None:
        """Set an option for a parameter; two that contradict each other are refused."""
        chosen = self.steps[step]
        blamed = chosen.blamed.get(option)
        if blamed is not None and chosen.options[option] != text:
            self.refuse(name, f"contradicts {blamed}")
            return
        chosen.options[option] = text
        chosen.blamed[option] = name

    def move(self, option: str, step: int) -> None:
        """Give an option of the first step to another one."""
        if option in self.steps[FIRST].options:
            self.steps[step].options[option] = self.steps[FIRST].options.pop(option)
            if option in self.steps[FIRST].blamed:
                self.steps[step].blamed[option] = self.steps[FIRST].blamed.pop(option)

    def append(self, target: str, operation: str | None = None, **options: str) -> DraftStep:
        """One more conversion, of what the last one made."""
        self.steps.append(DraftStep(target, operation, options))
        return self.steps[-1]

    def prepend(self, target: str, operation: str | None = None, **options: str) -> DraftStep:
        """One more conversion, before the first one; it is what opens the document."""
        self.steps.insert(FIRST, DraftStep(target, operation, options))
        opening = self.steps[1]
        if "password" in opening.options:
            self.steps[FIRST].options["password"] = opening.options.pop("password")
            self.steps[FIRST].blamed["password"] = opening.blamed.pop("password", "Password")
        return self.steps[FIRST]

    def instead(self, *steps: To) -> None:
        """Other conversions in place of the ones so far; options of the first stay with it."""
        former = self.steps[FIRST]
        self.steps = [DraftStep(one.target, one.operation, one.options) for one in steps]
        self.steps[FIRST].options.update(former.options)
        self.steps[FIRST].blamed.update(former.blamed)

    def refuse(self, name: str, reason: str) -> None:
        """Note what is wrong with a parameter; all of it is told at once."""
        self.refused.setdefault(name, []).append(reason)
