"""Reads `config.yaml`: nested YAML, flattened by dots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.common import option_type
from millpond.configuration.entry import (
    Entry,
    FoundEntries,
    Notice,
    Origin,
    OriginKind,
    Severity,
)
from millpond.configuration.line_format import trimmed
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    import yaml

__all__ = ("parse_yaml",)

_MAX_ENTRIES = 10_000
_MAX_DEPTH = 50
_CORE_TAGS = tuple(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "bool", "int", "float", "null", "timestamp", "value", "merge")
)
_STRING_LIST = option_type.list_of(option_type.STRING)


def parse_yaml(text: str, path: str) -> FoundEntries:
    """Read the text of a file.

    Values are taken as they are written: the option's type, not YAML's guess, decides what
    ``yes`` or ``1:30`` mean.

    Raises:
        ConfigurationError: no YAML, no mapping, a key twice, or a construct that options cannot
            have; names file and line.
    """
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        problem = error.problem or error.context or "it cannot be read"
        raise _broken(path, line, problem) from None
    except yaml.reader.ReaderError as error:
        raise _broken(path, None, f"character #x{error.character:x} is not allowed") from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        # PyYAML lets these escape for impossible code points and very deep nesting.
        raise _broken(path, None, type(error).__name__) from None
    flattener = _Flattener(path)
    if root is not None:
        flattener.start(root)
    return FoundEntries(tuple(flattener.entries.values()), tuple(flattener.notices))


def _broken(path: str, line: int | None, problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"The configuration file is no valid YAML: {problem}.",
        origin=str(Origin(OriginKind.FILE, path, line)),
    )


@final
class _Flattener:
    """Collects the entries of one document."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.entries: dict[str, Entry] = {}
        self.notices: list[Notice] = []

    def start(self, root: Any) -> None:
        if _is_null(root):
            return
        if root.id != "mapping":
            raise self._refused(root, "a configuration file is a mapping of keys to values")
        self._walk("", root, 0)

    def _origin(self, node: yaml.Node) -> Origin:
        return Origin(OriginKind.FILE, self._path, node.start_mark.line + 1)

    def _refused(self, node: yaml.Node, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"The configuration file cannot be read: {reason}.", origin=str(self._origin(node))
        )

    def _walk(self, key: str, node: Any, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise self._refused(node, f"it is nested more than {_MAX_DEPTH} levels deep")
        if node.id == "mapping":
            for key_node, value_node in node.value:
                part = self._key(key_node)
                # The line of the key, so that an alias does not point at its anchor.
                self._entry_or_walk(f"{key}.{part}" if key else part, key_node, value_node, depth)

    def _entry_or_walk(self, key: str, key_node: Any, node: Any, depth: int) -> None:
        if node.id == "mapping":
            self._walk(key, node, depth + 1)
        elif _is_null(node):
            self.notices.append(
                Notice(Severity.PROBLEM, f"'{key}' has no value.", self._origin(key_node))
            )
        elif node.id == "sequence":
            self._add(
                key, _STRING_LIST.write([self._item(key, item) for item in node.value]), key_node
            )
        else:
            self._add(key, trimmed(self._scalar(node)), key_node)

    def _key(self, node: Any) -> str:
        if node.id != "scalar" or not trimmed(node.value):
            raise self._refused(node, "a key must be a text")
        if node.tag == "tag:yaml.org,2002:merge":
            raise self._refused(node, "merge keys (<<) are no part of YAML 1.2")
        return trimmed(self._scalar(node))

    def _item(self, key: str, node: Any) -> str:
        if node.id != "scalar":
            raise self._refused(node, f"the list '{key}' may only hold plain values")
        return self._scalar(node)

    def _scalar(self, node: Any) -> str:
        if node.tag not in _CORE_TAGS:
            raise self._refused(node, f"the tag '{node.tag}' is not allowed")
        return str(node.value)

    def _add(self, key: str, value: str, node: yaml.Node) -> None:
        earlier = self.entries.get(key)
        if earlier is not None:
            raise self._refused(
                node, f"the key '{key}' stands in line {earlier.origin.line} already"
            )
        if len(self.entries) >= _MAX_ENTRIES:
            raise self._refused(node, f"it has more than {_MAX_ENTRIES} entries")
        if value:
            self.entries[key] = Entry(key, value, self._origin(node))
        else:
            self.notices.append(
                Notice(Severity.PROBLEM, f"'{key}' has no value.", self._origin(node))
            )


def _is_null(node: yaml.Node) -> bool:
    return str(node.tag) == "tag:yaml.org,2002:null"
