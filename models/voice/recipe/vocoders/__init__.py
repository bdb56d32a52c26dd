"""Small neural vocoders trained on the recipe's own recorded clips, and the copies they speak."""
