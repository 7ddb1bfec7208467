"""The options that Millpond knows, one module a concern."""
