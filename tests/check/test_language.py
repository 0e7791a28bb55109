from __future__ import annotations

import pytest

from stillroom.check.language import (
    foreign_word,
    is_about_language,
    language_of,
    other_language,
    prose_of,
    scripts_in,
    scripts_of,
)
from stillroom.check.language_names import LANGUAGES

# The first article of the Universal Declaration of Human Rights: one text in many languages, nobody's property.
ARTICLE = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience "
    "and should act towards one another in a spirit of brotherhood.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de "
    "conscience et doivent agir les uns envers les autres dans un esprit de fraternité.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt "
    "und sollen einander im Geist der Brüderlichkeit begegnen.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y "
    "conciencia, deben comportarse fraternalmente los unos con los otros.",
    "it": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono dotati di ragione e di "
    "coscienza e devono agire gli uni verso gli altri in spirito di fratellanza.",
    "pt": "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Dotados de razão e de "
    "consciência, devem agir uns para com os outros em espírito de fraternidade.",
    "nl": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn begiftigd met verstand en "
    "geweten, en behoren zich jegens elkander in een geest van broederschap te gedragen.",
    "sv": "Alla människor är födda fria och lika i värde och rättigheter. De är utrustade med förnuft och samvete och "
    "bör handla gentemot varandra i en anda av broderskap.",
    "fi": "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan. Heille on annettu järki ja "
    "omatunto, ja heidän on toimittava toisiaan kohtaan veljeyden hengessä.",
    "pl": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni rozumem i "
    "sumieniem i powinni postępować wobec innych w duchu braterstwa.",
    "cs": "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem a svědomím a mají "
    "spolu jednat v duchu bratrství. Každý má všechna práva a všechny svobody, stanovené touto deklarací.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и "
    "должны поступать в отношении друг друга в духе братства.",
    "tr": "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler ve "
    "birbirlerine karşı kardeşlik zihniyeti ile hareket etmelidirler.",
    "id": "Semua orang dilahirkan merdeka dan mempunyai martabat dan hak-hak yang sama. Mereka dikaruniai akal dan "
    "hati nurani dan hendaknya bergaul satu sama lain dalam semangat persaudaraan.",
    "vi": "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền. Mọi con người đều được tạo hoá "
    "ban cho lý trí và lương tâm và cần phải đối xử với nhau trong tình bằng hữu.",
    "ar": "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميرًا وعليهم أن يعامل بعضهم بعضًا "
    "بروح الإخاء، ولكل إنسان حق التمتع بكافة الحقوق والحريات الواردة في هذا الإعلان.",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। उन्हें बुद्धि और "
    "अन्तरात्मा की देन प्राप्त है और "
    "परस्पर उन्हें भाईचारे के भाव से बर्ताव करना चाहिए। सभी को इस घोषणा में सन्निहित सभी अधिकारों और "
    "आज़ादियों को प्राप्त करने का हक़ है और इस विषय में किसी भी प्रकार का भेदभाव नहीं किया जाएगा।",
    "zh": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"
    "人間は、理性と良心とを授けられており、互いに同胞の精神をもって行動しなければならない。",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. "
    "인간은 천부적으로 이성과 양심을 부여받았으며 서로 형제애의 정신으로 행동하여야 한다.",
}


@pytest.mark.parametrize("language", sorted(ARTICLE))
def test_what_a_text_is_written_in(language: str) -> None:
    assert language_of(ARTICLE[language]) in (language, None)
    assert other_language(ARTICLE[language], language) is None
    wanted = "en" if language != "en" else "de"
    found = other_language(ARTICLE[language], wanted)
    assert found == language or (language, found) in {("cs", "sk"), ("id", "ms"), ("hi", "mr")}


