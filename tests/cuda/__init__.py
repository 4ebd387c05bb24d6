"""What is to be run where there is a GPU: ``make test-cuda``."""
