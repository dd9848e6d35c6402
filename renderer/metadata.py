"""What each picture carries inside: the exact record, the infotext that other programs read, the mark of AI origin."""

from __future__ import annotations

import io
import json
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from renderer.errors import PictureError
from renderer.kolors.card import WHOLE
from renderer.record import is_record
from renderer.take import Take, TakeLora, canonical_json
from renderer.take_name import shown_number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RECORD_TEXT = "storyboard"
INFOTEXT = "parameters"
XMP_TEXT = "XML:com.adobe.xmp"
NEGATIVE = "Negative prompt:"
GUARD = "\u200b"
"""Zero-width space before a prompt that begins with `Negative prompt:`, so that readers don't take it for one."""

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC Digital Source Type of pictures made by a trained model."""

SAMPLER_NAMES = {
    "ddim": "DDIM",
    "euler": "Euler",
    "euler-trailing": "Euler",
    "dpm++2m": "DPM++ 2M",
    "unipc": "UniPC",
    "lcm": "LCM",
}
"""Samplers as A1111's infotext names them."""

SCHEDULES = {"dpm++2m": "Karras", "euler-trailing": "SGM Uniform"}
"""Spacing of the noise levels, where it is not the sampler's plain one, as A1111 names it.

Which of its names mean what: diffusers' documentation, "Noise schedules and schedule types".
"""

_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    Iptc4xmpExt:DigitalSourceType="{source_type}"
    xmp:CreatorTool={tool}/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


@dataclass(frozen=True, slots=True)
class Infotext:
    """An A1111 infotext taken apart; `settings` in the order of the text, the others as name → strength."""

    prompt: str
    negative: str
    settings: dict[str, str]
    loras: dict[str, float]
    hypernetworks: dict[str, float] = field(default_factory=dict)


