"""State interfaces, descriptors, TTL; `millpond.datastream.state` is their public path."""
