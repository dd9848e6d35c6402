"""The sheet, read as a tree: what stands on it, for whom, and that nothing typed can break out of it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote

import html5lib
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from renderer.errors import RunFolderError, StoryboardError
from renderer.exporting.timing import spans
from renderer.grid import compose_grid
from renderer.looking.data import safe_json
from renderer.looking.durations import starts_of
from renderer.looking.html import bundled_templates
from renderer.looking.text import clock, moment, shortened, timecode, visible
from renderer.looking.thumbs import thumbnail
from renderer.manifest import GridStyle
from renderer.prompts import Part
from renderer.sheet import sheet_html, write_sheet
from tests.manifests import make_entry, make_manifest, make_scene, paint_all, solid
from tests.pages import parse, select, words

MEI = Part("紫色短发小女孩", "character", "mei")
STYLE = Part("动漫风格，", "style")
HOSTILE = "</script><script>hacked=1</script>\"'><img src=x onerror=hacked=1> javascript:hacked=1 \u202eevil"


def sheet(manifest, folder, **options):
    return parse(write_sheet(manifest, folder, **options).read_text(encoding="utf-8"))


def thousand_takes(scenes, takes):
    """A long story, each of its takes with a prompt, a negative and notes of common length."""

    def entry(scene, seed):
        setting = Part(f"，在客厅里，坐在第{scene}个沙发上，托着腮，很无聊，窗外下着雨，全身", "scene")
        return make_entry(seed, [STYLE, MEI, setting], "模糊，变形", (64, 48), ("pencil",))

    return make_manifest(
        *[
            make_scene(
                f"scene-{n}",
                *[entry(n, seed) for seed in range(takes)],
                template=f"{{mei}}，在客厅里，坐在第{n}个沙发上，托着腮，很无聊，窗外下着雨，全身",
                shot="wide",
                action="她数着钟摆，等雨停下来。",
                duration=3,
            )
            for n in range(scenes)
        ]
    )


@pytest.fixture
def story(tmp_path):
    """Three scenes: one with a pick among takes of two prompts, one with a failure, one not painted."""
    takes = [
        make_entry(
            seed,
            [
                Part("动漫风格，", "style"),
                MEI,
                Part("，坐在", "scene"),
                Part(colour, "wildcard", "{红|蓝}"),
                Part("沙发", "scene"),
            ],
            "模糊",
            loras=("pencil",),
        )
        for seed, colour in [(0, "红"), (1, "蓝"), (2, "红")]
    ]
    sofa = make_scene(
        "sofa",
        *takes,
        template="{mei}，坐在{红|蓝}沙发",
        pick=takes[1].key,
        shot="full",
        camera="static",
        action="She looks up.",
        dialogue="好无聊啊……",
        note="rain",
        duration=2.5,
    )
    sea = make_scene(
        "海边", make_entry(5, "海边的日出"), make_entry(6, "海边的日出"), template="海边的日出", duration=60
    )
    late = make_scene("late", make_entry(7, "夜"), template="夜")
    manifest = make_manifest(
        sofa, sea, late, failures={sea.takes[1].key: "out of memory"}, source="storyboards/my tale.yaml"
    )
    return paint_all(manifest, tmp_path, only={take.key for take in (*takes, *sea.takes)})


def test_the_header_counts_what_there_is(story, tmp_path):
    page = sheet(story, tmp_path)
    facts = {words(fact.find("dt")): words(fact.find("dd")) for fact in select(page, ".facts div")}
    assert facts == {
        "Scenes": "3",
        "Takes": "6",
        "Painted": "4",
        "Failed": "1",
        "To paint": "1",
        "Running time": "≈ 1:06",
        "Model": "kolors-mini@2",
    }
    assert words(select(page, "h1")[0]) == words(select(page, "title")[0]) == "Starlight"


def test_scenes_stand_in_story_order_and_in_the_overview(story, tmp_path):
    page = sheet(story, tmp_path)
    assert [words(name) for name in select(page, "article h2")] == ["01 sofa", "02 海边", "03 late"]
    links = select(page, ".overview ol a")
    assert [words(link) for link in links] == ["01 sofa", "02 海边", "03 late"]
    assert all(select(page, link.get("href")) for link in links)


def test_a_card_prints_what_a_storyboard_prints(story, tmp_path):
    card = select(sheet(story, tmp_path), "article")[0]
    notes = {words(note.find("dt")): words(note.find("dd")) for note in select(card, ".notes div")}
    assert notes == {
        "Shot": "full",
        "Camera": "static",
        "Duration": "2.5 s 0:00–0:02.5",
        "Action": "She looks up.",
        "Dialogue": "好无聊啊……",
        "Note": "rain",
    }
    second, bare = select(sheet(story, tmp_path), "article")[1:]
    assert words(select(second, ".duration dd")[0]) == "1:00 0:02.5–1:02.5", "where in the story it stands"
    assert words(select(bare, ".duration dd")[0]) == "≈ 3 s 1:02.5–1:05.5", "as exports have it"


def test_a_time_that_nobody_stated_is_marked_in_both_languages(story, tmp_path):
    for language, said in [("en", "Assumed where no duration is given"), ("zh", "未写明时长之处按默认时长计")]:
        page = sheet(story.model_copy(update={"language": language}), tmp_path)
        assert [words(it).split()[0] for it in select(page, "dd.assumed")] == ["≈", "≈"], "running time, last scene"
        assert {it.get("title") for it in select(page, "dd.assumed")} == {said}


def test_sheet_and_exports_agree_about_when_scenes_begin(story, tmp_path):
    timed = [scene.duration for scene in story.scenes[::-1]]
    assert starts_of(timed) == [span.start / 1000 for span in spans(timed, 1000)] == [0, 3, 63]


def test_a_story_without_any_duration_shows_no_times(tmp_path):
    page = sheet(make_manifest(make_scene("a"), make_scene("b")), tmp_path)
    assert not select(page, ".duration") and not select(page, ".facts .length")


def test_takes_stand_in_the_authors_order_and_the_pick_is_large_and_marked(story, tmp_path):
    first, second, _ = select(sheet(story, tmp_path), "article")
    takes = select(first, "figure.take")
    assert [take.get("data-take") for take in takes] == [take.key for take in story.scenes[0].takes]
    assert [take.get("data-seed") for take in takes] == ["0", "1", "2"]
    assert [take.get("data-flag") for take in takes] == [None, "pick", None]
    assert [words(take) for take in takes] == ["seed 0", "Pick seed 1", "seed 2"]
    assert select(first, ".main") == [takes[1]] and select(second, ".main") == select(second, "figure.take")[:1]
    assert not select(second, ".pick")


def test_a_pick_that_is_not_painted_is_marked_and_another_take_is_large(story, tmp_path):
    scene = story.scenes[1].model_copy(update={"pick": story.scenes[1].takes[1].key})
    card = select(sheet(story.model_copy(update={"scenes": (scene,)}), tmp_path), "article")[0]
    assert [words(name) for name in select(card, "figcaption")] == ["seed 5", "Pick seed 6"]
    assert words(select(card, "div.failed")[0]) == "Failed"
    assert words(select(card, ".main")[0]) == "seed 5"


def test_pictures_link_to_the_full_ones_and_reserve_their_place(story, tmp_path):
    page = sheet(story, tmp_path)
    for link in select(page, "a.frame"):
        assert (tmp_path / unquote(link.get("href"))).is_file()
        (image,) = link.findall("img")
        assert (tmp_path / unquote(image.get("src"))).is_file()
        assert image.get("width") == image.get("height") == "8" and image.get("loading") == "lazy"
    alts = [image.get("alt") for image in select(page, "article img")]
    assert "紫色短发小女孩，坐在蓝沙发" in alts, "the prompt without its style"
    assert "%" in select(page, "article")[1].find(".//a").get("href"), "ids of any script are percent-encoded"


def test_parts_of_the_prompt_are_marked_by_origin_and_the_template_stands_beside(story, tmp_path):
    page = sheet(story, tmp_path)
    prompt, written = select(select(page, "article")[0], ".prompt")
    assert words(prompt.find("p")) == "动漫风格，紫色短发小女孩，坐在蓝沙发"
    assert [(part.get("class"), part.get("title"), part.text) for part in select(prompt, "span")] == [
        ("style", None, "动漫风格，"),
        ("character", "mei", "紫色短发小女孩"),
        ("wildcard", "{红|蓝}", "蓝"),
    ]
    assert words(written.find("p")) == "{mei}，坐在{红|蓝}沙发"
    assert [words(span) for span in select(page, ".legend span")] == [
        "In the prompts",
        "Character",
        "Wildcard",
        "Style",
        "Every scene",
    ]


def test_a_template_that_reads_as_the_prompt_is_not_repeated(story, tmp_path):
    assert len(select(select(sheet(story, tmp_path), "article")[1], ".prompt")) == 1


def told(manifest, folder, **options):
    """What the page's scripts are told."""
    (element,) = [tag for tag in select(sheet(manifest, folder, **options), "script") if tag.get("id") == "story"]
    return json.loads(element.text)


