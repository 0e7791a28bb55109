"""Questions for students of SmolLM2: forms of a request, each about every topic."""

from __future__ import annotations

from random import Random

FORMS = (
    "Explain {} to a child.", "Write two sentences about {}.", "What should I know about {}?",
    "Tell me a story about {}.",
    "Give me three tips about {}.", "Write a short poem about {}.", "What is surprising about {}?",
    "Describe a day in which {} matters.", "Why do people care about {}?",
    "Write a title and a summary for a book on {}.",
    "Invent a character who loves {}.", "How would you teach {}?", "Write a friendly letter about {}.",
    "What do people get wrong about {}?", "Make up a riddle about {}.", "Compare {} with something unlike it.",
    "Write the opening line of a novel about {}.", "What would a scientist ask about {}?", "Give an example of {}.",
    "Write a slogan for {}.", "What is the history of {}?", "Name some words that go with {}.",
    "Write a dialogue about {}.", "What will become of {} in a hundred years?", "Give advice to someone new to {}.",
)  # fmt: skip
OTHER_FORMS = (
    "Summarise what is known about {} in three sentences.", "List four facts about {}.", "Write a joke about {}.",
    "Describe {} to somebody who has never heard of it.", "What is the best thing about {}?",
    "Write a diary entry that mentions {}.", "How did people think of {} long ago?", "Plan a lesson about {}.",
    "Write a news headline and a first sentence about {}.", "Ask me five questions about {}.",
    "What could go wrong with {}?", "Write a short speech in praise of {}.", "Imagine a world without {}.",
    "How do {} and weather go together?", "Write a recipe or a set of instructions that involves {}.",
    "Give two arguments for and two against {}.", "What does {} sound, smell or feel like?",
    "Write a postcard about {}.", "Which mistakes do beginners make with {}?", "Explain a proverb by means of {}.",
)  # fmt: skip
TOPICS = (
    "rivers", "bread", "chess", "the moon", "bicycles", "honey bees", "glass", "winter", "maps", "whales", "tea",
    "clocks",
    "volcanoes", "gardens", "trains", "salt", "kites", "libraries", "thunder", "paper", "dogs", "bridges", "cheese",
    "music", "deserts", "mirrors", "soap", "football", "silk", "mountains", "rain", "coffee", "statues", "lighthouses",
    "owls", "marathons", "pottery", "islands", "coins", "spices", "sleep", "telescopes", "forests", "boats", "apples",
    "markets", "fireworks", "cats", "snow", "painting", "ants", "castles", "dance", "rice", "rockets", "wool",
    "puzzles",
    "oceans", "candles", "horses", "elections", "balloons", "teeth", "wheat", "comets", "swimming", "ink", "caves",
    "tomatoes", "photography", "wind", "spiders", "chocolate", "harbours", "knots", "dinosaurs", "theatre", "ladders",
    "magnets", "olives", "parrots", "tunnels", "umbrellas", "violins", "windows", "yoga", "zebras", "old age", "luck",
    "friendship", "neighbours", "dreams", "fog", "camping", "penguins", "jazz", "windmills", "rubber", "birthdays",
    "handwriting",
)  # fmt: skip


def questions(count: int, seed: int) -> list[str]:
    """The same for the same seed. Tuning (seeds below 1000) and judging have questions of their own."""
    every = [form.format(topic) for form in FORMS for topic in TOPICS]
    Random("smollm2 questions").shuffle(every)
    part = every[: len(every) // 5] if seed < 1000 else every[len(every) // 5 :]
    if count > len(part):
        raise SystemExit(f"There are {len(part)} questions for this seed, not {count}.")
    return Random(f"smollm2 {seed}").sample(part, count)


def other_questions(count: int, seed: int) -> list[str]:
    """Of other forms: none of `questions` is among them."""
    every = [form.format(topic) for form in OTHER_FORMS for topic in TOPICS]
    if count > len(every):
        raise SystemExit(f"There are {len(every)} other questions, not {count}.")
    return Random(f"smollm2 other {seed}").sample(every, count)