def version() -> str:
    """The version of this package, or `unknown` where it runs without being installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("kolors-storyboard")
    except PackageNotFoundError:
        return "unknown"


def encode_png(take: Take, pixels: NDArray[np.uint8], model_hash: str = "") -> bytes:
    """The whole PNG file of a picture: `pixels` uint8 [height, width, 3], with all that was asked for inside."""
    from xml.sax.saxutils import quoteattr  # brings urllib, http and ssl along

    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text(INFOTEXT, write_infotext(take, model_hash))
    texts.add_itxt(RECORD_TEXT, canonical_json(take.record))
    texts.add_itxt(XMP_TEXT, _XMP.format(source_type=SOURCE_TYPE, tool=quoteattr(f"kolors-storyboard {version()}")))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", pnginfo=texts, compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def read_texts(picture: Path) -> dict[str, str]:
    """The text entries of a picture that opens and decodes completely. Raises PictureError for any other file."""
    from PIL import Image

    try:
        with Image.open(picture) as image:
            image.load()
            texts = {str(key): value for key, value in getattr(image, "text", {}).items() if isinstance(value, str)}
            comment = image.getexif().get_ifd(0x8769).get(0x9286)
    except FileNotFoundError:
        raise PictureError(f"{picture}: there is no such file.") from None
    except Exception as error:  # Pillow raises many kinds for damaged files, and none of them is a fault of ours
        raise PictureError(f"{picture}: not a whole picture ({error}).") from error
    if isinstance(comment, bytes) and INFOTEXT not in texts:
        texts[INFOTEXT] = _user_comment(comment)
    return texts


def read_record(picture: Path) -> dict[str, Any]:
    """The exact record inside a picture that this renderer painted. Raises PictureError where there is none."""
    text = read_texts(picture).get(RECORD_TEXT)
    if text is None:
        raise PictureError(f"{picture}: carries no storyboard record; another program made or rewrote it.")
    try:
        record: dict[str, Any] = json.loads(text)
        canonical_json(record)  # which has no NaN and no infinity
    except (ValueError, RecursionError) as error:
        raise PictureError(f"{picture}: its storyboard record is damaged ({error}).") from error
    if not is_record(record):
        raise PictureError(f"{picture}: its storyboard record is of an unknown kind.")
    return record


def write_infotext(take: Take, model_hash: str = "") -> str:
    """The take as A1111 writes it: prompt, `Negative prompt:` line where there is one, and a line of settings."""
    name, _, edition = take.model.partition("@")
    settings = {
        "Steps": str(take.steps),
        "Sampler": SAMPLER_NAMES[take.sampler],
        **({"Schedule type": SCHEDULES[take.sampler]} if take.sampler in SCHEDULES else {}),
        "CFG scale": f"{take.guidance:g}",
        "Seed": str(take.seed),
        "Size": f"{take.width}x{take.height}",
        "Model hash": model_hash or edition,
        "Model": name,
        "RNG": "CPU",
        **_quick_settings(take),
    }
    if take.loras:
        settings["Lora hashes"] = ", ".join(f"{file_name(lora)}: {lora.sha256[:10]}" for lora in take.loras)
    if take.embeddings:
        settings["TI hashes"] = ", ".join(f"{each.name}: {each.sha256[:10]}" for each in take.embeddings)
    settings["Version"] = f"kolors-storyboard {version()}"
    used = [("lora", file_name(lora), lora.strength) for lora in take.loras]
    used += [("hypernet", network.name, network.strength) for network in take.hypernetworks]
    tags = "".join(f" <{kind}:{name}:{shown_number(strength)}>" for kind, name, strength in used)
    lines = [_one_block(take.prompt) + tags]
    if take.negative:
        lines.append(f"{NEGATIVE} {_one_block(take.negative, first=False)}")
    lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in settings.items()))
    return "\n".join(lines)


def _quick_settings(take: Take) -> dict[str, str]:
    """What makes a take quicker and less exact, where something does."""
    start, end = take.guidance_interval
    values = {
        "Guidance interval": f"{start:g}-{end:g}" if take.guidance_interval != WHOLE else "",
        "Cache interval": str(take.cache_interval) if take.cache_interval != 1 else "",
        "Precision": take.precision or "",
        "Draft": "true" if take.draft else "",
    }
    return {name: value for name, value in values.items() if value}


def file_name(lora: TakeLora) -> str:
    """What a LoRA's file is called, as kohya's trainer names what it saves at a step: `pencil-step00000100`."""
    return lora.name if lora.step is None else f"{lora.name}-step{lora.step:08}"


def name_and_step(file: str) -> tuple[str, int | None]:
    """The LoRA of a file name that `file_name` made, and the step of its training; None for the finished one."""
    found = re.fullmatch(r"(.+)-step(\d{8})", file)
    return (found[1], int(found[2])) if found else (file, None)


def parse_infotext(text: str) -> Infotext:
    """An infotext taken apart, ours or A1111's; a last line with fewer than three settings belongs to the prompt."""
    body, _, last = text.rpartition("\n")
    settings = {key.strip(): _unquoted(value) for key, value in _SETTING.findall(last)}
    if len(settings) < 3:
        body, settings = text, {}
    prompt, negative = body, ""
    found = re.search(rf"(?:^|\n){NEGATIVE} ?", body)
    if found:
        prompt, negative = body[: found.start()], body[found.end() :]
    used: dict[str, dict[str, float]] = {"lora": {}, "hypernet": {}}
    while tag := _TAG.search(prompt):
        used[tag["kind"]] = {tag["name"]: float(tag["strength"])} | used[tag["kind"]]
        prompt = prompt[: tag.start()]
    return Infotext(prompt.removeprefix(GUARD), negative, settings, used["lora"], used["hypernet"])


_SETTING = re.compile(r'\s*([\w][\w \-/]*):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
_TAG = re.compile(r" ?<(?P<kind>lora|hypernet):(?P<name>[^:<>\n]+):(?P<strength>-?[\d.]+(?:e[-+]?\d+)?)>$")


def _one_block(text: str, first: bool = True) -> str:
    """`text` so that no line of it reads as the beginning of the negative prompt."""
    joined = re.sub(rf"\n\s*(?={NEGATIVE})", " ", text)
    return GUARD + joined if first and joined.lstrip().startswith(NEGATIVE) else joined


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if re.search(r'[,:\n"]', value) else value


def _unquoted(value: str) -> str:
    if value.startswith('"') and value.endswith('"') and len(value) > 1:
        try:
            return str(json.loads(value))
        except ValueError:
            return value
    return value.strip()


def _user_comment(raw: bytes) -> str:
    """EXIF UserComment: eight bytes of encoding, then the text.

    UNICODE means UTF-16: A1111 writes it big-endian, others little-endian; ASCII letters put zeros on one side.
    """
    code, body = raw[:8], raw[8:]
    if code.startswith(b"UNICODE"):
        little = body[1::2].count(0) > body[0::2].count(0)
        return body.decode("utf-16-le" if little else "utf-16-be", errors="replace")
    return body.decode("utf-8", errors="replace")
