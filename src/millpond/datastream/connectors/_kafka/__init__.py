"""The parts of the Kafka connector; `millpond.datastream.connectors.kafka` has its public names."""
