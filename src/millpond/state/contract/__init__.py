"""The contract between operators and stores; what a third party's backend implements."""
