"""A spec's text: YAML read strictly and as it is written, and written so that it means the same.

YAML 1.1, which PyYAML reads, takes 010 for 8, 12:30 for 750 and 1e-4 for a word. Here numbers are
those of YAML 1.2: 010 is 10 (octal is 0o10), 12:30 is a word, and 1e-4 is a number.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_INT_FORM = re.compile(r"[-+]?([0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+|0b[01]+)$")
_FLOAT_FORM = re.compile(
    r"""([-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?
        |[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+
        |[-+]?\.(inf|Inf|INF)
        |\.(nan|NaN|NAN))$""",
    re.VERBOSE,
)
_SHOWN_CHARACTERS = 60


class SpecError(ValueError):
    """A spec that can't be read or can't be meant, with the dotted path and the way out."""


class _StrictLoader(yaml.SafeLoader):
    """YAML with 1.2's numbers, that refuses a key given twice (PyYAML would keep the last)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of `node`, if its keys differ."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value} is given twice", key.start_mark
                )
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_whole_number(self, node: yaml.ScalarNode) -> int:
        """The number that `node` is; 0 in front of digits means nothing."""
        digits = self.construct_scalar(node).replace("_", "")
        return int(digits, 0 if digits.lstrip("+-")[1:2] in ("o", "x", "b") else 10)


class _Dumper(yaml.SafeDumper):
    """YAML that quotes all text that 1.1 or 1.2 would take for something else."""


_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag not in (_INT, _FLOAT)]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _kind in (_StrictLoader, _Dumper):
    _kind.add_implicit_resolver(_INT, _INT_FORM, list("-+0123456789"))
    _kind.add_implicit_resolver(_FLOAT, _FLOAT_FORM, list("-+.0123456789"))
_StrictLoader.add_constructor(_INT, _StrictLoader.construct_whole_number)


def read_text(source: str, text: str) -> dict[str, Any]:
    """The spec in `text` as plain data; `source` is what an error calls it.

    Raises:
        SpecError: it is not YAML, or no mapping.
    """
    try:
        values = yaml.load(text, Loader=_StrictLoader)
    except RecursionError:
        raise SpecError(f"{source}: not YAML: nested too deeply; write it flatter") from None
    except (ValueError, TypeError) as error:  # dates, digits and keys that Python refuses
        raise SpecError(f"{source}: not YAML: {error}; write it anew, or in quotes") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise SpecError(
            f"{source}:{place}: not YAML: {problem}; mend it there or just before"
        ) from None
    if not isinstance(values, dict):
        raise SpecError(
            f"{source}: a spec is a mapping with data, training, search, …; got "
            f"{'an empty file' if values is None else type(values).__name__}"
        )
    return values


def assign(values: dict[str, Any], override: str) -> None:
    """Put the value of `path=value` at its path into `values`.

    Raises:
        SpecError: it is not written so, or the path goes through something that is no mapping.
    """
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise SpecError(f"--set {override}: write it as path=value, such as budget.trials=4")
    try:
        value = yaml.load(text, Loader=_StrictLoader)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        shown = text if len(text) < 80 else f"{text[:_SHOWN_CHARACTERS]}…"
        raise SpecError(
            f"--set {path}: {shown!r} is not YAML; close its brackets and quotes"
        ) from None
    keys = path.split(".")
    if keys[0] == "search" and len(keys) > 2:
        keys = ["search", ".".join(keys[1:])]  # search paths are dotted themselves
    at = values
    for depth, key in enumerate(keys[:-1]):
        at = at.setdefault(key, {})
        if not isinstance(at, dict):
            raise SpecError(
                f"--set {override}: {'.'.join(keys[: depth + 1])} is not a mapping, so nothing "
                "can be set in it; set it itself"
            )
    at[keys[-1]] = value


def to_text(values: dict[str, Any]) -> str:
    """Plain data as YAML that reads the same by 1.1 and by 1.2."""
    return yaml.dump(
        values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None
    )


def shown(value: Any) -> str:
    """A value as an error shows it, on one line and not too long."""
    match value:
        case None:
            text = "null"
        case bool():
            text = str(value).lower()
        case float() if value.is_integer() and abs(value) < 1e15:
            text = str(int(value))
        case list() | tuple():
            text = f"[{', '.join(map(shown, value))}]"
        case dict():
            text = f"{{{', '.join(f'{key}: {shown(entry)}' for key, entry in value.items())}}}"
        case _:
            text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
