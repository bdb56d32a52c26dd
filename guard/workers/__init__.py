"""Child processes: what they say to the relay process, and who starts them again."""
