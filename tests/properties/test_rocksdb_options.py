"""Every option of RocksDB: what is out of its range is refused by name, what is in it works."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond.common.configuration import Configuration
from millpond.common.typeinfo import Types
from millpond.configuration.effective_configuration import load_configuration
from millpond.configuration.options import rocksdb, rocksdb_column_family
from millpond.configuration.registered_option import OptionStatus
from millpond.datastream.state import ValueStateDescriptor
from millpond.errors import ConfigurationError
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, state_of

PREFIX = "state.backend.rocksdb."
LONG = (1 << 63) - 1
INT = (1 << 31) - 1
GIB = 1 << 30

# The numbers of the contract, written down here once more: (smallest, largest) that is accepted.
SIZES = {
    "block.blocksize": (1, 4 * GIB - 1),
    "block.metadata-blocksize": (1, 4 * GIB - 1),
    "block.cache-size": (1, LONG),
    "writebuffer.size": (1, 64 * GIB),
    "compaction.level.target-file-size-base": (1, LONG),
    "compaction.level.max-size-level-base": (1, LONG),
    "log.max-file-size": (0, LONG),
    "write-batch-size": (0, LONG),
    "memory.fixed-per-slot": (1, LONG),
    "memory.fixed-per-tm": (1, LONG),
}
COUNTS = {
    "thread.num": (1, 1024),
    "writebuffer.count": (1, INT),
    "writebuffer.number-to-merge": (1, INT),
    "log.file-num": (1, INT),
    "checkpoint.transfer.thread.num": (1, INT),
    "timer-service.cache-size": (1, INT),
}
FRACTIONS = {
    "bloom-filter.bits-per-key": (0.5, 100.0),
    "restore-overlap-fraction-threshold": (0.0, 1.0),
}
INSIDE = ("memory.write-buffer-ratio", "memory.high-prio-pool-ratio")
BOOLEANS = (
    "compaction.level.use-dynamic-size",
    "incremental-restore-async-compact-after-rescale",
    "memory.managed",
    "memory.partitioned-index-filters",
    "rescaling.use-delete-files-in-range",
    "use-bloom-filter",
    "use-ingest-db-restore-mode",
)
NAMES = {
    "compaction.style": ["LEVEL", "UNIVERSAL", "FIFO"],
    "log.level": ["DEBUG_LEVEL", "INFO_LEVEL", "WARN_LEVEL", "ERROR_LEVEL", "FATAL_LEVEL"],
    "predefined-options": ["DEFAULT", "SPINNING_DISK_OPTIMIZED", "FLASH_SSD_OPTIMIZED"],
    "timer-service.factory": ["HEAP", "ROCKSDB"],
    "compression.per.level": ["SNAPPY_COMPRESSION", "LZ4_COMPRESSION", "NO_COMPRESSION"],
}
WITH_TESTS_OF_THEIR_OWN = {"localdir", "options-factory", "log.dir", "files.open"}
# What RocksDB reports for a value; the others have no counterpart of one name.
REPORTED = {
    "block.blocksize": "block_size",
    "block.metadata-blocksize": "metadata_block_size",
    "compaction.level.target-file-size-base": "target_file_size_base",
    "compaction.level.max-size-level-base": "max_bytes_for_level_base",
    "log.max-file-size": "max_log_file_size",
    "log.file-num": "keep_log_file_num",
    "thread.num": "max_background_jobs",
}


def _legal(name: str) -> st.SearchStrategy[str]:
    if name in SIZES:
        least, most = SIZES[name]
        # Cheap to open: one thread more or a terabyte of cache that is never filled.
        return st.sampled_from([least, least + 1, most - 1, most]).map(lambda size: f"{size}b")
    if name in COUNTS:
        least, most = COUNTS[name]
        return st.sampled_from([least, least + 1, min(most, 16)]).map(str)
    if name in FRACTIONS:
        return st.floats(*FRACTIONS[name]).map(str)
    if name in INSIDE:
        return st.floats(0.01, 0.3).map(str)
    if name in BOOLEANS:
        return st.sampled_from(["true", "false", "TRUE"])
    return st.sampled_from(NAMES[name])


def _illegal(name: str) -> st.SearchStrategy[str]:
    garbage = st.sampled_from(["", "many", "1.5.5", "-", "0x10", "ten mb", "\N{SUPERSCRIPT TWO}"])
    if name in SIZES:
        least, most = SIZES[name]
        outside = [f"{size}b" for size in (least - 1, most + 1, most * 3) if size >= 0]
        return garbage.filter(bool) | st.sampled_from([*outside, "-1", "1 zb", "1.5 mb"])
    if name in COUNTS:
        least, most = COUNTS[name]
        below = st.integers(max_value=least - 1).map(str)
        return garbage.filter(bool) | below | st.integers(min_value=most + 1).map(str)
    if name in (*FRACTIONS, *INSIDE):
        least, most = FRACTIONS.get(name, (0.0, 1.0))
        if name in INSIDE:
            return garbage.filter(bool) | st.sampled_from(["0", "1", "-0.1", "1.1", "nan", "inf"])
        outside = [least - 0.01, most + 0.01, -1e9, 1e9]
        return garbage.filter(bool) | st.sampled_from([*map(str, outside), "nan", "inf", "-inf"])
    return st.sampled_from(["maybe", "LEVELS", "NONE_OF_THESE", "7"])


NAMES_OF_ALL = [*SIZES, *COUNTS, *FRACTIONS, *INSIDE, *BOOLEANS, *NAMES]


def test_no_option_is_left_out() -> None:
    registered = {
        each.option.key.removeprefix(PREFIX)
        for each in (*rocksdb.OPTIONS, *rocksdb_column_family.OPTIONS)
        if each.status is OptionStatus.WORKS
    }
    assert registered == {*NAMES_OF_ALL, *WITH_TESTS_OF_THEIR_OWN}


@pytest.mark.parametrize("name", NAMES_OF_ALL)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_out_of_range_is_refused_with_all_that_helps(name: str, data: Any) -> None:
    value = data.draw(_illegal(name))
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "config.yaml"
        file.write_text(f'state.backend.type: rocksdb\n{PREFIX}{name}: "{value}"\n')
        with pytest.raises(ConfigurationError) as raised:
            RocksDBStateStore(load_configuration(directory).to_configuration())
        text = str(raised.value)
        assert PREFIX + name in text
        assert f"'{value}'" in text
        assert f"{file}:2" in text
        assert "is not valid: " in text


@pytest.mark.parametrize("name", NAMES_OF_ALL)
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_in_range_opens_a_database_that_works(name: str, data: Any) -> None:
    value = data.draw(_legal(name))
    options = {PREFIX + name: value}
    if name.startswith("bloom-filter"):
        options[PREFIX + "use-bloom-filter"] = "true"
    if name == "memory.fixed-per-tm":
        options[PREFIX + "memory.managed"] = "false"
    with tempfile.TemporaryDirectory() as directory:
        store = RocksDBStateStore(Configuration.from_dict(options))
        harness = BackendHarness(store, Path(directory))
        try:
            # Opening compares what RocksDB reports with what was asked for.
            backend: Any = harness.create()
            state = state_of(backend, ValueStateDescriptor("value", Types.LONG()))
            backend.current_key = 1
            state.update(7)
            state.evict()
            backend.database.checkpoint(Path(directory) / "checkpoint")
            state._cache.clear()
            assert state.value() == 7
            if name in REPORTED:
                effective = backend.database.effective_options()
                reported = {section.get(REPORTED[name]) for section in effective.values()}
                assert value.removesuffix("b") in reported
        finally:
            harness.close()
