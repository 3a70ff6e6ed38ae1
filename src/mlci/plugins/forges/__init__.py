"""Where reports are posted."""
