"""What `FileSource` is made of."""
