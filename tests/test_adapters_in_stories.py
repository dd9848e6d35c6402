"""Embeddings and hypernetworks in stories: found, checked, used where they are meant, recorded and shown."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from renderer.errors import AuthoringError
from renderer.export import export_story
from renderer.inspection import scene_yaml
from renderer.kolors.text import count_pieces
from renderer.manifest import read_manifest
from renderer.metadata import parse_infotext, read_texts, write_infotext
from renderer.plan import Plan
from renderer.take import TakeEmbedding, TakeHypernetwork
from tests.fakes import make_take
from tests.pages import parse, select, words
from tests.stories import MINI, render_fake, write_story
from tests.sweeps import planned
from tests.trained import mini, save_embedding, save_hypernetwork, save_lora

STORY = """\
size: 96x96
style: 动漫风格
negative: 模糊，<bad>
embeddings: [mei-face, bad]
hypernetworks: [{name: glow, strength: 0.5}]
characters:
  lin: {prompt: <lin>少女, embeddings: [lin]}
scenes:
  - {id: sofa, prompt: <mei-face>坐在沙发上}
  - {id: park, prompt: "{lin}，在公园", hypernetworks: [glow, rain]}
  - {id: sea, prompt: 海边, negative: {replace: ""}, hypernetworks: {replace: []}}
"""


@pytest.fixture
def folder(tmp_path):
    """Three embeddings and two hypernetworks, beside where the story will lie."""
    loras = tmp_path / "lora_weights"
    for number, name in enumerate(("mei-face", "bad", "lin"), 1):
        save_embedding(loras, name, number, recipe=f"{name}.yaml", step=100 * number, base_model=MINI.edition)
    save_hypernetwork(loras, "glow", recipe="glow.yaml")
    save_hypernetwork(loras, "rain", value=0.2)
    return tmp_path


def plan_of(folder: Path, text: str = STORY) -> Plan:
    return planned(write_story(folder, text))


def warnings(folder: Path, text: str) -> list[str]:
    return [str(problem).removeprefix(f"{folder}/tale.yaml:") for problem in plan_of(folder, text).warnings]


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(AuthoringError) as error:
        plan_of(folder, text)
    return [str(problem).removeprefix(f"{folder}/tale.yaml:") for problem in error.value.problems]


def test_a_take_carries_only_what_its_own_texts_use(folder):
    takes = [each.take for each in plan_of(folder).takes]
    assert [[used.name for used in take.embeddings] for take in takes] == [["bad", "mei-face"], ["bad", "lin"], []]
    for take in takes:
        for used in take.embeddings:
            assert used.path == folder / f"lora_weights/{used.name}.safetensors"
    assert takes[0].record["embeddings"] == [{"name": used.name, "sha256": used.sha256} for used in takes[0].embeddings]
    assert "embeddings" not in takes[2].record


def test_hypernetworks_stack_as_loras_do(folder):
    takes = [each.take for each in plan_of(folder).takes]
    assert [[(used.name, used.strength) for used in take.hypernetworks] for take in takes] == [
        [("glow", 0.5)],
        [("glow", 1.0), ("rain", 1.0)],
        [],
    ]
    assert takes[0].record["hypernetworks"] == [{"sha256": takes[0].hypernetworks[0].sha256, "strength": 0.5}]
    assert "hypernetworks" not in takes[2].record


def test_listing_what_no_text_uses_leaves_keys_as_they_are(folder):
    plain = "scenes: [{prompt: 海边}]\n"
    (listed,), (bare,) = plan_of(folder, f"embeddings: [mei-face]\n{plain}").takes, plan_of(folder, plain).takes
    assert listed.take.key == bare.take.key


def test_a_scene_adds_embeddings_or_replaces_those_of_the_story(folder):
    text = """\
embeddings: [mei-face]
scenes:
  - {id: a, prompt: <mei-face>和<lin>}
  - {id: b, prompt: <mei-face>和<lin>, embeddings: [lin]}
  - {id: c, prompt: <mei-face>和<lin>, embeddings: {replace: [lin]}}
