"""Write the pages of docs/api/ from the docstrings of all public names: ``python docs/write_api.py``."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

PAGES = Path(__file__).resolve().parent / "api"
MODULES = ("ltocf", "ltocf.data", "ltocf.models", "ltocf.evaluation", "ltocf.serving")
SECTIONS = ("Args", "Returns", "Yields", "Raises", "Example")
TITLES = {"Args": "Arguments", "Example": ""}
WIDTH = 80


def homes() -> dict[int, tuple[str, str]]:
    """Page and name of each public object, by its identity; `ltocf` comes last, as it only re-exports."""
    found: dict[int, tuple[str, str]] = {}
    for module_name in [*MODULES[1:], MODULES[0]]:
        module = import_module(module_name)
        for name in module.__all__:
            found.setdefault(id(getattr(module, name)), (module_name, name))
    return found


def page(module_name: str) -> str:
    """The page of one module, in Markdown."""
    module, where = import_module(module_name), homes()
    parts = [f"# `{module_name}`", (module.__doc__ or "").strip().splitlines()[0]]
    for name in module.__all__:
        home, own = where[id(getattr(module, name))]
        parts.append(f"## {name}")
        if home != module_name or own != name:
            parts.append(f"See [`{home}.{own}`]({_file(home)}#{own.lower()}).")
        else:
            parts += _entry(module, name, where)
    return "\n\n".join(part for part in parts if part) + "\n"


def _file(module_name: str) -> str:
    return f"{module_name.removeprefix('ltocf.')}.md"


def _entry(module: ModuleType, name: str, where: dict[int, tuple[str, str]]) -> Iterator[str]:
    value = getattr(module, name)
    if inspect.isclass(value):
        yield from _class(name, value, where)
    elif inspect.isroutine(value):
        yield _signature(name, value)
        yield _text(inspect.getdoc(value))
    else:
        yield _text(_constant_docstring(module, name))


def _class(name: str, value: type, where: dict[int, tuple[str, str]]) -> Iterator[str]:
    public = [where[id(base)] for base in value.__bases__ if id(base) in where]
    if public:
        links = ", ".join(f"[`{base}`]({_file(home)}#{base.lower()})" for home, base in public)
        yield f"Has the members of {links}, and:"
    if not issubclass(value, BaseException):
        yield _signature(name, value)
    yield _text(value.__doc__ and inspect.cleandoc(value.__doc__))
    for method, found in _members(value, where).items():
        if isinstance(found, property):
            yield f"### {name}.{method}"
            yield _text(inspect.getdoc(found))
        else:
            yield f"### {name}.{method}()"
            yield _signature(method, inspect.unwrap(getattr(value, method)))
            yield _text(inspect.getdoc(found))


def _members(value: type, where: dict[int, tuple[str, str]]) -> dict[str, Any]:
    """Documented public methods and properties: own ones, and those of bases that have no entry of their own."""
    found: dict[str, Any] = {}
    for base in value.__mro__:
        if base is not value and (id(base) in where or not base.__module__.startswith("ltocf")):
            continue
        for name, member in vars(base).items():
            is_member = isinstance(member, (property, classmethod, staticmethod)) or inspect.isfunction(member)
            # The default of a field may be a function, which is no method.
            is_member = is_member and name not in getattr(base, "__dataclass_fields__", {})
            if is_member and not name.startswith("_") and getattr(member, "__doc__", None):
                found.setdefault(name, member)
    return found


def _signature(name: str, value: Any) -> str:
    """The call with types and defaults, one argument a line if it is long."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    arguments, star = [], False
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            arguments, star = [*arguments, "*"], True
        star = star or parameter.kind is parameter.VAR_POSITIONAL
        default = "" if parameter.default is parameter.empty else f" = {_default(parameter.default)}"
        prefix = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        arguments.append(f"{prefix}{parameter.name}{_annotation(parameter.annotation, ': ')}{default}")
    result = "" if inspect.isclass(value) else _annotation(signature.return_annotation, " -> ")
    line = f"{name}({', '.join(arguments)}){result}"
    if len(line) > WIDTH:
        line = "\n".join([f"{name}(", *(f"    {argument}," for argument in arguments), f"){result}"])
    return f"```text\n{line}\n```"


def _annotation(annotation: Any, before: str) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    return before + (annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "Any"))


def _default(value: Any) -> str:
    return getattr(value, "__name__", "...") if re.search(r" at 0x|<", repr(value)) else repr(value)


def _text(docstring: str | None) -> str:
    """A docstring as Markdown: sections become headings in bold, arguments lists, examples blocks."""
    parts: list[str] = []
    title, body = "", []
    for line in [*(docstring or "").replace("``", "`").splitlines(), "End:"]:
        begins = line == "End:" or (line.endswith(":") and line[:-1] in SECTIONS)
        if begins or (title and line and not line.startswith(" ")):
            parts.append(_section(title, textwrap.dedent("\n".join(body)).strip("\n")))
            title, body = (line[:-1], []) if begins else ("", [line])
        else:
            body.append(line)
    return "\n\n".join(part for part in parts if part)


def _section(title: str, body: str) -> str:
    if not body or title == "Example":
        return f"```pycon\n{body}\n```" if body else ""
    heading = f"**{TITLES.get(title, title)}**\n\n" if title else ""
    # Addresses in code and in brackets follow one of these characters, and stay as they are.
    body = re.sub(r"(?<![`<(\w])https?://[^\s,;`()]*[^\s,;:.`()]", r"<\g<0>>", body)
    if title in ("Args", "Raises"):
        body = re.sub(r"^(\*{0,2}\w[\w, .*]*?): ", r"- `\1`: ", body, flags=re.MULTILINE)
    return heading + re.sub(r"(?:^ {4,}.*\n?)+", _formula, body, flags=re.MULTILINE) if not title else heading + body


def _formula(match: re.Match[str]) -> str:
    return f"```text\n{textwrap.dedent(match[0]).strip(chr(10))}\n```\n"


def _constant_docstring(module: ModuleType, name: str) -> str:
    """The docstring of a constant, which is below its assignment, in whichever file of the package has that."""
    for path in sorted(Path(str(module.__file__)).parent.rglob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for statement, following in pairwise(body):
            targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            assigns = any(isinstance(target, ast.Name) and target.id == name for target in targets)
            if assigns and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                return inspect.cleandoc(str(following.value.value))
    return ""


if __name__ == "__main__":
    PAGES.mkdir(exist_ok=True)
    for module_name in MODULES:
        (PAGES / _file(module_name)).write_text(page(module_name), encoding="utf-8")
