"""What the gateway writes down of every call: prints and counts, never texts, in a log whose changes can be noticed."""
