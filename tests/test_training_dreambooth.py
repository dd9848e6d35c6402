"""DreamBooth: class pictures painted once, the prior's share of loss and gradient, and what the result says of it."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

lightning = pytest.importorskip("lightning")

from safetensors.torch import load_file  # noqa: E402

from renderer.cli import app  # noqa: E402
from renderer.errors import TrainingError  # noqa: E402
from renderer.files import file_sha256  # noqa: E402
from renderer.kolors.pipeline import KolorsPainter  # noqa: E402
from renderer.metadata import read_record  # noqa: E402
from renderer.trainer.dataset import Dataset, prepare_dataset  # noqa: E402
from renderer.trainer.fit import fit  # noqa: E402
from renderer.trainer.kinds.class_painting import class_take, painted_folder  # noqa: E402
from renderer.trainer.kinds.dreambooth import DreamboothKind  # noqa: E402
from renderer.trainer.learning.chance import Lot, seeded  # noqa: E402
from renderer.trainer.recipe import load_recipe  # noqa: E402
from tests.fakes import FakePainter  # noqa: E402
from tests.test_training_module import apart, move, plain_torch  # noqa: E402
from tests.trainings import CPU, MadeUpStates, make_job, make_models, make_module  # noqa: E402

torch.set_num_threads(1)

PROMPT = "一个女孩"
LORA = "image: {size: 32}\nlora: {rank: 2}\n"
TRAINING = Path("storyboards/training")


def text(pictures=3, prior=0.7, more="", **section):
    values = {"class_prompt": PROMPT, "class_pictures": pictures, "prior_weight": prior} | section
    return f"kind: dreambooth\n{LORA}dreambooth: {{{', '.join(f'{key}: {it}' for key, it in values.items())}}}\n{more}"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def job_of(tmp_path, models):
    """Makes the job of a recipe, in one working folder unless told otherwise."""

    def make(recipe: str = text(), folder: str = "work", tell=lambda progress: None):
        return make_job(tmp_path / folder, models, recipe, tell)

    return make


def completed(job, painter=None) -> Dataset:
    return DreamboothKind.completed(job, lambda: painter or FakePainter())


def of_class(dataset):
    return [sample for sample in dataset.samples if sample.regularizing]


def seeds(painter):
    return [take.seed for take in painter.asked]


def no_painter():
    raise AssertionError("nothing was to be painted")


# Class pictures that are painted.


def test_class_pictures_are_painted_from_the_first_seed_with_the_card_s_defaults(job_of):
    job, painter = job_of(), FakePainter()
    dataset = completed(job, painter)
    assert seeds(painter) == [0, 1, 2]
    take, card = painter.asked[0], job.recipe.card
    assert (take.prompt, take.negative, take.model, take.loras) == (PROMPT, "", "tiny@1", ())
    assert (take.width, take.height) == card.size
    assert (take.steps, take.guidance, take.sampler) == (card.steps, card.guidance, card.sampler)
    assert dataset.samples[:4] == job.dataset.samples
    assert [sample.caption for sample in of_class(dataset)] == [PROMPT] * 3
    assert [sample.sha256 for sample in of_class(dataset)] == [file_sha256(sample.path) for sample in of_class(dataset)]


def test_they_are_painted_once_for_all_trainings_of_a_class(job_of):
    first = completed(job_of())
    again = FakePainter()
    assert completed(job_of(), again).digest == first.digest
    assert not again.asked
    job = job_of(text(pictures=5, prior=0.5))
    more = FakePainter()
    completed(job, more)
    assert seeds(more) == [3, 4]
    other = FakePainter()
    completed(job_of(text(class_prompt="一个男孩")), other)
    assert seeds(other) == [0, 1, 2]


def test_what_was_painted_before_a_kill_is_kept(job_of):
    with pytest.raises(KeyboardInterrupt):
        completed(job_of(), FakePainter(interrupt_after=2))
    painter = FakePainter()
    completed(job_of(), painter)
    assert seeds(painter) == [2]


def test_a_damaged_or_foreign_file_is_painted_anew(job_of):
    job = job_of()
    completed(job)
    folder = painted_folder(job)
    (folder / "000000.png").write_bytes((folder / "000000.png").read_bytes()[:-40])
    (folder / "000001.png").write_bytes((folder / "000002.png").read_bytes())
    painter = FakePainter()
    completed(job, painter)
    assert seeds(painter) == [0, 1]
    assert [read_record(folder / f"00000{seed}.png")["seed"] for seed in range(3)] == [0, 1, 2]


def test_the_painting_is_told(job_of):
    told = []
    completed(job_of(tell=lambda it: told.append((it.stage, it.done, it.total))))
    assert [it for it in told if it[0] == "class pictures"] == [("class pictures", done, 3) for done in range(4)]


def test_pictures_that_can_t_be_painted_end_it_with_the_reason(job_of):
    words = r"pencil\.yaml: dreambooth: 3 of 3 class pictures can't be painted: the fake was told to fail\."
    with pytest.raises(TrainingError, match=words):
        completed(job_of(), FakePainter(failing=("class",)))


@pytest.mark.parametrize(
    ("image", "size"),
    [("{size: 16}", (32, 32)), ("{size: 64x48}", (64, 48)), ("{size: 64x48, upscale: true}", (32, 32))],
)
def test_they_are_painted_at_the_card_s_size_unless_larger_ones_are_trained_on(job_of, image, size):
    recipe = job_of(text().replace("{size: 32}", image)).recipe
    take = class_take(recipe, 0)
    assert (take.width, take.height) == size


def test_the_storyboards_pipeline_paints_them_each_as_if_alone(job_of):
    job = job_of(text(pictures=1))
    painter = KolorsPainter(job.recipe.model_folder, "cpu")
    completed(job, painter)
    job = job_of(text(pictures=3))
    dataset = completed(job, painter)
    takes = [class_take(job.recipe, seed) for seed in range(3)]
    painted = list(KolorsPainter(job.recipe.model_folder, "cpu").paint(takes, lambda progress: None))
    for sample, expected in zip(of_class(dataset), painted, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(sample.path)), expected.pixels)


# Class pictures of one's own.


def own_pictures(job, count=3, size=(40, 40)):
    folder = job.recipe.class_folder
    folder.mkdir(exist_ok=True)
    for number in range(count):
        pixels = np.random.default_rng(100 + number).integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_own_class_pictures_come_first_and_missing_ones_are_painted(job_of):
    job = job_of(text(pictures=5, class_folder="../girls"))
    folder = own_pictures(job)
    painter = FakePainter()
    found = of_class(completed(job, painter))
    assert seeds(painter) == [0, 1]
    assert [sample.path.parent for sample in found] == [folder] * 3 + [painted_folder(job)] * 2
    assert [sample.name for sample in found] == [
        *(f"class/{number}.png" for number in range(3)),
        *(f"class/painted/00000{number}.png" for number in range(2)),
    ]
    assert {sample.caption for sample in found} == {PROMPT}


def test_of_enough_own_pictures_the_first_are_taken_and_none_is_painted(job_of):
    job = job_of(text(pictures=2, class_folder="../girls"))
    own_pictures(job, 4)
    dataset = DreamboothKind.completed(job, no_painter)
    assert [sample.name for sample in of_class(dataset)] == ["class/0.png", "class/1.png"]


def test_own_pictures_go_through_the_same_checks_and_are_replaced_where_they_fail(job_of):
    job = job_of(text(pictures=3, class_folder="../girls"))
    folder = own_pictures(job)
    (folder / "0.png").write_bytes((folder / "0.png").read_bytes()[:200])
    Image.new("RGB", (8, 8)).save(folder / "1.png")
    painter = FakePainter()
    dataset = completed(job, painter)
    assert seeds(painter) == [0, 1]
    left_out = {finding.name: finding.reason for finding in dataset.findings if finding.left_out}
    assert left_out == {"class/0.png": "truncated", "class/1.png": "too_small"}


def test_class_pictures_have_a_page_of_their_own(job_of):
    job = job_of(text(pictures=3, class_folder="../girls"))
    own_pictures(job, 1)
    completed(job)
    page = (job.run / "class" / "index.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("0.png", "painted/000000.png", "painted/000001.png", PROMPT))


# Loss and gradient.


def step_gradient(module):
    """The gradient of the module's first step, as its optimizer would be given it."""
    found = {}

    class Look(lightning.Callback):
        def on_before_optimizer_step(self, trainer, module, optimizer):
            found.update({name: it.grad.clone() for name, it in module.kind.trained().items()})

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = lightning.Trainer(accelerator="cpu", max_steps=1, callbacks=[Look()], **quiet)
    trainer.fit(module)
    return float(module.loss), found


