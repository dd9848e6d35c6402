// The strip below the loupe: small pictures of the takes that it can show.

const AROUND = 40;

// Of a long story the strip holds the takes around the current one; it grows as one comes near its ends.

function startStrip() {
  const from = Math.max(0, loupe.index - AROUND);
  loupe.tiles.clear();
  loupe.shown = [from, Math.min(loupe.keys.length, loupe.index + AROUND)];
  loupe.strip.replaceChildren(...loupe.keys.slice(...loupe.shown).map(makeTile));
}

function growStrip() {
  const { strip, keys } = loupe;
  const [from, to] = loupe.shown;
  if (strip.scrollLeft < 800 && from > 0) {
    const start = Math.max(0, from - AROUND);
    const width = strip.scrollWidth;
    strip.prepend(...keys.slice(start, from).map(makeTile));
    strip.scrollLeft += strip.scrollWidth - width;
    loupe.shown[0] = start;
  } else if (strip.scrollLeft + strip.clientWidth > strip.scrollWidth - 800 && to < keys.length) {
    loupe.shown[1] = Math.min(keys.length, to + AROUND);
    strip.append(...keys.slice(to, loupe.shown[1]).map(makeTile));
  }
}

function makeTile(key) {
  const take = story.takes[key];
  const inside = take.thumb ? make("img", { src: take.thumb, alt: "", loading: "lazy", decoding: "async" }) : make("span", { class: `blank ${take.status}` });
  const tile = make("button", { type: "button", class: "tile", "data-key": key, "aria-label": take.label, tabindex: "-1" }, inside);
  loupe.tiles.set(key, tile);
  drawTile(key);
  return tile;
}

function drawTile(key) {
  const tile = loupe.tiles.get(key);
  if (tile) Object.assign(tile.dataset, { flag: flagOf(key), stars: "★".repeat(starsOf(key)) });
}

function showTile(key) {
  if (!loupe.tiles.has(key)) startStrip();
  const before = loupe.strip.querySelector("[aria-current]");
  before?.removeAttribute("aria-current");
  if (before) before.tabIndex = -1;
  const tile = loupe.tiles.get(key);
  tile.setAttribute("aria-current", "true");
  tile.tabIndex = 0;
  loupe.strip.scrollLeft = tile.offsetLeft - (loupe.strip.clientWidth - tile.clientWidth) / 2;
}
