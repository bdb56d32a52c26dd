"""Who is in which call and how they connect: tokens, sessions, rooms, WHIP and WHEP.

It knows the media plane only as a Protocol (``ports.py``) and never sees a detector.
"""
