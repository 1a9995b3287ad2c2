"""Text of a Helm template: an object in YAML with template code in the places of some of its fields.

Code cannot be written into an object directly, since it is no YAML. So a token stands for it, and is replaced
once the object has been written.
"""

import re
from typing import Any, Final

import yaml

INDENT: Final = "@INDENT"
"""Stands in code for the column of what is under the field, as `nindent` needs it."""
_TOKEN = re.compile(r"ZZ(\d+)ZZ")
_ALONE = re.compile(r"^(?P<indent> *)(?:ZZ(?P<key>\d+)ZZ: null|- ZZ(?P<item>\d+)ZZ)$")
_FIELD = re.compile(r"^( *(?:- )*)[^ ]")


class _Quoted(str):
    """Text that is written in quotes: it may begin with a brace once the template has been rendered."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Quoted, lambda dumper, text: dumper.represent_scalar(_STRING, str(text), style="'"))
_STRING = "tag:yaml.org,2002:str"


class Template:
    """A template in the making: the code that its tokens stand for."""

    def __init__(self) -> None:
        self._code: list[str] = []

    def code(self, text: str) -> str:
        """A token for code: as a value, within a string, as an item, or as a key of whole lines.

        As a key its value is None.
        """
        if text not in self._code:
            self._code.append(text)
        return f"ZZ{self._code.index(text)}ZZ"

    def expression(self, text: str) -> str:
        """A token for an expression that is printed."""
        return self.code(f"{{{{ {text} }}}}")

    def escaped(self, value: Any) -> Any:
        """The value with the braces of its strings as text, which Helm would take for code."""
        if isinstance(value, dict):
            return {key: self.escaped(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.escaped(each) for each in value]
        if isinstance(value, str) and "{{" in value:
            return _Quoted(re.sub(r"\{\{|\}\}", lambda found: self.expression(f'"{found[0]}"'), value))
        return value

    def merged(self, one: Any, other: Any, condition: str) -> Any:
        """What is `other` where a condition holds, and else `one`: they differ in few fields."""
        if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            return [self.merged(*pair, condition) for pair in zip(one, other, strict=True)]
        if not (isinstance(one, dict) and isinstance(other, dict)):
            assert one == other, (one, other)
            return one
        found: dict[str, Any] = {}
        for key in [*one, *(each for each in other if each not in one)]:
            if key in one and key in other and _alike(one[key], other[key]):
                found[key] = self.merged(one[key], other[key], condition)
            else:
                found[self.code(_either(key, one, other, condition))] = None
        return found

    def text(self, value: Any) -> str:
        """The value in YAML, with the code in the places of the tokens."""
        lines, done = _dumped(value).splitlines(), list[str]()
        while lines:
            line = lines.pop(0)
            alone = _ALONE.match(line)
            code = self._code[int(alone["key"] or alone["item"])] if alone else ""
            if alone and (alone["key"] or code.startswith("{{-")):
                lines[:0] = [alone["indent"] + each for each in code.splitlines()]
            elif found := _TOKEN.search(line):
                lines.insert(0, line.replace(found[0], self._code[int(found[1])], 1))
            else:
                done.append(line.replace(INDENT, str(_column(line) + 2)))
        return "\n".join([*done, ""])


def _alike(one: Any, other: Any) -> bool:
    """Whether two values are the same or may be merged."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return all(map(_alike, one, other))
    return one == other or (isinstance(one, dict) and isinstance(other, dict))


def _either(key: str, one: dict[str, Any], other: dict[str, Any], condition: str) -> str:
    """Code for a key that is in one of two objects, or differs."""
    parts = [f"{{{{- if {condition} }}}}"] if key in other else [f"{{{{- if not {condition} }}}}"]
    parts += [_dumped({key: found[key]}).rstrip() for found in (other, one) if key in found]
    if len(parts) == 3:
        parts.insert(2, "{{- else }}")
    return "\n".join([*parts, "{{- end }}"])


def _dumped(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=10**6)


def _column(line: str) -> int:
    field = _FIELD.match(line)
    return len(field[1]) if field else 0
