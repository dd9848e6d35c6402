"""Stories as people really write them: every style of YAML, comments everywhere, odd indentation and line breaks."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

WORDS = (
    "海边的日落",
    "a red sofa",
    "two cats: no",
    "紫色短发小女孩",
    "it's late",
    'she said "no"',
    "# not a comment",
    "50% {{",
)


@dataclass(frozen=True)
class OddStory:
    """A story's text, each scene's own piece of it, and of each scene its id, seeds and pick."""

    text: str
    pieces: tuple[str, ...]
    scenes: tuple[tuple[str, tuple[int, ...], int | None], ...]


class OddWriter:
    """Writes one random story."""

    def __init__(self, number: int) -> None:
        self.random = Random(number)
        self.notes = 0

    def story(self) -> OddStory:
        random = self.random
        scenes = [self.values(index) for index in range(random.randint(1, 6))]
        pieces: list[str] = []
        if random.random() < 0.08:
            text = self.json(scenes)
        else:
            indent = random.choice((0, 2, 2, 2, 4, 7))
            lines = [self.comment() or "# a story", *self.head()]
            lines.append("scenes:" + self.behind())
            for scene in scenes:
                piece = self.scene(scene, indent)
                pieces.append("\n".join(piece))
                lines += piece
                lines += [" " * random.randint(0, 9) + self.comment()] if random.random() < 0.3 else []
                lines += [""] if random.random() < 0.4 else []
            lines += random.choice(([], ["# the end"], ["grid: {columns: 3}  # last"], ["", ""], ["..."]))
            text = "\n".join(lines) + random.choice(("\n", "\n", "\n", "", "\n\n"))
        crlf, bom = "\r\n" if random.random() < 0.2 else "\n", "\ufeff" if random.random() < 0.1 else ""
        broken = tuple(piece.replace("\n", crlf) for piece in pieces)
        return OddStory(bom + text.replace("\n", crlf), broken, tuple(scenes))

    def values(self, index: int) -> tuple[str, tuple[int, ...], int | None]:
        random = self.random
        style = random.random()
        if style < 0.2:
            seeds: tuple[int, ...] = (random.choice((0, 3, 4294967295)),)
        elif style < 0.4:
            start = random.randint(0, 9)
            seeds = tuple(range(start, start + random.randint(1, 5)))
        else:
            seeds = tuple(random.sample(range(100), random.randint(1, 6)))
        pick = random.choice(seeds) if random.random() < 0.5 else None
        return f"scene_{index}" if random.random() < 0.7 else f"场景{index}", seeds, pick

    def head(self) -> list[str]:
        random = self.random
        lines = ["title: " + random.choice(("Starlight", '"星光: 一"  # quoted', "'it''s'"))]
        lines += ["size: 64x64"] if random.random() < 0.5 else []
        lines += ["negative: |", "  模糊", "  变形", ""] if random.random() < 0.3 else []
        lines += ["characters:", "  mei: 小女孩   # the hero", "# between"] if random.random() < 0.5 else []
        return lines

    def scene(self, scene: tuple[str, tuple[int, ...], int | None], indent: int) -> list[str]:
        name, seeds, pick = scene
        random = self.random
        entries = [self.id(name), self.prompt(), *self.seeds(seeds)]
        entries += [self.pick(pick)] if pick is not None else []
        for key in ("note", "shot", "dialogue"):
            entries += [[f"{key}: {self.quoted(random.choice(WORDS))}{self.behind()}"]] if random.random() < 0.3 else []
        random.shuffle(entries)
        margin = " " * indent
        if random.random() < 0.2:
            return self.flow(name, seeds, pick, margin)
        gap = " " * random.choice((1, 1, 1, 3))
        first = random.random() < 0.15
        lines = [f"{margin}-{self.behind()}"] if first else []
        inner = margin + " " + gap
        for number, entry in enumerate(entries):
            for at, line in enumerate(entry):
                lead = f"{margin}-{gap}" if number == at == 0 and not first else inner
                lines.append((lead + line).rstrip() if line else "")
            if random.random() < 0.15:
                lines.append(" " * random.randint(0, 12) + self.comment())
        return lines

    def id(self, name: str) -> list[str]:
        quote = self.random.choice(("", "", '"', "'"))
        key = self.random.choice(("id", "id", '"id"', "'id'"))
        return [f"{key}: {quote}{name}{quote}{self.behind()}"]

    def prompt(self) -> list[str]:
        random = self.random
        style = random.random()
        if style < 0.2:
            return [
                random.choice(("prompt: |", "prompt: >-", "prompt: |+  # kept", "prompt: |2")),
                "  一个女孩",
                "",
                "  在海边",
                "",
            ]
        if style < 0.3:
            return ["prompt: 一个女孩", "  在海边", "  看日落" + self.behind()]
        if style < 0.4:
            return ['prompt: "一个女孩，', '    #1 在海边"' + self.behind()]
        return [f"prompt: {self.quoted(random.choice(WORDS))}{self.behind()}"]

    def seeds(self, seeds: tuple[int, ...]) -> list[list[str]]:
        random = self.random
        if seeds == (0,) and random.random() < 0.5:
            return []
        if len(seeds) == 1 and random.random() < 0.6:
            return [[f"seed: {seeds[0]}{self.behind()}"]]
        if seeds == tuple(range(seeds[0], seeds[0] + len(seeds))) and random.random() < 0.7:
            if random.random() < 0.5:
                return [[f"seeds: {{start: {seeds[0]}, count: {len(seeds)}}}{self.behind()}"]]
            return [["seeds:" + self.behind(), f"  start: {seeds[0]}{self.behind()}", f"  count: {len(seeds)}"]]
        if random.random() < 0.5:
            lead = random.choice(("", "  ", "    "))
            return [["seeds:" + self.behind(), *(f"{lead}- {seed}{self.behind()}" for seed in seeds)]]
        joined = random.choice((", ", ",", " , ", ",\n      ")).join(map(str, seeds))
        lines = f"seeds: [{random.choice(('', ' '))}{joined}{random.choice(('', ',', ' '))}]{self.behind()}"
        return [lines.split("\n")]

    def pick(self, pick: int) -> list[str]:
        style = self.random.random()
        if style < 0.1:
            return [f"pick: {{seed: {pick}}}{self.behind()}"]
        if style < 0.2:
            return ["pick:" + self.behind(), f"  seed: {pick}{self.behind()}"]
        return [f"{self.random.choice(('pick', 'pick', chr(34) + 'pick' + chr(34)))}: {pick}{self.behind()}"]

    def flow(self, name: str, seeds: tuple[int, ...], pick: int | None, margin: str) -> list[str]:
        random = self.random
        entries = [f"id: {name}", f"prompt: {self.quoted('女孩')}", f"seeds: [{', '.join(map(str, seeds))}]"]
        entries += [f"pick: {pick}"] if pick is not None else []
        random.shuffle(entries)
        if random.random() < 0.5:
            return [f"{margin}- {{{', '.join(entries)}}}{self.behind()}"]
        lines = [f"{margin}    {entry},{self.behind()}" for entry in entries]
        return [f"{margin}- {{", *lines, f"{margin}  }}{self.behind()}"]

    def json(self, scenes: list[tuple[str, tuple[int, ...], int | None]]) -> str:
        entries = []
        for name, seeds, pick in scenes:
            chosen = f', "pick": {pick}' if pick is not None else ""
            entries.append(f'  {{"id": "{name}", "seeds": {list(seeds)}, "prompt": "女孩"{chosen}}}')
        return '{"title": "x",\n "scenes": [\n' + ",\n".join(entries) + "\n]}\n"

    def quoted(self, text: str) -> str:
        style = self.random.random()
        if style < 0.5:
            return '"' + text.replace('"', '\\"') + '"'
        return "'" + text.replace("'", "''") + "'"

    def comment(self) -> str:
        self.notes += 1
        return f"# note_{self.notes}, [kept]: it's {{so}}"

    def behind(self) -> str:
        return "  " + self.comment() if self.random.random() < 0.3 else self.random.choice(("", "", "", " "))
