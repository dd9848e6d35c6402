// Comparing: two to nine takes side by side under one lens; those of a scene, or those that were marked for it.

const MOST = 9; // three by three, as sweeps like to be
const marked = new Set(); // keys of takes marked for comparing, in the order of marking
let compared = null; // what the open comparison stands on

function startCompare() {
  subscribe((keys) => { if (compared) keys.forEach(drawCompared); });
  drawMarked();
  startBefore();
}

// Marks.

function toggleMark(key) {
  if (!story.takes[key].picture) return void announce(word(`take_${story.takes[key].status}`));
  if (!marked.delete(key) && marked.size < MOST) marked.add(key);
  else if (!marked.has(key) && marked.size >= MOST) return void announce(phrase("most_marked", MOST));
  showMarked([key]);
  announce(`${word(marked.has(key) ? "marked" : "unmarked")}: ${story.takes[key].label}`);
}

function clearMarks() {
  const keys = [...marked];
  marked.clear();
  showMarked(keys);
}

function showMarked(keys) {
  for (const key of keys) {
    for (const figure of figuresByKey.get(key) ?? []) figure.classList.toggle("marked", marked.has(key));
    document.querySelectorAll(`.judge[data-key="${key}"]`).forEach(drawJudge);
  }
  drawMarked();
}

function drawMarked() {
  document.getElementById("compare").dataset.count = marked.size || "";
  document.getElementById("clear-marks").hidden = marked.size === 0;
}

// Those marked; else the takes of the scene that can be seen, around the current one; of a sweep whole rows of its table.
function takesToCompare() {
  const painted = (keys) => keys.filter((key) => story.takes[key]?.picture);
  if (marked.size > 1) return painted([...marked]);
  const here = loupe ? loupeTake() : takeAtCursor();
  if (!here) return [];
  const seen = new Set(loupe ? loupe.keys : visibleTakes().map((figure) => figure.dataset.take));
  const keys = [...new Set(painted(tableAround(here).filter((key) => seen.has(key))))];
  const columns = columnsOf(keys) <= MOST ? columnsOf(keys) : 1;
  const rows = Math.floor(MOST / columns);
  const row = Math.floor(keys.indexOf(here) / columns) - Math.floor(rows / 2);
  const first = Math.max(0, Math.min(row * columns, keys.length - rows * columns));
  return keys.slice(first, first + rows * columns);
}

// The takes of the scene; of a sweep with a table for each seed, those of the table.
function tableAround(key) {
  const { takes } = sceneById.get(story.takes[key].scene);
  const { seed, strength, step } = story.takes[key];
  return strength === undefined || step === undefined ? takes : takes.filter((other) => story.takes[other].seed === seed);
}

// How many takes a row of their table has, where they are a sweep's and make one without gaps; else 1.
function columnsOf(keys) {
  const rows = new Map();
  for (const { scene, seed, strength, step } of keys.map((key) => story.takes[key])) {
    if (strength === undefined && step === undefined) return 1;
    const row = JSON.stringify([scene, seed, strength === undefined ? null : step]);
    rows.set(row, (rows.get(row) ?? 0) + 1);
  }
  const lengths = new Set(rows.values());
  return lengths.size === 1 ? [...lengths][0] : 1;
}

function openCompare() {
  const keys = takesToCompare();
  if (keys.length < 2) return void announce(word("two_takes"));
  const here = loupe ? loupeTake() : cursor?.dataset.take;
  const dialog = makeDialog("compare", "compare");
  compared = { dialog, keys, lens: makeLens(showPercent), cells: new Map(), index: Math.max(0, keys.indexOf(here)) };
  dialog.querySelector("h2").after(lensButtons(() => compared.lens));
  dialog.append(make("div", { class: "cells" }, ...keys.map(makeCell)));
  openDialog(dialog, leaveCompare);
  arrangeCells();
  new ResizeObserver(arrangeCells).observe(dialog);
  for (const key of keys) drawStage(compared.lens, compared.cells.get(key).querySelector(".stage"), story.takes[key]);
  compared.cells.get(comparedTake()).focus();
}

function leaveCompare() {
  const key = comparedTake();
  compared = null;
  if (loupe) return void (loupe.keys.includes(key) ? showInLoupe(key) : drawLoupe());
  const figure = figuresByKey.get(key)?.[0];
  if (figure && !isHidden(figure)) moveTo(figure);
  else showCursor();
}

function comparedTake() {
  return compared.keys[compared.index];
}

function makeCell(key) {
  const cell = make("figure", { class: "cell", tabindex: "0", "data-key": key },
    make("div", { class: "stage" }), make("figcaption", {}, make("bdi", { text: story.takes[key].label }), make("span", { class: "marks" })), makeJudge(key));
  cell.addEventListener("focusin", () => {
    compared.index = compared.keys.indexOf(key);
    for (const [other, each] of compared.cells) each.classList.toggle("current", other === key);
  });
  compared.cells.set(key, cell);
  drawCompared(key);
  return cell;
}

function drawCompared(key) {
  const cell = compared.cells.get(key);
  if (!cell) return;
  cell.dataset.flag = flagOf(key);
  cell.setAttribute("aria-label", spokenTake(key));
  cell.querySelector(".marks").replaceChildren(...marksOf(key));
}

function focusCompared(step) {
  const key = compared.keys[compared.index + step];
  if (key) compared.cells.get(key).focus();
}

function focusComparedRow(step) {
  focusCompared(step * compared.columns);
}

// As many columns as make the pictures largest; a sweep's takes stand as in their table.
function arrangeCells() {
  if (!compared) return;
  const { keys, dialog } = compared;
  const cells = dialog.querySelector(".cells");
  const shape = story.takes[keys[0]].width / story.takes[keys[0]].height;
  const size = (columns) => Math.min(cells.clientWidth / columns, (cells.clientHeight / Math.ceil(keys.length / columns) - 80) * shape);
  const ways = keys.map((_, index) => index + 1);
  const largest = ways.reduce((best, columns) => (size(columns) > size(best) + 1 ? columns : best), 1);
  const columns = columnsOf(keys);
  compared.columns = columns > 1 && columns < keys.length ? columns : largest;
  cells.style.setProperty("--columns", compared.columns);
}
