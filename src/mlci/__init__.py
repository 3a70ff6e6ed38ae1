"""mlci: CI for machine learning."""

from mlci.userlib.mlci_log import log_metric

__all__ = ["__version__", "log_metric"]

__version__ = "0.1.0"
