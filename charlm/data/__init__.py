"""From any text to ids: read, clean, tokenize, count, encode, batch. No torch."""