@pytest.mark.filterwarnings("ignore")  # Lightning's, of frozen modules and of its own use of torch
def test_a_step_s_gradient_is_the_subject_s_and_so_many_tenths_of_the_class_s(job_of):
    job = job_of(text(more="train: {batch: 2}\n"))
    with seeded(Lot(0, "test", 0), CPU):
        module = make_module(job.recipe, completed(job), MadeUpStates(torch.float64)).double()
        move(module)
    subject, prior = module._draws.step(0)
    assert {draw.sample.regularizing for draw in subject.draws} == {False}
    assert {draw.sample.regularizing for draw in prior.draws} == {True}
    (loss, of_subject), (prior_loss, of_prior) = (plain_torch(module, it.draws) for it in (subject, prior))
    expected = {name: it + 0.7 * of_prior[name] for name, it in of_subject.items()}
    found_loss, found = step_gradient(module)
    assert found_loss == pytest.approx(loss + 0.7 * prior_loss, rel=1e-5)
    assert apart(found, expected) < 1e-5
    assert apart({name: it - of_subject[name] for name, it in found.items()}, of_prior) == pytest.approx(0.3, abs=1e-5)


def test_without_a_prior_it_is_a_lora_bit_for_bit(job_of):
    train = "train: {steps: 2, learning_rate: 0.01, gradient_checkpointing: false}\n"
    plain = fit(job_of(f"{LORA}{train}", "plain"), "cpu")
    prior = fit(job_of(text(prior=0, more=train), "prior"), "cpu", lambda recipe, device: no_painter())
    taught = fit(job_of(text(prior=0.7, more=train), "taught"), "cpu", lambda recipe, device: FakePainter())
    tensors, same, other = (load_file(result.file) for result in (plain, prior, taught))
    assert tensors.keys() == same.keys()
    assert all(torch.equal(tensors[name], same[name]) for name in tensors)
    assert not all(torch.equal(tensors[name], other[name]) for name in tensors)


