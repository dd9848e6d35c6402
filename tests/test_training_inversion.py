"""`kind: textual-inversion`: what is trained, how captions say the new word, and the file it ends in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("lightning")

from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.kolors.text_encoder import ChatGLMModel

from renderer.errors import AuthoringError, DataError
from renderer.files import file_sha256
from renderer.kolors.embeddings import check_embedding, inspect_embedding, read_embedding
from renderer.kolors.encoder import Prompt, TextEncoder, encode_prompts
from renderer.kolors.files.lineage import lineage_of, read_card
from renderer.kolors.text import count_pieces, tokenize
from renderer.kolors.weights import load_denoiser
from renderer.take import Take, TakeEmbedding
from renderer.trainer.dataset import prepare_dataset
from renderer.trainer.export import LoraFacts
from renderer.trainer.fit import fit
from renderer.trainer.kinds.templates import CHINESE, ENGLISH, with_word
from renderer.trainer.kinds.textual_inversion import TextualInversionKind, first_vectors
from renderer.trainer.learning.chance import Lot, seeded
from renderer.trainer.learning.draws import Draws
from renderer.trainer.recipe import load_recipe
from tests.tiny_kolors import LENGTH, WIDTH
from tests.trainings import CPU, MadeUpStates, make_dataset, make_job, make_models, make_module, make_recipe

WORKED = Path(__file__).parent.parent / "storyboards" / "training"

torch.set_num_threads(1)

INVERSION = "kind: textual-inversion\ninversion: {token: mei, vectors: 3, init: red cat}\n"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def folder(models):
    return models / "tiny"


@pytest.fixture(scope="module")
def encoder(folder):
    return TextEncoder(folder, LENGTH, CPU, torch.float32)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("pictures"), (32, 32), (48, 32))


@pytest.fixture
def recipe_of(tmp_path, models):
    return lambda text="", inversion=INVERSION: make_recipe(
        tmp_path, models, f"image: {{size: 32, upscale: true}}\n{inversion}{text}"
    )


@pytest.fixture
def module_of(recipe_of, dataset):
    def make(text="", inversion=INVERSION, dtype=torch.float32):
        with seeded(Lot(0, "test", 0), CPU):
            return make_module(recipe_of(text, inversion), dataset, MadeUpStates(dtype))

    return make


FACTS = LoraFacts(
    name="mei",
    base_model="tiny@1",
    recipe="mei.yaml",
    recipe_digest="1" * 64,
    data_digest="2" * 64,
    step=3,
    steps=4,
    seed=0,
    pictures=2,
    resolution=(32, 32),
)


def draws_of(module, step=0):
    (batch,) = Draws(module.recipe, module._draws._groups).step(step)
    return batch.draws


def gradient(module, draws):
    (vectors,) = module.kind.trained().values()
    vectors.grad = None
    with seeded(Lot(0, "step", 0), CPU):
        loss = module.losses(draws).mean()
    loss.backward()
    return float(loss.detach()), vectors.grad


# Against plain torch.


def plain_torch(module, texts, draws):
    """Loss and gradient by diffusers' ChatGLM and UNet in fp64, with the vectors as spare rows of ChatGLM's table."""
    folder = module.recipe.model_folder
    chatglm = ChatGLMModel.from_pretrained(folder / "text_encoder").requires_grad_(False).double()
    unet = UNet2DConditionModel.from_pretrained(folder / "unet").requires_grad_(False).double()
    (vectors,) = module.kind.trained().values()
    table = chatglm.embedding.word_embeddings.weight
    spare = len(table) - len(vectors)
    table[spare:] = vectors.detach()
    table.requires_grad_()
    states, pooled = [], []
    for text in texts:
        tokens = tokenize(folder, text, LENGTH, {"mei": len(vectors)})
        assert tokens.vectors
        for place, (_, number) in tokens.vectors.items():
            tokens.ids[place] = spare + number
        ids, mask, positions = torch.tensor(tokens[:3]).unsqueeze(1)
        layers = chatglm(ids, positions, mask, output_hidden_states=True, return_dict=True).hidden_states
        states.append(layers[-2][:, 0])
        pooled.append(layers[-1][-1, 0])
    latents = torch.stack([module._states.latents(draw.sample, draw.view) for draw in draws])
    noise = torch.stack([draw.noise() for draw in draws])
    timesteps = torch.tensor([draw.timestep for draw in draws])
    betas = torch.linspace(0.00085**0.5, 0.014**0.5, 1100, dtype=torch.float64) ** 2
    signal = (1 - betas).cumprod(0)[timesteps].view(-1, 1, 1, 1)
    time_ids = torch.tensor([draw.view.time_ids for draw in draws]).double()
    predicted = unet(
        signal.sqrt() * latents + (1 - signal).sqrt() * noise,
        timesteps,
        torch.stack(states),
        added_cond_kwargs={"text_embeds": torch.stack(pooled), "time_ids": time_ids},
    ).sample
    loss = (predicted - noise).pow(2).mean()
    loss.backward()
    return float(loss.detach()), table.grad[spare:]


@pytest.mark.parametrize("switch", ["true", "false"])
def test_loss_and_gradient_equal_plain_torch(module_of, switch):
    module = module_of(f"train: {{batch: 2, gradient_checkpointing: {switch}}}", dtype=torch.float64).double()
    module.kind._encoder = TextEncoder(module.recipe.model_folder, LENGTH, CPU, torch.float64)
    draws, told = draws_of(module), []
    encode = module.kind._encode
    module.kind._encode = lambda text, vectors: told.append(text) or encode(text, vectors)
    loss, found = gradient(module, draws)
    expected_loss, expected = plain_torch(module, told[: len(draws)], draws)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert float((found - expected).norm() / expected.norm()) < 1e-5
    assert float(expected.abs().min()) > 1e-12


def test_saving_memory_changes_no_bit(module_of):
    one, other = (module_of(f"train: {{batch: 2, gradient_checkpointing: {it}}}") for it in ("true", "false"))
    (loss, found), (expected_loss, expected) = (gradient(it, draws_of(it)) for it in (one, other))
    assert (loss, found.tolist()) == (expected_loss, expected.tolist())


def test_gradient_crosses_an_encoder_in_half_precision_to_vectors_in_fp32(recipe_of):
    for dtype in (torch.float16, torch.bfloat16):
        recipe = recipe_of()
        kind = TextualInversionKind(recipe, load_denoiser(recipe.model_folder, CPU, dtype))
        with torch.autocast("cpu", torch.bfloat16):  # whose own type would be another
            read = kind.read("a <mei> cat")
        assert read.states.dtype == dtype
        read.states.float().square().mean().backward()
        (vectors,) = kind.trained().values()
        assert vectors.dtype == vectors.grad.dtype == torch.float32
        assert torch.isfinite(vectors.grad).all() and vectors.grad.abs().min() > 0


# How the vectors begin.


def entry_of(recipe_of, text):
    return recipe_of(inversion=f"kind: textual-inversion\ninversion: {{token: mei, {text}}}\n").inversion


def test_vectors_begin_as_the_rows_of_the_words(recipe_of, encoder):
    rows = encoder.rows("red cat on sofa")
    assert torch.equal(
        first_vectors(entry_of(recipe_of, f"vectors: {len(rows)}, init: red cat on sofa"), encoder), rows
    )


def test_words_of_fewer_pieces_are_said_over(recipe_of, encoder):
    rows = encoder.rows("red cat")
    found = first_vectors(entry_of(recipe_of, f"vectors: {2 * len(rows) + 1}, init: red cat"), encoder)
    assert torch.equal(found, torch.cat([rows, rows, rows[:1]]))


def test_words_of_more_pieces_are_averaged_with_their_neighbours(recipe_of, encoder):
    rows = encoder.rows("红色 沙发 夜晚")
    assert len(rows) > 2
    found = first_vectors(entry_of(recipe_of, "vectors: 2, init: 红色 沙发 夜晚"), encoder)
    half = (len(rows) + 1) // 2
    torch.testing.assert_close(found, torch.stack([rows[:half].mean(0), rows[half:].mean(0)]))


def test_a_word_of_no_meaning_begins_as_noise_of_the_tables_scale(recipe_of, encoder):
    entry = entry_of(recipe_of, "vectors: 30").model_copy(update={"vectors": 2000})
    with seeded(Lot(0, "test", 0), CPU):
        found = first_vectors(entry, encoder)
    assert found.shape == (2000, WIDTH)
    torch.testing.assert_close(found.mean(0), encoder.table.mean(0), atol=0.02, rtol=0)
    torch.testing.assert_close(found.std(0), encoder.table.std(0), atol=0, rtol=0.1)


def test_before_training_the_new_word_reads_as_the_words_it_began_with(module_of, encoder, folder):
    count = count_pieces(folder, "a red cat on the sofa") - count_pieces(folder, "a <w> on the sofa", {"w": 0})
    inversion = INVERSION.replace("vectors: 3", f"vectors: {count}")
    for keep_norm in ("", ", keep_norm: true"):
        kind = module_of(inversion=inversion.replace("}", keep_norm + "}")).kind
        read, expected = kind.read("a <mei> on the sofa"), encoder.encode("a red cat on the sofa")
        assert torch.equal(read.states, expected.states) and torch.equal(read.pooled, expected.pooled)


def test_more_vectors_than_the_encoder_reads_pieces_are_refused(recipe_of):
    with pytest.raises(AuthoringError, match=f"reads {LENGTH - 2} pieces; {LENGTH} vectors don't fit"):
        recipe_of(inversion=INVERSION.replace("vectors: 3", f"vectors: {LENGTH}"))


# What captions say.


def test_a_caption_says_the_word_in_its_own_language():
    chinese, english = with_word("<mei>", "在公园里"), with_word("<mei>", "in the park")
    assert chinese[0] == "<mei>，在公园里" and english[0] == "<mei>, in the park"
    assert set(chinese) == {f"{it.format('<mei>')}，在公园里" for it in CHINESE}
    assert set(english) == {f"{it.format('<mei>')}, in the park" for it in ENGLISH}


def test_without_a_caption_the_word_is_said_alone_in_both_languages():
    alone = with_word("<mei>", "")
    assert alone[0] == "<mei>"
    assert set(alone) == {it.format("<mei>") for it in (*CHINESE, *ENGLISH)}
    assert len(set(alone)) == len(alone) == len(CHINESE) + len(ENGLISH) - 1


@given(st.text(max_size=20))
def test_every_way_says_the_word_once_and_keeps_the_caption_whole(caption):
    caption = caption.replace("<mei>", "")
    for text in with_word("<mei>", caption):
        assert text.endswith(caption) and text.count("<mei>") == 1


def test_a_caption_that_says_the_word_stays_as_it_is(module_of):
    kind = module_of().kind
    assert {kind.said("一个<mei>，红色") for _ in range(20)} == {"一个<mei>，红色"}


def test_ways_are_drawn_by_lot_while_training_and_fixed_for_validation(module_of):
    kind = module_of().kind
    drawn = {kind.said("红色") for _ in range(200)}
    assert drawn == set(with_word("<mei>", "红色"))
    kind.eval()
    assert {kind.said("红色") for _ in range(20)} == {"<mei>，红色"}


def test_the_lot_follows_from_the_step_alone(module_of):
    kind = module_of().kind
    told = []
    for step in (1, 2, 1):
        with seeded(Lot(0, "process 0", step), CPU):
            told.append([kind.said("") for _ in range(8)])
    assert told[0] == told[2] != told[1]


def test_a_word_that_is_cut_off_with_the_texts_end_is_put_in_front(module_of, folder):
    kind, long = module_of().kind, "红色" * LENGTH
    assert kind.said(f"{long}<mei>").endswith(f"，{long}<mei>")
    assert kind.read(f"{long}<mei>").states.requires_grad


def test_caption_that_is_left_out_leaves_the_word(module_of):
    module = module_of("train: {caption_dropout: 0.99}")
    draws = next(draws for draws in (draws_of(module, step) for step in range(50)) if draws[0].text == "")
    _, found = gradient(module, draws)
    assert found.abs().min() > 0


# Training.


def train(folder, models, text="", inversion=INVERSION, tell=lambda progress: None):
    """Trains in `folder`; the job and its result."""
    job = make_job(folder, models, f"image: {{size: 32, upscale: true}}\n{inversion}{text}", tell)
    return job, fit(job, "cpu")


SHORT = "train: {steps: 4, batch: 2, learning_rate: 0.05}\ncheckpoints: {every: 2}\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory, models):
    return train(tmp_path_factory.mktemp("trained"), models, SHORT + "trigger_words: [小狗]\n")


def test_a_training_leaves_an_embedding_with_its_facts(trained, folder):
    job, result = trained
    header = inspect_embedding(result.file)
    assert (header.vectors, header.width) == (3, WIDTH)
    sha256 = check_sha256(result.file, folder)
    lineage = lineage_of(result.file, sha256)
    assert lineage.recipe == "pencil.yaml" and lineage.step == "4" and lineage.base_model == "tiny@1"
    assert lineage.trigger_words == "<mei>, 小狗"
    card = read_card(result.file, sha256)
    assert (card["kind"], card["recipe_digest"]) == ("textual-inversion", job.recipe.digest)
    assert card["losses"].keys() == {"train"} and card["sha256"] == sha256
    assert "rank" not in card and "alpha" not in card
    result.file.with_suffix(".json").unlink()
    assert lineage_of(result.file, sha256) == lineage
    assert inspect_embedding(job.result_at(2)).metadata["step"] == "2"


def check_sha256(file, folder):
    """The hash under which the painter takes the file."""
    sha256 = file_sha256(file)
    check_embedding(TakeEmbedding("mei", sha256, path=file), folder)
    return sha256


def test_vectors_learn(trained, encoder):
    job, result = trained
    first = first_vectors(job.recipe.inversion, encoder)
    assert (read_embedding(result.file) - first).abs().min(dim=1).values.max() > 0
    assert (read_embedding(result.file) - read_embedding(job.result_at(2))).abs().max() > 0.01


def test_same_training_gives_the_same_file(tmp_path, models, trained):
    _, result = train(tmp_path, models, SHORT + "trigger_words: [小狗]\n")
    assert result.file.read_bytes() == trained[1].file.read_bytes()


class Killed(Exception):
    """Stands for the end of the process."""


def test_training_gone_on_with_gives_the_file_of_one_never_stopped(tmp_path, models, trained):
    def kill(progress):
        if progress.stage == "training" and progress.done == 3:
            raise Killed

    with pytest.raises(Killed):
        train(tmp_path, models, SHORT + "trigger_words: [小狗]\n", tell=kill)
    told = []
    _, result = train(tmp_path, models, SHORT + "trigger_words: [小狗]\n", tell=told.append)
    assert next(it.done for it in told if it.stage == "training") == 2
    assert result.file.read_bytes() == trained[1].file.read_bytes()


def test_the_model_stays_as_it_was_bit_for_bit(module_of):
    module = module_of("train: {batch: 2, weight_decay: 0.5}")
    kind = module.kind
    read = (kind._encoder.table, *(it for layer in kind._encoder._layers for it in layer.state_dict().values()))
    frozen = [it.clone() for it in read]
    unet = {name: it.clone() for name, it in module.unet.state_dict().items()}
    optimizer = torch.optim.AdamW(kind.trained().values(), lr=0.1)
    for step in range(3):
        gradient(module, draws_of(module, step))
        optimizer.step()
    assert len(frozen) > 1 and all(map(torch.equal, read, frozen))
    assert all(torch.equal(it, unet[name]) for name, it in module.unet.state_dict().items())
    assert all(it.grad is None for it in (*read, *module.unet.parameters()))


def test_the_painter_reads_the_file_as_training_reads_the_vectors(module_of, tmp_path, folder):
    for inversion in (INVERSION, INVERSION.replace("}", ", keep_norm: true}")):
        kind = module_of(inversion=inversion).kind
        for parameter in kind.trained().values():
            parameter.data += torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
        sha256 = kind.write(tmp_path / "mei.safetensors", FACTS)
        embedding = TakeEmbedding("mei", sha256, path=tmp_path / "mei.safetensors")
        for text in ("a <mei> cat", "<mei>，红色 <mei>"):
            (painted,) = encode_prompts(folder, [Prompt.of(text, [embedding])], LENGTH, CPU, torch.float32).values()
            learned = kind.read(text)
            assert torch.equal(learned.states, painted.states) and torch.equal(learned.pooled, painted.pooled)


def test_vectors_that_keep_their_lengths_learn_their_directions(module_of, tmp_path):
    module = module_of("train: {batch: 2}", INVERSION.replace("}", ", keep_norm: true}"))
    before = module.kind.vectors.detach()
    optimizer = torch.optim.AdamW(module.kind.trained().values(), lr=0.5)
    for step in range(3):
        gradient(module, draws_of(module, step))
        optimizer.step()
    module.kind.write(tmp_path / "mei.safetensors", FACTS)
    written = read_embedding(tmp_path / "mei.safetensors")
    torch.testing.assert_close(written.norm(dim=1), before.norm(dim=1))
    assert torch.cosine_similarity(written, before).max() < 0.9


def test_samples_are_painted_with_the_word_where_their_texts_say_it(module_of, tmp_path):
    kind = module_of().kind
    take = Take("sample-1", 0, "a <mei>", "", 32, 32, 4, 4.0, "ddim", "tiny@1")
    its = (TakeEmbedding("mei", "3" * 64, path=tmp_path),)
    assert kind.added(take, tmp_path, "3" * 64).embeddings == its
    assert kind.added(replace(take, prompt="a", negative="<mei>"), tmp_path, "3" * 64).embeddings == its
    assert kind.added(replace(take, prompt="a mei"), tmp_path, "3" * 64) == replace(take, prompt="a mei")


def test_the_word_is_the_first_of_the_trigger_words(module_of):
    kind = module_of().kind
    assert kind.described(FACTS).trigger_words == ("<mei>",)
    assert kind.described(replace(FACTS, trigger_words=("小狗", "<mei>"))).trigger_words == ("<mei>", "小狗")


# Data sets.


def test_pictures_without_captions_will_do_for_a_new_word_and_for_nothing_else(tmp_path_factory, models):
    pictures, run = (tmp_path_factory.mktemp(name) for name in ("pictures", "run"))
    make_dataset(pictures)
    image = "image: {size: 32, upscale: true}\n"
    dataset = prepare_dataset(make_recipe(pictures, models, image + INVERSION), run, lambda *_: None)
    assert [sample.caption for sample in dataset.samples] == [""] * 4
    assert dataset.findings == ()
    with pytest.raises(DataError, match="4 no caption"):
        prepare_dataset(make_recipe(pictures, models, image), run, lambda *_: None)


def test_the_worked_recipe_is_ready_to_train(tmp_path):
    recipe = load_recipe(WORKED / "tang.yaml")
    assert recipe.warnings == ()
    assert all("<tang>" in prompt for prompt in recipe.samples.prompts[:2])
    dataset = prepare_dataset(recipe, tmp_path, lambda *_: None)
    assert (len(dataset.samples), dataset.findings) == (12, ())
    assert not any("<tang>" in sample.caption or "girl" in sample.caption for sample in dataset.samples)