def test_the_scripts_are_told_what_the_page_shows_on_demand(story, tmp_path):
    data = told(story, tmp_path)
    assert (data["story"], data["title"], data["language"]) == (tmp_path.name, "Starlight", "en")
    assert (data["source"], data["served"], data["decisions"]) == ("storyboards/my tale.yaml", None, {})
    sofa, sea, late = data["scenes"]
    assert (sofa["id"], sofa["main"], sofa["pick"]) == ("sofa", 1, 1) and "pick" not in sea
    take = sofa["takes"][1]
    assert not {"key", "seed", "prompt"} & take.keys(), "those stand on the page already"
    other = sofa["takes"][0]["prompt"]
    assert "".join(data["parts"][part][0] for part in other) == "动漫风格，紫色短发小女孩，坐在红沙发"
    assert data["parts"][other[1]] == ["紫色短发小女孩", "character", "mei"]
    assert [data["parts"][part][:2] for part in take["negative"]] == [["模糊", "board"]]
    assert (take["seconds"], take["at"]) == (3.25, "2026-05-04T03:02:01Z") and "status" not in take
    kind = data["kinds"][take.get("kind", 0)]
    assert kind["settings"] == [
        ["size", "8 × 8"],
        ["steps", "25"],
        ["guidance", "4"],
        ["sampler", "ddim"],
        ["model", "kolors-mini@2"],
    ]
    assert [(lora["name"], lora["strength"], lora["sha256"]) for lora in kind["loras"]] == [("pencil", 0.8, "ab" * 32)]
    assert (kind["width"], kind["height"], kind["device"]) == (8, 8, "cpu (fp32)")
    assert sea["takes"][1]["status"] == "failed" and sea["takes"][1]["reason"] == "out of memory"
    assert late["takes"][0]["status"] == "unpainted"


