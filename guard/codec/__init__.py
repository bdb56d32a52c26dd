"""The only room that knows av: decoding for analysis and files, encoding for the banner."""
