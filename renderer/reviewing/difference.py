"""What differs between two texts, quickly for long ones: lines that each has once are found again first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import Match, SequenceMatcher


def unified_diff(before: Sequence[str], after: Sequence[str], name: str, new_name: str) -> Iterator[str]:
    """The lines of a unified diff; nothing where there is no difference."""
    for number, group in enumerate(_Matcher(None, before, after, autojunk=False).get_grouped_opcodes()):
        if number == 0:
            yield from (f"--- {name}", f"+++ {new_name}")
        (_, a, _, c, _), (_, _, b, _, d) = group[0], group[-1]
        yield f"@@ -{a + 1},{b - a} +{c + 1},{d - c} @@"
        for tag, a, b, c, d in group:
            if tag == "equal":
                yield from (f" {line}" for line in before[a:b])
            else:
                yield from (f"-{line}" for line in before[a:b])
                yield from (f"+{line}" for line in after[c:d])


class _Matcher(SequenceMatcher[str]):
    """Compares piece by piece: between lines that both texts have exactly once, in one order."""

    a: Sequence[str]
    b: Sequence[str]

    def get_matching_blocks(self) -> list[Match]:
        runs: list[Match] = []
        i = j = 0
        for a, b in (*_anchors(self.a, self.b), (len(self.a), len(self.b))):
            piece = SequenceMatcher(None, self.a[i:a], self.b[j:b], autojunk=False)
            blocks = [Match(i + found.a, j + found.b, found.size) for found in piece.get_matching_blocks()[:-1]]
            for block in (*blocks, Match(a, b, int(a < len(self.a)))):
                if runs and runs[-1].a + runs[-1].size == block.a and runs[-1].b + runs[-1].size == block.b:
                    runs[-1] = Match(runs[-1].a, runs[-1].b, runs[-1].size + block.size)
                else:
                    runs.append(block)
            i, j = a + 1, b + 1
        return [*(run for run in runs if run.size), Match(len(self.a), len(self.b), 0)]


def _anchors(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Places of the lines that both have exactly once, as long as they come in the same order."""
    counts, now = Counter(before), Counter(after)
    place = {line: index for index, line in enumerate(after)}
    last = -1
    for index, line in enumerate(before):
        if counts[line] == now[line] == 1 and place[line] > last:
            last = place[line]
            yield index, last
