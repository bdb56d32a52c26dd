"""Pure work on arrays and bytes: packets, resampling, pictures, quality."""