def test_most_languages_are_known_for_sure() -> None:
    assert sum(language_of(text) == language for language, text in ARTICLE.items()) >= len(ARTICLE) - 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42",
        "Si.",
        "Oui, 42.",
        "Die Antwort ist 42.",
        "$$\\int_0^1 x^2 \\, dx = \\frac{1}{3}$$ " * 20,
        "x = 3, y = 4, x + y = 7; 2x - y = 2. " * 20,
        "\\begin{align*} a + b &= c \\\\ \\text{also gilt} \\quad a &= c - b \\end{align*}" * 9,
        "```python\nfor index in range(10):\n    print(index)\n```" * 9,
        "def f(x):\n    return x + 1\n" * 9,
        "https://example.org/der/die/das/und/oder/nicht " * 9,
        "0xDEADBEEF 3f786850e387550fdab836ed7e6dc881de23001b " * 9,
        "\\boxed{\\text{Montag}}",
    ],
)
def test_mathematics_code_and_short_texts_have_no_language(text: str) -> None:
    assert all(other_language(text, wanted) is None for wanted in ("en", "zh", "fr"))


def test_a_text_that_changes_its_language_is_seen_at_the_end_and_in_the_middle() -> None:
    english, spanish = ARTICLE["en"] * 12, ARTICLE["es"] * 12
    assert other_language(english * 3, "en") is None
    assert other_language(english + spanish, "en") == "es"
    assert other_language(english * 2 + spanish * 2 + english * 2, "en") == "es"
    assert other_language(spanish + english, "en") == "es"


def test_a_quotation_of_one_sentence_in_a_long_text_is_no_change() -> None:
    text = ARTICLE["en"] * 4 + f' In French they say: "{ARTICLE["fr"][:70]}" ' + ARTICLE["en"] * 4
    assert other_language(text, "en") is None


def test_code_is_not_taken_for_prose_where_a_piece_begins_in_it() -> None:
    code = "```\n" + "für jeden Wert in der Liste wird geprüft ob er größer ist als der nächste und dann\n" * 90 + "```"
    assert other_language(ARTICLE["en"] + code, "en") is None


@pytest.mark.parametrize(
    ("text", "scripts", "word"),
    [
        ("So the total is 因此 27.", (), ("因此", "Han")),
        ("Пусть x = 3, so y = 4.", (), ("Пусть", "Cyrillic")),
        ("Пусть x = 3, so y = 4.", ("Cyrillic",), None),
        ("したがって 27", ("Han",), ("したがって", "kana")),
        ("所以答案是 27, with x in ABC and α + β = γ.", ("Han",), None),
        ("The angle θ and Σ over π; naïve café, Ångström, Łódź", (), None),
        ("Element ж of the ring Ш, and the symbol ℵ, 中 alone", (), None),
        ("정답은 27", (), ("정답은", "Hangul")),
        ("الجواب 27", (), ("الجواب", "Arabic")),
        ("\N{ROMAN NUMERAL FOUR} \N{DIGIT FIVE} ½ € \N{FACE WITH TEARS OF JOY}", (), None),
    ],
)
def test_words_of_another_script(text: str, scripts: tuple[str, ...], word: tuple[str, str] | None) -> None:
    assert foreign_word(text, frozenset(scripts)) == word


def test_scripts_of_texts_and_languages() -> None:
    assert scripts_in("plain") == frozenset()
    assert scripts_in("日本語のテスト, Ω") == {"Han", "kana"}
    for language, text in ARTICLE.items():
        assert foreign_word(text, scripts_of(language)) is None, language


@pytest.mark.parametrize(
    ("question", "is_about"),
    [
        ("Translate 'good morning' into Japanese.", True),
        ("What does the French word pain mean?", True),
        ("Which languages are spoken in Belgium?", True),
        ("How many bolts does it take?", False),
        ("A Germanic tribe of 300 people ...", False),
        ("Polish the table, then finish it.", True),  # a language all the same, and then nothing is rejected
    ],
)
def test_questions_about_languages(question: str, is_about: bool) -> None:
    assert is_about_language(question) is is_about


def test_the_statistic_knows_every_language_by_its_code() -> None:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped]

    labels = LanguageIdentifier.from_model_file(MODEL_FILE).labels
    assert set(LANGUAGES) <= set(labels)


@pytest.mark.parametrize("text", ["\\begin{a}" * 20_000, "$$" * 50_000, "a" * 300_000, "`" * 99_999, "<" * 99_999])
def test_hostile_texts_are_done_with(text: str) -> None:
    assert other_language(text, "en") is None
    prose_of(text[:3000])
