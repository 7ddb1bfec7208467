"""The streams of a program; public under `millpond.datastream.data_stream`."""
