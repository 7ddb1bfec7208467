"""What `FileSink` is made of."""
