"""RocksDB's OPTIONS files: reading the effective options, and setting two that lack a setter."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from millpond.errors import StateStoreError

if TYPE_CHECKING:
    from millpond.state.rocksdb.settings import InfoLogLevel

__all__ = ("options_from_file", "read_options_file")

_SECTION: Final = re.compile(r'\[(\S+?)(?: "(.*)")?\]')
_RAW_CONFIGURATION: Final = '{"raw_mode":true,"prefix_extractors":{}}'
_TEMPLATE: Final = """[Version]
  rocksdb_version=9.8.4
  options_file_version=1.1

[DBOptions]
  info_log_level={log_level}
  avoid_flush_during_shutdown=true

[CFOptions "default"]

[TableOptions/BlockBasedTable "default"]
"""


def options_from_file(binding: Any, log_level: InfoLogLevel) -> Any:
    """Return database options with a log level and without a flush at close.

    The binding has no setter for either, but takes both over from an options file.
    """
    with tempfile.TemporaryDirectory(prefix="millpond-options-") as name:
        directory = Path(name)
        (directory / "rocksdict-config.json").write_text(_RAW_CONFIGURATION, encoding="ascii")
        (directory / "OPTIONS-000001").write_text(
            _TEMPLATE.format(log_level=log_level.name), encoding="ascii"
        )
        options, _ = binding.Options.load_latest(name)
    return options


def read_options_file(path: Path) -> dict[str, dict[str, str]]:
    """Return the newest OPTIONS file of a database: ``DBOptions`` and one section a family.

    Table options stand in the section of their family.

    Raises:
        StateStoreError: there is none.
    """
    files = sorted(path.glob("OPTIONS-*"))
    if not files:
        raise StateStoreError("There is no RocksDB database here.", path=path)
    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for line in files[-1].read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if header := _SECTION.fullmatch(text):
            section = sections.setdefault(header[1] if header[2] is None else header[2], {})
        elif "=" in text and not text.startswith("#"):
            name, _, value = text.partition("=")
            section[name] = value
    return sections
