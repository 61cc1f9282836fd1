"""What is measured of a turn: one file per metric or family, found without a list (see ``registry``)."""
