// Comparing: two to eight takes side by side under one lens; those of a scene, or those that were marked for it.

const MOST = 8;
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

// Those marked; else the takes of the scene that can be seen, around the current one.
function takesToCompare() {
  const painted = (keys) => keys.filter((key) => story.takes[key]?.picture);
  if (marked.size > 1) return painted([...marked]);
  const here = loupe ? loupeTake() : takeAtCursor();
  if (!here) return [];
  const seen = new Set(loupe ? loupe.keys : visibleTakes().map((figure) => figure.dataset.take));
  const keys = painted(sceneById.get(story.takes[here].scene).takes.filter((key) => seen.has(key)));
  const first = Math.max(0, Math.min(keys.indexOf(here) - MOST / 2, keys.length - MOST));
  return keys.slice(first, first + MOST);
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

// As many columns as make the pictures largest.
function arrangeCells() {
  if (!compared) return;
  const { keys, dialog } = compared;
  const cells = dialog.querySelector(".cells");
  const shape = story.takes[keys[0]].width / story.takes[keys[0]].height;
  const size = (columns) => Math.min(cells.clientWidth / columns, (cells.clientHeight / Math.ceil(keys.length / columns) - 80) * shape);
  const ways = keys.map((_, index) => index + 1);
  compared.columns = ways.reduce((best, columns) => (size(columns) > size(best) + 1 ? columns : best), 1);
  cells.style.setProperty("--columns", compared.columns);
}
