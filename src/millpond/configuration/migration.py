"""Rewrites a configuration file with the current names of all options."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from millpond.configuration.line_format import parse_lines, split_line
from millpond.configuration.options import state_backend
from millpond.configuration.registry import OptionRegistry, option_registry
from millpond.configuration.yaml_format import parse_yaml

if TYPE_CHECKING:
    from millpond.configuration.entry import Entry, FoundEntries
    from millpond.configuration.registered_option import RegisteredOption

__all__ = ("migrated",)

_LINE_ENDS = re.compile(r"\r\n|\r|\n")
# Text that YAML reads as itself without quotes; anything else is quoted.
_PLAIN = re.compile(r"[A-Za-z0-9/](?:[A-Za-z0-9/._$()+,;=@%~-]|:(?=[^ ])| (?=[^ ]))*")
_YAML_NULL = {"", "~", "null", "Null", "NULL"}

# What a value of `state.backend` became: the working store and, where the backend was its own
# checkpoint storage, that.
_BACKENDS = {
    "jobmanager": ("hashmap", "jobmanager"),
    "filesystem": ("hashmap", "filesystem"),
    "hashmap": ("hashmap", None),
    "rocksdb": ("rocksdb", None),
    "MemoryStateBackendFactory": ("hashmap", "jobmanager"),
    "FsStateBackendFactory": ("hashmap", "filesystem"),
    "HashMapStateBackendFactory": ("hashmap", None),
    "RocksDBStateBackendFactory": ("rocksdb", None),
    "EmbeddedRocksDBStateBackendFactory": ("rocksdb", None),
}


def migrated(text: str, path: str, *, line_format: bool) -> str:
    """Return the text of a `config.yaml` that means the same, under current names.

    Order is kept, and for the line format comments and blank lines too. Entries that a later
    version dropped, and lines that are no entries, become comments.

    Raises:
        ConfigurationError: the file is no valid YAML.
    """
    registry = option_registry()
    if not line_format:
        found = parse_yaml(text, path)
        return "".join(
            line + "\n" for entry in found.entries for line in _rewritten(entry, found, registry)
        )
    found = parse_lines(text, path)
    by_line = {entry.origin.line: entry for entry in found.entries}
    lines: list[str] = []
    for number, line in enumerate(_LINE_ENDS.split(text), start=1):
        if number in by_line:
            comment = line.partition("#")[2]
            lines += _rewritten(by_line[number], found, registry, comment)
        elif split_line(line) == ("", ""):
            lines.append(_printable(line))
        else:
            lines.append("# ignored: " + _printable(line))
    return "\n".join(lines).rstrip("\n") + "\n"


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else " " for character in line).strip()


def _rewritten(
    entry: Entry, found: FoundEntries, registry: OptionRegistry, comment: str = ""
) -> list[str]:
    registered = registry.find(entry.key)
    tail = f"  # {_printable(comment)}" if comment.strip() else ""
    if registered is None:
        return [_line(entry.key, entry.value) + tail]
    if _is_overruled(entry, registered, found):
        return [f"# ignored, set by another name: {entry.key}: {_printable(entry.value)}"]
    if registered.until is not None:
        dropped = f"# dropped after Flink {registered.until}: {entry.key}: "
        return [dropped + _printable(entry.value)]
    option = registered.option
    if option is state_backend.STATE_BACKEND:
        return [line + tail for line in _backend_lines(entry.value)]
    if entry.key not in option.spellings:  # an entry of a map
        return [_line(entry.key, entry.value) + tail]
    return [_line(option.key, entry.value) + tail]


def _is_overruled(entry: Entry, registered: RegisteredOption, found: FoundEntries) -> bool:
    option = registered.option
    if option is state_backend.CHECKPOINT_STORAGE and _own_storage(found) is not None:
        return True
    spellings = option.spellings
    known = entry.key in spellings
    better = spellings[: spellings.index(entry.key)] if known else spellings
    return any(other.key in better for other in found.entries)


def _own_storage(found: FoundEntries) -> str | None:
    values = {entry.key: entry.value for entry in found.entries}
    for key in state_backend.STATE_BACKEND.spellings:
        if key in values:
            return _store_and_storage(values[key])[1]
    return None


def _store_and_storage(value: str) -> tuple[str, str | None]:
    name = value.strip()
    is_class_of_flink = name.startswith("org.apache.flink.")
    known = name.rpartition(".")[2] if is_class_of_flink else name.lower()
    return _BACKENDS.get(known, (name, None))


def _backend_lines(value: str) -> list[str]:
    store, storage = _store_and_storage(value)
    lines = [_line(state_backend.STATE_BACKEND.key, store)]
    if storage is not None:
        lines.append(_line(state_backend.CHECKPOINT_STORAGE.key, storage))
    return lines


def _line(key: str, value: str) -> str:
    return f"{_scalar(key)}: {_scalar(value)}"


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and text not in _YAML_NULL:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else _escape(c) for c in escaped) + '"'


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\U{code:08x}"
