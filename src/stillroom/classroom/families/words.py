"""Words that several families draw from."""

NAMES = (
    "Ann", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gita", "Hugo", "Ines", "Jan", "Kim", "Leo",
    "Mia", "Noor", "Otto", "Pia", "Quinn", "Rosa", "Sam", "Tara", "Umar", "Vera", "Wim", "Zoe",
)  # fmt: skip
THINGS = ("apples", "books", "stamps", "coins", "pens", "cards", "shells", "eggs")
