"""What the miniature's captions say, and the vocabulary they are read with."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from renderer.miniature.book import Figure, Picture, Style, Things, sample_picture, shown_actions
from renderer.miniature.captions import chinese, chinese_words, english_words
from renderer.miniature.captions.english_people import with_article
from renderer.miniature.captions.telling import ATTRIBUTES, LOOKS_APART, choose_facts
from renderer.miniature.captions.vocabulary import chinese_symbols, load_tokenizer, table_rows, train_vocabulary
from renderer.miniature.captions.words import Language, Words
from renderer.miniature.captions.writing import Caption, filler, full_caption, training_caption, write_caption
from renderer.miniature.training.network import TEXT_LENGTH

LANGUAGES: tuple[Language, ...] = ("zh", "en")
WORDS = {"zh": chinese_words, "en": english_words}
HEROINE = Figure("girl", "purple", "short", "dress", "pink", "none", "bored", "sitting", "hand_on_chin")
SOFA = Picture((HEROINE,), None, "living_room", "blue", "day", "full", "plain", "square", 0)

rng = random.Random(5)
pictures = [sample_picture(rng) for _ in range(1500)] + [sample_picture(rng, "pencil") for _ in range(200)]


def captions(language: Language) -> list[tuple[Picture, Caption]]:
    lot = random.Random(7)
    return [(picture, write_caption(picture, language, lot)) for picture in pictures]


def say(text: str, words: Words) -> set[str]:
    """The values of that attribute that the text says."""
    text = text.lower()
    return {value for value, options in words.items() if any(found(text, option) for option in options)}


def found(text: str, option: str) -> bool:
    option = option.lower()
    return bool(re.search(rf"\b{option}\b", text)) if option.isascii() else option.replace(" ", "") in text


# What the example stories need.


def test_plain_captions_are_worded_as_the_example_stories() -> None:
    zh, en = full_caption(SOFA, "zh"), full_caption(SOFA, "en")
    assert zh.text == (
        "动漫风格，一个紫色短发小女孩，穿着粉色连衣裙，在客厅里，坐在蓝色沙发上，托着腮，无聊，白天，全身"
    )
    assert en.text == (
        "anime style, a little girl with short purple hair in a pink dress, in the living room, "
        "sitting on the blue sofa, hand on chin, bored, by day, full body"
    )
    assert zh.named == en.named == set(ATTRIBUTES) - {"style", "accessory", "thing", "thing_color", "thing_count"}


def test_the_wording_of_the_example_stories_is_frequent() -> None:
    lot = random.Random(1)
    texts = [write_caption(SOFA, "zh", lot).text for _ in range(500)]
    assert sum("一个紫色短发小女孩，穿着粉色连衣裙" in text for text in texts) > 50
    friends = (
        Figure("girl", "blonde", "long", "dress", "yellow", "none", "smiling", "standing", "waving"),
        Figure("boy", "black", "short", "shirt", "blue", "none", "smiling", "standing", "waving"),
    )
    park = Picture(friends, None, "park", "red", "day", "half", "plain", "square", 0)
    both = (
        "a little girl with long blonde hair in a yellow dress and a little boy with short black hair in a blue t-shirt"
    )
    assert sum(both in write_caption(park, "en", lot).text for _ in range(500)) > 20


@pytest.mark.parametrize(
    ("language", "wanted"),
    [
        ("zh", ("坐在公园的长椅上", "走在雨中", "在图书馆看书", "火车上看着窗外", "端着一杯热茶", "在试衣间照镜子")),
        ("en", ("holding a mug", "under an umbrella in the rain", "reading a book in the library")),
        ("en", ("on the train", "looking in the mirror in the fitting room", "practising in the dance studio")),
    ],
)
def test_authors_wording_occurs(language: Language, wanted: tuple[str, ...]) -> None:
    lot = random.Random(8)
    many = (write_caption(sample_picture(lot), language, lot) for _ in range(8000))
    texts = "\n".join(caption.text for caption in many)
    assert not [phrase for phrase in wanted if phrase not in texts]


# Nothing false.


@pytest.mark.parametrize("language", LANGUAGES)
def test_captions_name_only_what_the_framing_shows(language: Language) -> None:
    words = WORDS[language]
    for picture, caption in captions(language):
        if picture.framing == "close":
            # Clothes may be said, as authors say them of their characters, but count as not shown.
            assert not caption.named & {"outfit", "outfit_color"}, caption
            told = say(caption.text, words.ACTION) & {"waving", "arms_raised", "reading", "umbrella", "cup", "flower"}
            assert not told, caption
            assert "action" not in caption.named or picture.figures[0].action in shown_actions("close")
        if picture.framing != "full":
            assert not re.search("坐在|坐着|站在客|站着|sitting|sits|standing|stands", caption.text), caption
            assert "posture" not in caption.named


@pytest.mark.parametrize("language", LANGUAGES)
def test_captions_of_one_figure_say_no_other_value(language: Language) -> None:
    words = WORDS[language]
    for picture, caption in captions(language):
        if len(picture.figures) != 1:
            continue
        (figure,) = picture.figures
        assert say(caption.text, words.ACCESSORY) <= {figure.accessory}, caption
        assert say(caption.text, words.OUTFIT) <= {figure.outfit}, caption
        if "expression" not in caption.named:
            assert not say(caption.text, words.EXPRESSION) - {figure.expression, "singing", "laughing"}, caption


def test_captions_name_no_other_place() -> None:
    # Words that belong to one place alone; "at home" and "夜晚" may be true of several.
    landmarks = {
        "zh": {
            "kitchen": "厨房", "classroom": "教室", "library": "图书", "practice_room": "练", "fitting_room": "试衣",
            "stage": "舞台", "train": "车厢", "street": "街", "park": "公园", "forest": "林", "seaside": "海",
            "snow": "雪", "rain": "雨中", "starry_sky": "星",
        },
        "en": {
            "kitchen": "kitchen", "classroom": "classroom", "library": "library", "fitting_room": "fitting room",
            "stage": "stage", "train": "train", "street": "street", "park": "park", "forest": "forest",
            "snow": "snow", "rain": "rain", "starry_sky": "star",
        },
    }  # fmt: skip
    for language in LANGUAGES:
        for picture, caption in captions(language):
            for place, word in landmarks[language].items():
                assert not re.search(rf"\b{word}\b" if language == "en" else word, caption.text) or (
                    picture.place == place
                ), caption


@pytest.mark.parametrize("language", LANGUAGES)
def test_weather_is_fair_only_under_an_open_sky(language: Language) -> None:
    for picture, caption in captions(language):
        if re.search("晴|阳光|sunny", caption.text):
            assert picture.place in ("street", "park", "forest", "seaside") and picture.time == "day"


# What is named is told.


@pytest.mark.parametrize("language", LANGUAGES)
def test_named_attributes_are_in_the_text(language: Language) -> None:
    words = WORDS[language]
    tables = {
        "kind": words.KIND, "hair_color": words.HAIR_COLOR, "outfit": words.OUTFIT,
        "outfit_color": words.OUTFIT_COLOR, "accessory": words.ACCESSORY,
    }  # fmt: skip
    for picture, caption in captions(language):
        assert caption.named <= set(ATTRIBUTES)
        for attribute in caption.named & set(tables):
            for figure in picture.figures:
                value = getattr(figure, attribute)
                options = [option.removeprefix("a ") for option in tables[attribute][value]]
                if attribute == "kind":
                    options += [value, *english_words.PLURAL[value]]
                # 紫发: the color's first character is enough.
                options += [option[0] for option in options if language == "zh" and attribute == "hair_color"]
                assert any(option.replace(" ", "") in caption.text.lower().replace(" ", "")
                           or option in caption.text for option in options), (attribute, caption)  # fmt: skip
        if "style" in caption.named:
            assert say(caption.text, words.STYLE) >= {picture.style}, caption
        if "framing" in caption.named:
            assert picture.framing in say(caption.text, words.FRAMING), caption
        if "thing" in caption.named:
            assert picture.things and any(
                option.rstrip("y") in caption.text.lower() for option in words.THING[picture.things.kind]
            ), caption


def test_styles_of_their_own_are_nearly_always_named_and_colors_count_only_where_they_show() -> None:
    shares: dict[Style, list[bool]] = {"night_blue": [], "warm_paper": [], "pencil": []}
    colored = []
    for language in LANGUAGES:
        for picture, caption in captions(language):
            if picture.style == "plain":
                assert "style" not in caption.named
            else:
                shares[picture.style].append("style" in caption.named)
            if picture.style in ("night_blue", "pencil"):
                assert not caption.named & {"sofa", "time", "hair_color", "outfit_color", "thing_color"}
                colored.append("紫色" in caption.text or "purple" in caption.text or "blonde" in caption.text)
    assert min(sum(each) / len(each) for each in shares.values()) > 0.9
    assert any(colored) and not all(colored)


def test_accessory_none_is_never_named_and_idle_hands_seldom() -> None:
    lot = random.Random(2)
    idle = Figure("boy", "black", "short", "coat", "blue", "none", "smiling", "standing", "resting")
    picture = Picture((idle,), None, "street", "red", "day", "full", "plain", "square", 0)
    told = [choose_facts(picture, lot) for _ in range(500)]
    assert not any("accessory" in facts for facts in told)
    assert 0 < sum("action" in facts for facts in told) < 60
    assert "action" not in full_caption(picture, "en").named


# Counts, pairs and grammar.


@pytest.mark.parametrize(
    ("things", "zh", "en"),
    [
        (Things("cat", "black", 2), "两只黑色猫", "two black cats"),
        (Things("balloon", "red", 3), "三个红色气球", "three red balloons"),
        (Things("cat", "orange", 1), "一只橘色猫", "an orange cat"),
        (Things("bicycle", "blue", 1), "一辆蓝色自行车", "a blue bicycle"),
    ],
)
def test_things_are_counted_and_colored(things: Things, zh: str, en: str) -> None:
    park = Picture((), things, "park", "red", "day", "wide", "plain", "square", 0)
    assert zh in full_caption(park, "zh").text
    assert en in full_caption(park, "en").text
    assert {"thing", "thing_color", "thing_count", "people"} <= full_caption(park, "en").named


def test_scenes_without_people_name_none() -> None:
    for language in LANGUAGES:
        table = WORDS[language]
        empty = [(p, c) for p, c in captions(language) if not p.figures]
        for _, caption in empty:
            assert caption.text
            assert not say(caption.text, table.KIND), caption
            assert not caption.named & (LOOKS_APART | {"kind", "expression", "posture", "action", "framing"})
        said = sum("people" in caption.named for _, caption in empty) / len(empty)
        assert 0.35 < said < 0.65


def test_pairs_of_one_kind_keep_their_looks_apart() -> None:
    one = Figure("girl", "blonde", "long", "dress", "red", "none", "smiling", "standing", "waving")
    other = Figure("girl", "black", "short", "coat", "blue", "none", "smiling", "standing", "waving")
    picture = Picture((one, other), None, "park", "red", "day", "half", "plain", "square", 0)
    lot = random.Random(3)
    for _ in range(300):
        text = write_caption(picture, "en", lot).text
        # Each one's clothes are named after its own hair and before the other's.
        order = [text.find(word) for word in ("blonde", "dress", "black", "coat")]
        assert -1 in order or order == sorted(order), text


def test_english_articles_and_numbers_agree() -> None:
    for _, caption in captions("en"):
        text = caption.text.lower()
        assert not re.search(r"\ba [aeio]", text.replace("a one", "")), text
        assert not re.search(r"\ban [^aeiou]", text), text
        assert not re.search(r"\b(two|three) \w+ ?(cat|dog|rabbit|bird|balloon)\b", text), text
        assert "  " not in text and "{" not in text, text


def test_chinese_captions_hold_no_stray_marks() -> None:
    for _, caption in captions("zh"):
        assert not re.search(r"[{}]|，，|的的|^，|，$|的，", caption.text), caption


def test_captions_vary_and_repeat_with_the_seed() -> None:
    lot = random.Random(0)
    assert len({write_caption(SOFA, "zh", lot).text for _ in range(100)}) > 85
    assert captions("en")[:50] == captions("en")[:50]


def test_training_captions_are_now_and_then_empty() -> None:
    lot = random.Random(4)
    texts = [training_caption(SOFA, lot) for _ in range(2000)]
    assert 0.07 < texts.count("") / 2000 < 0.13
    chinese_share = sum(any("\u4e00" <= c <= "\u9fff" for c in text) for text in texts) / 1800
    assert 0.4 < chinese_share < 0.6
    assert filler("zh", lot)


# The vocabulary.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tokenizer")
    train_vocabulary(made, 0)
    return made


def test_the_same_seed_gives_the_same_vocabulary(folder: Path, tmp_path: Path) -> None:
    train_vocabulary(tmp_path, 0)
    for name in ("tokenizer.model", "tokenizer_config.json"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_captions_fit_the_text_encoder(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    assert table_rows(tokenizer) <= 1520
    for language in LANGUAGES:
        lengths = [len(tokenizer.tokenize(caption.text)) for _, caption in captions(language)]
        assert sum(length > TEXT_LENGTH - 2 for length in lengths) <= 0.005 * len(lengths)
        assert max(len(tokenizer.tokenize(full_caption(picture, language).text)) for picture in pictures[:500]) <= 62


def test_words_are_pieces_of_their_own(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    assert tokenizer.tokenize("一个紫色短发小女孩")[-4:] == ["一个", "紫色", "短发", "小女孩"]
    assert tokenizer.tokenize("a purple Umbrella") == ["▁a", "▁purple", "▁umbrella"]


def test_every_chinese_word_of_the_captions_is_in_the_vocabulary() -> None:
    symbols = set(chinese_symbols())
    lot = random.Random(6)
    for picture in pictures:
        for manner in ("parts", "sentence", "tags"):
            for part in chinese.write_parts(picture, choose_facts(picture, lot), manner, lot):
                unknown = [w for w in re.split(r"[ ，]+", part) if len(w) > 1 and w not in symbols and w != "T恤"]
                assert not unknown, part


def test_english_article() -> None:
    assert with_article("orange cat") == "an orange cat"
    assert with_article("uniform") == "a uniform"
