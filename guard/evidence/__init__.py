"""The signed records: what was asked, seen and decided, kept so that a change shows."""
