"""The runtime: job manager, workers, tasks and the channels between them."""
