"""The user's functions, by kind; `millpond.datastream.functions` is their public path."""
