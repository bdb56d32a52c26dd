"""The active checks: what a person is asked to do, and whether the pictures and the sound show it done."""