def test_what_takes_share_is_told_once(story, tmp_path):
    data = told(story, tmp_path)
    assert len(data["kinds"]) == 3, "takes of the sofa, those without LoRAs, and those not painted"
    assert len(data["parts"]) == len({tuple(part) for part in data["parts"]})


def test_decisions_of_the_review_are_told_and_a_damaged_review_is_none(story, tmp_path):
    decision = {"scene": "sofa", "seed": 1, "flag": "reject", "stars": 0, "note": "", "at": "2026-05-04T03:02:01.123Z"}
    review = {"format": 1, "kind": "storyboard-review", "story": tmp_path.name, "decisions": {"a" * 64: decision}}
    (tmp_path / "review.json").write_text(json.dumps(review))
    assert told(story, tmp_path)["decisions"] == {"a" * 64: decision}
    for content in (b"\xff", b"[1]", b"{", b'{"decisions": 3}'):
        (tmp_path / "review.json").write_bytes(content)
        assert told(story, tmp_path)["decisions"] == {}


def test_a_served_page_may_speak_with_its_server_and_no_other_may(story, tmp_path):
    served = sheet_html(story, tmp_path, served={"review": "/review", "events": "/events"})
    assert "connect-src &#39;self&#39;" in served and '"served":{"review":"/review","events":"/events"}' in served
    assert "connect-src" not in sheet_html(story, tmp_path).split("</head>")[0].split("<style>")[0]


