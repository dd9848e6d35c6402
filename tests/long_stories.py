"""Stories of thousands of takes for tests, and their run folders as a render leaves them, made without painting."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from renderer.inventory import record_of
from renderer.manifest import PictureRecord, write_manifest
from renderer.metadata import encode_png
from renderer.paint import manifest_of
from renderer.plan import Plan
from tests.fakes import FAKE, picture_of
from tests.stories import write_story
from tests.trained import save_training

PLACES = ("在沙发上", "在公园里", "在海边", "在厨房", "在教室", "在街上")
DOINGS = ("读书", "跳舞", "看星星", "吃苹果", "画画")
SHOTS = ("close-up", "medium", "full", "wide")


def write_long(folder: Path, scenes: int, seeds: int, *, picks: bool = True, name: str = "long.yaml") -> Path:
    """A story of that many scenes, each with that many seeds, with characters, wildcards, notes and picks."""
    return write_story(folder, _text({**_BOARD, "scenes": [_scene(n, seeds, picks) for n in range(scenes)]}), name)


def write_long_sweep(folder: Path, seeds: int, strengths: int, steps: int) -> Path:
    """A story of one scene that sweeps the LoRA `pencil` beside it: `seeds` × `strengths` × `steps` cells."""
    kept = [100 * (n + 1) for n in range(steps)]
    save_training(folder / "lora_weights", *kept, recipe="pencil.yaml")
    swept = {"lora": "pencil", "strength": [round(n / 100, 2) for n in range(strengths)], "step": kept}
    scene = {"id": "sofa", "prompt": "{mei}坐在沙发上", "seeds": {"count": seeds}, "sweep": swept}
    return write_story(folder, _text({**_BOARD, "scenes": [scene]}), "swept.yaml")


def paint_long(plan: Plan) -> None:
    """The run folder of a plan, whole: a flat picture for each take, and the record of them all."""
    folder = plan.folder
    (folder / "pictures").mkdir(parents=True)
    write_manifest(folder, manifest_of(plan, _pictures(plan), {}))


def _pictures(plan: Plan) -> dict[str, PictureRecord]:
    pictures: dict[str, PictureRecord] = {}
    for take in (planned.take for planned in plan.takes):
        path = plan.folder / "pictures" / f"{take.scene}-{take.seed}-{take.key[:12]}.png"
        content = encode_png(take, picture_of(take))
        path.write_bytes(content)
        loras = tuple(lora.name for lora in take.loras)
        pictures[take.key] = record_of(plan.folder, path, content, take.scene, take.record, FAKE, loras)
    return pictures


_BOARD = {
    "title": "Starlight",
    "size": "64x64",
    "style": "动漫风格",
    "negative": "模糊，变形",
    "characters": {"mei": "紫色短发小女孩，穿着粉色连衣裙", "lin": {"prompt": "黑色长发少女", "negative": "眼镜"}},
}


def _scene(number: int, seeds: int, picks: bool) -> Mapping[str, object]:
    who = "{mei}和{lin}" if number % 3 == 0 else "{mei}"
    scene = {
        "id": f"scene-{number:05}",
        "prompt": f"{who}，{{红色|蓝色|绿色}}的背景，{PLACES[number % 6]}{DOINGS[number % 5]}，第{number}幕",
        "negative": "多余的手指" if number % 4 == 0 else "",
        "seeds": list(range(seeds)),
        "shot": SHOTS[number % 4],
        "dialogue": f"好无聊啊……{number}" if number % 2 else "",
        "duration": 2.5,
    }
    return scene | ({"pick": number % seeds} if picks and number % 3 == 0 else {})


def _text(story: Mapping[str, object]) -> str:
    return yaml.dump(story, allow_unicode=True, sort_keys=False, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper))
