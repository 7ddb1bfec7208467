"""Windows, assigners, triggers, evictors; `millpond.datastream.window` is their public path."""