"""
    takes = [each.take for each in plan_of(folder, text).takes]
    assert [[used.name for used in take.embeddings] for take in takes] == [["mei-face"], ["lin", "mei-face"], ["lin"]]


def test_a_wildcard_may_choose_an_embedding(folder):
    text = 'embeddings: [mei-face, lin]\nscenes: [{prompt: "<{mei-face|lin}>", seeds: {count: 20}}]'
    used = {tuple(each.name for each in planned.take.embeddings) for planned in plan_of(folder, text).takes}
    assert used == {("mei-face",), ("lin",)}


def test_a_characters_embedding_comes_only_where_the_character_appears(folder):
    text = """\
characters:
  lin: {prompt: 少女, embeddings: [lin]}
scenes:
  - {id: a, prompt: "{lin}<lin>"}
  - {id: b, prompt: <lin>}
"""
    takes = [each.take for each in plan_of(folder, text).takes]
    assert [len(take.embeddings) for take in takes] == [1, 0]


def test_a_path_is_relative_to_the_file_that_names_it(folder):
    (folder / "lora_weights").rename(folder / "faces")
    text = "embeddings: [faces/mei-face.safetensors]\nscenes: [{prompt: <mei-face>}]"
    (only,) = plan_of(folder, text).takes
    assert [used.name for used in only.take.embeddings] == ["mei-face"]


@pytest.mark.parametrize(
    ("board", "told"),
    [
        ("embeddings: [mei-fase]", '1:14: embeddings[0]: there is no embedding "mei-fase". Did you mean "mei-face"?'),
        ("embeddings: [lin, lin]", '1:19: embeddings[1]: the embedding "lin" is given twice. Keep one of them.'),
        ("embeddings: lin", "embeddings: expected a list"),
        ("embeddings: [{name: lin}]", "embeddings[0]: expected text, got a mapping."),
        ("embeddings: ['']", "embeddings[0]:"),
        ("hypernetworks: [glwo]", '1:17: hypernetworks[0]: there is no hypernetwork "glwo". Did you mean "glow"?'),
        ("hypernetworks: [glow, {name: glow}]", 'hypernetworks[1]: the hypernetwork "glow" is given twice.'),
        ("hypernetworks: [{name: glow, strength: 9}]", "hypernetworks[0].strength: has to be at most 4, got 9."),
        ("hypernetworks: [{name: glow, alpha: 2}]", 'unknown key "alpha".'),
        ("hypernetwork: [glow]", 'unknown key "hypernetwork". Write "hypernetworks".'),
        ("textual_inversion: [lin]", 'unknown key "textual_inversion". Write "embeddings".'),
    ],
)
def test_what_is_listed_wrongly_is_told_at_its_place(folder, board, told):
    (line,) = problems(folder, f"{board}\nscenes: [{{prompt: x}}]")
    assert told in line


def test_files_that_can_not_be_used_are_told_all_at_once(folder):
    loras = folder / "lora_weights"
    save_lora(loras)
    save_embedding(loras, "wide", width=4096)
    save_hypernetwork(loras, "other", width=7)
    (loras / "torn.safetensors").write_bytes(b"torn")
    text = """\
embeddings: [wide, torn, pencil]
hypernetworks: [other, lin]
loras: [glow]
scenes: [{prompt: x}]
"""
    told = problems(folder, text)
    assert [line.partition(": ")[0] for line in told] == ["1:14", "1:20", "1:26", "2:17", "2:24", "3:9"]
    reasons = (
        "made for another model: its vectors have 4096 numbers",
        "damaged",
        "`loras:`",
        "made for another model",
        "`embeddings:`",
        "`hypernetworks:`",
    )
    for line, reason in zip(told, reasons, strict=True):
        assert reason in line


def test_a_name_that_stays_text_is_warned_of_where_there_is_such_an_embedding(folder):
    text = """\
style: <bad>风格
negative: <mei-face>
characters:
  lin: {prompt: <lin>少女}
scenes:
  - {prompt: "{lin}，<glow>，<nobody>", seeds: [0, 1]}
  - {prompt: 海边}
"""
    assert warnings(folder, text) == [
        '1:8: style: "<bad>" is read as plain text: the embedding is not listed. Add embeddings: [bad].',
        '4:17: characters.lin.prompt: "<lin>" is read as plain text: the embedding is not listed. '
        "Add embeddings: [lin].",
        '2:11: negative: "<mei-face>" is read as plain text: the embedding is not listed. Add embeddings: [mei-face].',
    ]


def test_an_embedding_that_no_text_uses_is_warned_of(folder):
    text = """\
