"""How much an account or a permit may use: reserved before a call, settled after it, by many workers at once."""
