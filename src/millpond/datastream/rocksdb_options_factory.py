"""What a user implements to change the RocksDB options of every database of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millpond.common.configuration import Configuration

__all__ = ("ConfigurableRocksDBOptionsFactory", "RocksDBOptionsFactory")


class RocksDBOptionsFactory:
    """Changes RocksDB's options after profile and configuration were applied.

    Every method gets the options made so far and returns those to use: the same object, changed,
    or another of its class. What is not overridden stays as it is. `handles_to_close` takes
    objects with a `close` method that live as long as the database (as Flink's interface has it).
    """

    def create_db_options(self, current_options: Any, handles_to_close: list[Any]) -> Any:
        """Return the options of the database; `current_options` is what profile and file gave."""
        return current_options

    def create_column_options(self, current_options: Any, handles_to_close: list[Any]) -> Any:
        """Return the options of a column family; called once for each state."""
        return current_options

    def create_native_metrics_options(self, native_metric_options: Any) -> Any:
        """Return which native metrics are on."""
        return native_metric_options

    def create_write_options(self, current_options: Any, handles_to_close: list[Any]) -> Any:
        """Return the options of writes."""
        return current_options

    def create_read_options(self, current_options: Any, handles_to_close: list[Any]) -> Any:
        """Return the options of reads."""
        return current_options


class ConfigurableRocksDBOptionsFactory(RocksDBOptionsFactory):
    """An options factory that reads the job's configuration first."""

    def configure(self, configuration: Configuration) -> RocksDBOptionsFactory:
        """Take settings from the configuration and return the factory to use, usually self."""
        return self
