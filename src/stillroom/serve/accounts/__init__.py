"""Who may call: organisations, their accounts, the accounts' keys, and the people who look after them."""