# The training as a whole.


def killed_at(step):
    """Ends the process' work at once, as `kill -9` does, in the middle of a step."""

    def tell(progress):
        if progress.stage == "training" and progress.done == step:
            raise SystemError("killed")

    return tell


def test_a_killed_training_goes_on_to_the_same_file_and_paints_nothing_again(job_of):
    train = "train: {steps: 4, learning_rate: 0.01, gradient_checkpointing: false}"
    recipe = text(more=f"{train}\ncheckpoints: {{every: 2, files: false}}\n")
    whole = fit(job_of(recipe, "whole"), "cpu", lambda recipe, device: FakePainter())
    with pytest.raises(SystemError):
        fit(job_of(recipe, "killed", killed_at(3)), "cpu", lambda recipe, device: FakePainter())
    resumed = fit(job_of(recipe, "killed"), "cpu", lambda recipe, device: no_painter())
    assert file_sha256(resumed.file) == file_sha256(whole.file)


def test_another_class_is_another_training(job_of):
    painter = FakePainter()
    fit(job_of(text(more="train: {steps: 1}\n")), "cpu", lambda recipe, device: painter)
    other = job_of(text(class_prompt="一个男孩", more="train: {steps: 1}\n"))
    with pytest.raises(TrainingError, match=r"class_prompt was 一个女孩 and is 一个男孩"):
        fit(other, "cpu", lambda recipe, device: no_painter())


def test_the_result_says_what_it_was_kept_apart_from(job_of, monkeypatch):
    job = job_of(text(more="train: {steps: 1}\ntrigger_words: [sks]\n"))
    result = fit(job, "cpu", lambda recipe, device: FakePainter())
    shown = CliRunner().invoke(app, ["loras", "inspect", str(result.file)]).output
    for line in ("class prompt  一个女孩", "prior weight  0.7", "trigger words sks", "ss_num_reg_images: 3"):
        assert line in shown.splitlines()
    assert "modelspec.tags: tiny, dreambooth, lora" in shown
    assert "ss_num_train_images: 4" in shown
    monkeypatch.chdir(result.file.parent)
    listed = CliRunner().invoke(app, ["loras", "list", "--loras", "."]).output
    assert "class prompt 一个女孩, prior weight 0.7" in " ".join(listed.split())


# The words of a recipe.


@pytest.mark.parametrize(
    ("lines", "place", "expected"),
    [
        ("trigger_words: [cat]", "trigger_words[0]:", 'the model knows "cat" as a word of its own'),
        ("trigger_words: 森林", "trigger_words[0]:", 'the model knows "森林" as a word of its own'),
        ("trigger_words: [zqk, 女孩]", "trigger_words[1]:", 'the class prompt says "女孩", too'),
    ],
)
def test_words_that_are_not_apart_are_warned_of(job_of, lines, place, expected):
    (warning,) = job_of(text(more=f"{lines}\n")).recipe.warnings
    assert warning.where + ":" == place
    assert expected in warning.what


def test_a_caption_without_the_word_is_warned_of(job_of, models, tmp_path):
    path = tmp_path / "girl.yaml"
    head = "model: tiny\nkind: dreambooth\ntrigger_words: [zqk]\ndreambooth: {class_prompt: a girl}\n"
    for caption, count in (("a girl", 1), ("a zqk girl", 0)):
        path.write_text(f"{head}data: {{folder: ., caption: {caption}}}\n", encoding="utf-8")
        assert len(load_recipe(path, [models]).warnings) == count


def test_a_made_up_word_is_not_warned_of(job_of):
    assert job_of(text(more="trigger_words: [sks]\n")).recipe.warnings == ()


# The worked example.


def test_the_worked_recipe_is_ready_to_be_trained(tmp_path):
    recipe = load_recipe(TRAINING / "molin.yaml")
    assert (recipe.kind, recipe.warnings) == ("dreambooth", ())
    dataset = prepare_dataset(recipe, tmp_path / "data", lambda stage, done, total: None)
    assert len(dataset.samples) == 12
    assert not dataset.findings
    assert all("molin" in sample.caption for sample in dataset.samples)
    assert sum(file.stat().st_size for file in (TRAINING / "molin").iterdir()) < 400_000
