"""The same work on Millpond, Java Flink and PyFlink in one run: `make bench-flink`."""