embeddings: [mei-face, bad]
characters:
  lin: {prompt: 少女, embeddings: [lin]}
scenes:
  - {prompt: "{lin}<mei-face>"}
"""
    assert warnings(folder, text) == [
        '3:34: characters.lin.embeddings[0]: no prompt or negative has "<lin>". '
        "Write it there, or take the embedding off the list.",
        '1:24: embeddings[1]: no prompt or negative has "<bad>". Write it there, or take the embedding off the list.',
    ]


def test_a_shared_cast_may_list_more_than_a_story_needs(folder):
    (folder / "cast.yaml").write_text("embeddings: [mei-face, bad]\n", encoding="utf-8")
    assert warnings(folder, "include: cast.yaml\nscenes: [{prompt: <bad>}]") == []


def test_an_embedding_of_another_edition_is_warned_of(folder):
    save_embedding(folder / "lora_weights", "old", base_model="kolors-mini@0")
    (told,) = warnings(folder, "embeddings: [old]\nscenes: [{prompt: <old>}]")
    assert f"old was trained on kolors-mini@0, and this story is painted with {MINI.edition}." in told


def test_every_vector_counts_as_a_piece(folder):
    save_embedding(folder / "lora_weights", "long", vectors=300)
    (told,) = warnings(folder, "embeddings: [long]\nscenes: [{prompt: 一个女孩，<long>}]")
    assert "pieces; this is cut before “<long>”." in told
    assert warnings(folder, "scenes: [{prompt: 一个女孩}]") == []
    assert count_pieces(mini(), "<long>", {"long": 300}) == 300


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("<mei-face>坐", "<mei-face>和<lin>坐", "prompt edited"),
        ("embeddings: [mei-face, bad]", "embeddings: [bad]", "embedding mei-face removed"),
        ("strength: 0.5", "strength: 0.7", "hypernetwork glow: strength 0.5 → 0.7"),
        ("{name: glow, strength: 0.5}", "rain", "hypernetwork rain added, hypernetwork glow removed"),
    ],
)
def test_the_plan_says_what_changed(folder, old, new, told):
    render_fake(write_story(folder, STORY))
    assert next(each for each in plan_of(folder, STORY.replace(old, new)).takes if each.reason).reason == told


def test_a_file_that_changed_is_told(folder):
    render_fake(write_story(folder, STORY))
    save_embedding(folder / "lora_weights", "mei-face", 3)
    save_hypernetwork(folder / "lora_weights", "rain", value=0.9)
    assert {each.take.scene: each.reason for each in plan_of(folder).takes if each.reason} == {
        "sofa": "embedding mei-face: file changed",
        "park": "hypernetwork rain: file changed",
    }


def test_the_order_of_hypernetworks_is_told(folder):
    text = "hypernetworks: [glow, rain]\nscenes: [{prompt: x}]"
    render_fake(write_story(folder, text))
    (only,) = plan_of(folder, text.replace("glow, rain", "rain, glow")).takes
    assert only.reason == "hypernetworks in another order"


def test_the_infotext_is_a1111s():
    take = make_take(
        prompt="<mei-face> in a park",
        embeddings=(TakeEmbedding("bad", "ab" * 32), TakeEmbedding("mei-face", "cd" * 32)),
        hypernetworks=(TakeHypernetwork("glow", "ef" * 32, 0.5), TakeHypernetwork("rain", "01" * 32)),
    )
    text = write_infotext(take)
    assert text.startswith("<mei-face> in a park <hypernet:glow:0.5> <hypernet:rain:1>\n")
    assert 'TI hashes: "bad: ababababab, mei-face: cdcdcdcdcd"' in text
    info = parse_infotext(text)
    assert (info.prompt, info.hypernetworks, info.loras) == ("<mei-face> in a park", {"glow": 0.5, "rain": 1.0}, {})


def test_takes_without_either_have_the_infotext_they_had():
    text = write_infotext(make_take())
    assert "TI hashes" not in text and "hypernet" not in text


def test_a_picture_gives_back_what_it_was_painted_with(folder):
    result, _ = render_fake(write_story(folder, STORY))
    take = result.plan.takes[0].take
    (picture,) = (result.plan.folder / "pictures").glob(f"*{take.key[:12]}.png")
    assert read_texts(picture)["parameters"].count("<hypernet:glow:0.5>") == 1
    text = scene_yaml(picture)
    assert "# Painted with embeddings, hypernetworks; name their files to paint it again:" in text
    again = "embeddings: [bad, mei-face]\nhypernetworks: [{name: glow, strength: 0.5}]\n" + text
    assert "#   - mei-face  # " in text and "#   - {name: glow, strength: 0.5}  # " in text
    (only,) = planned(write_story(folder, again, "again.yaml")).takes
    assert only.take.key == take.key


def test_a_file_of_one_kind_can_not_be_listed_as_another_too(folder):
    save_lora(folder / "lora_weights")
    text = "loras: [pencil]\nembeddings: [pencil]\nhypernetworks: [pencil]\nscenes: [{prompt: <pencil>}]"
    embeddings, hypernetworks = problems(folder, text)
    assert "2:14: " in embeddings and "not for `embeddings:` but for `loras:`" in embeddings
    assert "3:17: " in hypernetworks and "not for `hypernetworks:` but for `loras:`" in hypernetworks


def test_a_cast_may_have_embeddings_that_fit_only_the_stories_they_are_for(folder):
    save_embedding(folder / "lora_weights", "wide", width=4096)
    (folder / "cast.yaml").write_text("characters: {wu: {prompt: <wide>, embeddings: [wide]}}", encoding="utf-8")
    assert len(plan_of(folder, "include: cast.yaml\nscenes: [{prompt: 海边}]").takes) == 1
    assert problems(folder, "include: cast.yaml\nscenes: [{prompt: '{wu}'}]")


def test_names_that_yaml_would_read_otherwise_are_quoted(folder):
    save_hypernetwork(folder / "lora_weights", "glow, more")
    save_hypernetwork(folder / "lora_weights", "12")
    text = "hypernetworks: ['glow, more', '12']\nscenes: [{prompt: 海边}]"
    result, _ = render_fake(write_story(folder, text))
    (picture,) = (result.plan.folder / "pictures").glob("*.png")
    said = scene_yaml(picture)
    assert '{name: "glow, more", strength: 1}' in said and '{name: "12", strength: 1}' in said


def test_two_files_of_one_name_are_not_taken_for_one_another(folder):
    for place in ("old", "new"):
        save_hypernetwork(folder / place, "glow", value=0.1 if place == "old" else 0.2)
    text = "hypernetworks: [old/glow.safetensors, new/glow.safetensors, rain]\nscenes: [{prompt: 海边}]"
    result, _ = render_fake(write_story(folder, text))
    (picture,) = (result.plan.folder / "pictures").glob("*.png")
    assert scene_yaml(picture).count('{name: "?", strength: 1}') == 3


def test_the_sheet_shows_them_with_where_they_come_from(folder):
    result, _ = render_fake(write_story(folder, STORY))
    manifest = read_manifest(result.plan.folder)
    take = result.plan.takes[0].take
    assert manifest.lineage[take.embeddings[1].sha256].recipe == "mei-face.yaml"
    assert manifest.lineage[take.hypernetworks[0].sha256].recipe == "glow.yaml"
    page = parse(result.sheet.read_text(encoding="utf-8"))
    (told,) = select(page, "#story")
    assert '"embeddings":[{"name":"bad","sha256":' in words(told)
    assert '"hypernetworks":[{"name":"glow","strength":0.5,"sha256":' in words(told)
    assert '["lora_recipe","mei-face.yaml"]' in words(told)


def test_a_package_lists_all_trained_files(folder):
    result, _ = render_fake(write_story(folder, STORY))
    exported = export_story(folder / "tale.yaml", "zip", out=result.plan.folder).path
    with zipfile.ZipFile(exported) as archive:
        listed = archive.read("tale/loras.txt").decode().splitlines()
    assert [line.split()[0] for line in listed] == sorted(
        f"{name}.safetensors" for name in ("bad", "glow", "lin", "mei-face", "rain")
    )


def test_planning_needs_no_torch(folder):
    story = write_story(folder, STORY)
    code = f"import sys; from renderer.plan import plan_story; plan_story({str(story)!r}).warnings; "
    done = subprocess.run(
        [sys.executable, "-c", code + "print([m for m in ('torch', 'lightning', 'peft') if m in sys.modules])"],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.stdout.strip() == "[]", done.stderr