def test_failures_say_why_and_for_which_seeds(tmp_path):
    scene = make_scene("s", *[make_entry(seed) for seed in range(4)])
    failures = {take.key: "out of memory" for take in scene.takes[:3]} | {scene.takes[3].key: "bad LoRA"}
    card = select(sheet(make_manifest(scene, failures=failures), tmp_path), "article")[0]
    assert [words(reason) for reason in select(card, ".reason")] == [
        "Failed (seeds 0, 1, 2) out of memory",
        "Failed (seed 3) bad LoRA",
    ]
    assert words(select(card, ".main div.frame")[0]) == "Failed"


def test_missing_and_damaged_pictures_are_shown_as_missing_with_how_to_get_them_back(story, tmp_path):
    files = [tmp_path / picture.file for picture in story.pictures.values()]
    files[0].unlink()
    files[1].write_bytes(b"\x89PNG\r\n\x1a\n torn")
    page = sheet(story, tmp_path)
    assert [words(frame) for frame in select(page, "div.missing span")] == ["Picture missing"] * 2
    assert words(select(page, ".get-back code")[0]) == "storyboard render 'storyboards/my tale.yaml' --out ."


@pytest.mark.parametrize(
    ("run", "source", "command", "place"),
    [
        ("renders/tale", "../../storyboards/tale.yaml", "storyboard render storyboards/tale.yaml", "renders"),
        ("renders/tale", "../../my tale.yaml", "storyboard render 'my tale.yaml' --out renders/tale", "renders"),
        ("renders/b c", "../../tale.yaml", "storyboard render tale.yaml --out 'renders/b c'", "renders"),
        ("renders/tale", "../../../tale.yaml", "storyboard render ../../../tale.yaml --out .", "index.html"),
        ("renders/tale", "../tale.yaml", "storyboard render ../tale.yaml --out .", "index.html"),
        ("elsewhere/tale", "../../tale.yaml", "storyboard render ../../tale.yaml --out .", "index.html"),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_command_leads_from_where_it_is_typed_to_story_and_run_folder(
    tmp_path, run, source, command, place, language
):
    folder = tmp_path / run
    folder.mkdir(parents=True)
    page = sheet(make_manifest(make_scene(), source=source, language=language), folder)
    asked = select(page, ".get-back")[0]
    assert words(select(asked, "code")[0]) == command
    assert place in words(select(asked, "span")[0])
    typed = shlex.split(command)
    base = folder if place == "index.html" else tmp_path
    out = typed[4] if len(typed) > 3 else f"renders/{Path(typed[2]).stem}"
    assert (base / typed[2]).resolve() == (folder / source).resolve() and (base / out).resolve() == folder


def test_nothing_asks_to_paint_once_all_is_painted(tmp_path):
    page = sheet(paint_all(make_manifest(make_scene()), tmp_path), tmp_path)
    assert not select(page, ".get-back") and not select(page, ".painting")


def test_pages_of_the_grid_are_shown_and_linked(tmp_path):
    style = GridStyle(columns=1, rows=1, cell=8)
    manifest = paint_all(make_manifest(make_scene("a"), make_scene("b"), grid=style), tmp_path)
    assert not select(sheet(manifest, tmp_path), "#grid")
    compose_grid(manifest, tmp_path)
    grid = select(sheet(manifest, tmp_path), "#grid")[0]
    size = Image.open(tmp_path / "grid.png").size
    assert [(image.get("src"), image.get("width"), image.get("height")) for image in select(grid, "img")] == [
        ("grid.png", *map(str, size))
    ]
    assert [link.get("href") for link in select(grid, "p a")] == ["grid.png", "grid-2.png"]


def test_while_painting_the_page_says_how_far_and_reloads(story, tmp_path):
    page = sheet(story, tmp_path, painting=(2, 6))
    (progress,) = select(page, ".painting progress")
    assert (progress.get("value"), progress.get("max")) == ("2", "6")
    assert words(select(page, ".painting p")[0]) == "Painting 2 of 6"
    assert words(select(page, "title")[0]) == "(2/6) Starlight"
    assert select(page, "noscript meta") and "data-painting" in page.find("body").attrib
    done = sheet(story, tmp_path)
    assert not select(done, "noscript") and "data-painting" not in done.find("body").attrib


@pytest.mark.parametrize(("language", "lang", "scenes"), [("en", "en", "Scenes"), ("zh", "zh-CN", "场景")])
def test_the_page_speaks_the_storys_language(story, tmp_path, language, lang, scenes):
    page = sheet(story.model_copy(update={"language": language}), tmp_path, painting=(1, 2))
    assert page.get("lang") == lang
    assert words(select(page, ".facts dt")[0]) == scenes


def test_both_languages_have_every_word():
    languages = yaml.safe_load((bundled_templates() / "words.yaml").read_text(encoding="utf-8"))
    assert set(languages) == {"zh", "en"}
    assert list(languages["zh"]) == list(languages["en"])
    assert all(isinstance(word, str) and word for table in languages.values() for word in table.values())
    page = (bundled_templates() / "sheet.html.j2").read_text(encoding="utf-8")
    scripts = "".join(path.read_text(encoding="utf-8") for path in (bundled_templates() / "js").glob("*.js"))
    used = re.findall(r"words\.(\w+)(?= |\)|})", page) + re.findall(r"\b(?:word|label)\(\"(\w+)\"", page + scripts)
    assert len(used) > 50 and {name for name in used if not name.endswith("_")} - {"yaml"} <= set(languages["en"])


# Safety


def test_the_policy_allows_the_pages_own_style_and_script_and_nothing_else(story, tmp_path):
    page = sheet(story, tmp_path)
    (policy,) = [
        meta.get("content") for meta in select(page, "meta") if meta.get("http-equiv", "").startswith("Content")
    ]

    def source(element):
        return f"'sha256-{base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()}'"

    (style,) = select(page, "style")
    early, script = [tag for tag in select(page, "script") if tag.get("type") is None]
    assert policy == (
        f"default-src 'none'; img-src 'self'; style-src {source(style)}; script-src {source(early)} {source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def test_nothing_is_fetched_from_elsewhere_and_nothing_handles_events_inline(story, tmp_path):
    page = sheet(story, tmp_path, painting=(1, 2))
    for element in page.iter():
        assert not [name for name in element.attrib if name.startswith("on") or name == "style"]
        for name in ("src", "href"):
            assert not re.match(r"[a-z]+:|//", element.get(name, ""), re.I)
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\(", html)


def test_hostile_text_shows_as_typed_in_every_field(tmp_path):
    take = make_entry(0, [Part(HOSTILE, "character", HOSTILE), Part(HOSTILE, "scene")], HOSTILE, loras=(HOSTILE,))
    broken = make_entry(1, model=HOSTILE, sampler=HOSTILE)
    notes = dict.fromkeys(
        ("template", "negative_template", "shot", "camera", "action", "dialogue", "note"), HOSTILE + "!"
    )
    scene = make_scene(HOSTILE, take, broken, **notes)
    manifest = make_manifest(
        scene, title=HOSTILE, model=HOSTILE, source=HOSTILE, updated_at=HOSTILE, failures={broken.key: HOSTILE}
    )
    picture = tmp_path / "pictures" / "a.png"
    manifest = paint_all(manifest.model_copy(update={"scenes": (make_scene("x", take),)}), tmp_path)
    record = manifest.pictures[take.key]
    (tmp_path / record.file).rename(picture)
    provenance = record.provenance.__class__(HOSTILE, HOSTILE, 1, 1.0, painted_at=HOSTILE)
    record = record.model_copy(update={"file": "pictures/a.png", "provenance": provenance})
    manifest = manifest.model_copy(update={"scenes": (scene,), "pictures": {take.key: record}})
    page = sheet(manifest, tmp_path)
    assert len(select(page, "script")) == 3 and len(select(page, "img")) == 2
    typed = " ".join(HOSTILE.split())
    assert words(select(page, "h1")[0]) == words(select(page, "title")[0]) == typed
    assert words(select(page, ".prompt p")[0]) == f"{typed}{typed}"
    for name in ("shot", "camera", "action", "dialogue", "note"):
        assert words(select(page, f".notes .{name} bdi")[0]) == typed + "!"
    assert words(select(page, ".reason bdi")[0]) == typed


def test_a_picture_named_like_a_script_or_elsewhere_is_no_link_there(tmp_path):
    manifest = paint_all(make_manifest(make_scene()), tmp_path)
    (key, record), *_ = manifest.pictures.items()
    for file in ("javascript:alert(1)", "//evil.example/x.png", "../x.png", "pictures/%2e%2e#?.png"):
        if not file.startswith(("..", "//")):
            Image.fromarray(solid((1, 2, 3))).save(tmp_path / file, format="PNG")
        changed = manifest.model_copy(update={"pictures": {key: record.model_copy(update={"file": file})}})
        links = [link.get("href") for link in select(sheet(changed, tmp_path), "a.frame")]
        assert all(not re.match(r"[a-z]+:|//|\.\.", link) and unquote(link) == file for link in links)
        assert len(links) == (tmp_path / file).is_file() - file.startswith(("..", "//")) * (tmp_path / file).is_file()


def test_control_characters_are_shown_as_signs():
    assert visible("a\0b\x1b\x7f\ud800\tc\n\ufdd0") == "a\ufffdb\ufffd\ufffd\ufffd\tc\n\ufffd"
    assert visible(3) == 3


@given(st.text(st.characters(), max_size=40))
def test_no_text_ends_the_script_that_it_stands_in(text):
    embedded = safe_json({text: [text]})
    assert not re.search("[<>&\u2028\u2029]", embedded)
    assert json.loads(embedded) == {text: [text]}


@pytest.mark.parametrize("text", ["</script><!--<script>", "\u2028\u2029", "a\0b", "\u202eevil", "]]>&amp;'\""])
def test_hostile_text_is_told_to_the_scripts_as_it_is_shown(tmp_path, text):
    scene = make_scene(text, make_entry(0, [Part("x" + text, "wildcard", text)], text), negative_template=text + "!")
    data = told(make_manifest(scene, title=text), tmp_path)
    shown = visible(text)
    assert data["title"] == data["scenes"][0]["id"] == shown and data["texts"] == [shown + "!"]
    assert [shown, "board", ""] in data["parts"]


def test_half_a_character_is_told_as_a_sign(tmp_path):
    assert told(make_manifest(make_scene()), tmp_path)["title"] == "Starlight"
    assert told(make_manifest(make_scene(), title="\ud800!"), tmp_path)["title"] == "\ufffd!"


def test_the_page_is_valid_html(story, tmp_path):
    hostile = make_scene(HOSTILE, make_entry(9, HOSTILE), template=HOSTILE, note=HOSTILE + "\0\ufdd0\u2028")
    for manifest in (story, story.model_copy(update={"scenes": (*story.scenes, hostile), "title": HOSTILE})):
        html = sheet_html(manifest, tmp_path, painting=(1, 2))
        html5lib.HTMLParser(strict=True).parse(html)
        names = [element.get("id") for element in parse(html).iter() if "id" in element.attrib]
        assert len(names) == len(set(names))


def test_the_picture_in_words_is_short_however_wide_its_letters():
    assert shortened("abc", 3) == "abc" and shortened("abcd", 3) == "abc…"
    assert shortened("一只猫", 6) == "一只猫" and shortened("一只猫", 5) == "一只…"
    assert shortened("", 5) == ""


def test_a_prompt_of_100_kb_is_shown_whole_and_described_shortly(tmp_path):
    prompt = "很长" * 17_000
    page = sheet(paint_all(make_manifest(make_scene("s", make_entry(0, prompt))), tmp_path), tmp_path)
    assert words(select(page, ".prompt p")[0]) == prompt
    assert all(len(image.get("alt")) < 200 for image in select(page, "img"))


# Templates


def test_own_templates_take_the_place_of_ours_file_by_file(story, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "sheet.css").write_text("body { color: red }\r\n")
    page = sheet(story, tmp_path, templates=own)
    style = select(page, "style")[0].text
    assert style.startswith("body { color: red }\n") and "--paper: light-dark" not in style and select(page, "article")
    (own / "words.yaml").write_text("en: {scenes: Shots}")
    assert [words(name) for name in select(sheet(story, tmp_path, templates=own), ".facts dt")][:2] == [
        "Shots",
        "Takes",
    ]


def test_own_scripts_and_styles_take_the_place_of_ours_file_by_file(story, tmp_path):
    own = tmp_path / "own"
    (own / "js").mkdir(parents=True)
    (own / "js" / "look.js").write_text("function startLook() { document.title = 'mine'; }\n")
    (own / "print.css").write_text("@page { size: A5 }\n")
    html = sheet_html(story, tmp_path, templates=own)
    assert "document.title = 'mine'" in html and "showTheme" not in html and "refreshPage" in html
    assert "@page { size: A5 }" in html and "--paper:" in html and "bottom-right" not in html


def test_a_template_of_ones_own_sees_the_page_and_its_edits_take_effect(story, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    for text in ("<p>{{ page.title }}</p>", "<b>{{ page.scenes[0].entry.id }}</b>"):
        (own / "sheet.html.j2").write_text(text)
        os.utime(own / "sheet.html.j2", ns=(0, len(text)))
        html = write_sheet(story, tmp_path, templates=own).read_text()
    assert html == "<b>sofa</b>"


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("sheet.html.j2", "<p>\n{% if %}", "sheet.html.j2:2: "),
        ("sheet.html.j2", "\n\n{{ page.nonsense }}", "sheet.html.j2:3: .*nonsense"),
        ("sheet.html.j2", "\n{{ nonsense }}", "sheet.html.j2:2: .*nonsense"),
        ("sheet.html.j2", "{{ 1 / 0 }}", "sheet.html.j2:1: division by zero"),
        ("sheet.html.j2", "\n{% include 'gone.html' %}", "sheet.html.j2:2: .*gone.html"),
        ("words.yaml", "en:\n  a: [", "words.yaml:2: "),
        ("words.yaml", "en: [1]", "words.yaml: .*language"),
        ("words.yaml", "- 1", "words.yaml: "),
        ("sheet.css", b"\xff\xfe", "own"),
    ],
)
def test_a_broken_template_is_an_error_at_file_and_line(story, tmp_path, name, content, place):
    own = tmp_path / "own"
    own.mkdir()
    (own / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(StoryboardError, match=place) as caught:
        write_sheet(story, tmp_path, templates=own)
    assert str(own) in str(caught.value)


def test_a_folder_of_templates_that_is_not_there_is_named(story, tmp_path):
    with pytest.raises(StoryboardError, match="nowhere"):
        write_sheet(story, tmp_path, templates=tmp_path / "nowhere")


# Files


def test_thumbnails_are_made_once_and_never_larger_than_the_picture(tmp_path):
    picture = tmp_path / "a.png"
    for size, expected in [((1024, 512), (512, 256)), ((100, 50), (100, 50)), ((3, 2000), (1, 512))]:
        Image.fromarray(solid((9, 9, 9), size)).save(picture)
        key = f"{size[0]:064d}"
        thumb = thumbnail(picture, tmp_path, key)
        assert thumb == tmp_path / "thumbs" / f"{key[:12]}.webp"
        thumb.unlink()
        thumb = thumbnail(picture, tmp_path, key)
        assert Image.open(thumb).size == expected
        before = thumb.stat().st_ino
        assert thumbnail(picture, tmp_path, key) == thumb and thumb.stat().st_ino == before


def test_a_thumbnail_older_than_its_picture_is_made_anew(tmp_path):
    picture = tmp_path / "a.png"
    Image.fromarray(solid((255, 0, 0))).save(picture)
    thumb = thumbnail(picture, tmp_path, "k" * 64)
    os.utime(thumb, (1, 1))
    Image.fromarray(solid((0, 255, 0))).save(picture)
    assert np.asarray(Image.open(thumbnail(picture, tmp_path, "k" * 64)).convert("RGB"))[0, 0, 1] > 200


def test_a_sheet_that_cannot_be_written_names_the_folder(story, tmp_path):
    (tmp_path / "index.html").mkdir()
    with pytest.raises(RunFolderError, match=str(tmp_path)):
        write_sheet(story, tmp_path)


def test_times_read_as_people_write_them():
    assert [clock(seconds) for seconds in (0, 2.5, 59.94, 59.97, 65, 3605)] == [
        "0 s",
        "2.5 s",
        "59.9 s",
        "1:00",
        "1:05",
        "1:00:05",
    ]
    assert clock(3, "秒") == "3 秒" and clock(3, "") == "3"
    assert [timecode(seconds) for seconds in (0, 2.5, 59.96, 65, 3605.25)] == [
        "0:00",
        "0:02.5",
        "1:00",
        "1:05",
        "1:00:05.2",
    ]
    assert moment("2026-05-04T03:02:01+00:00") == moment("2026-05-04T03:02:01Z") == "2026-05-04 03:02 UTC"
    assert moment("yesterday") == "yesterday"


@pytest.mark.parametrize(("scenes", "takes"), [(1000, 1), (100, 10)])
def test_a_thousand_takes_make_less_than_two_megabytes_in_no_time(tmp_path, scenes, takes):
    manifest = paint_all(thousand_takes(scenes, takes), tmp_path, lambda take: solid((1, 2, 3)))
    write_sheet(manifest, tmp_path)
    started = time.monotonic()
    path = write_sheet(manifest, tmp_path)
    assert time.monotonic() - started < 5
    assert path.stat().st_size < 2_000_000
    page = parse(path.read_text(encoding="utf-8"))
    assert len(select(page, "article")) == scenes and len(select(page, "figure.take")) == 1000


def test_a_thousand_scenes_with_every_note_in_chinese_make_less_than_two_megabytes(tmp_path):
    story = thousand_takes(1000, 1)
    notes = {
        "shot": "全景",
        "camera": "固定，略俯，缓缓推近",
        "dialogue": "喂——带我一起飞吧！原来星星是从海里升起来的。",
        "note": "这一场要安静，为后面的星空留出对比。",
    }
    scenes = tuple(scene.model_copy(update=notes) for scene in story.scenes)
    manifest = story.model_copy(update={"scenes": scenes, "language": "zh"})
    path = write_sheet(paint_all(manifest, tmp_path, lambda take: solid((1, 2, 3))), tmp_path)
    assert path.stat().st_size < 2_000_000


def test_neither_grid_nor_sheet_imports_torch():
    code = "import renderer.grid, renderer.sheet, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
