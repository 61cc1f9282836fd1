"""Where cases come from: one file per suite, found without a list (see ``registry``)."""
