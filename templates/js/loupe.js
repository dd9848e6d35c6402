// The loupe: one take in full size, all others in a strip below, and what is known and decided about it beside.

let loupe = null; // what the open loupe stands on: its dialog, takes and elements

function startLoupe() {
  subscribe((keys) => { if (loupe) redrawLoupe(keys); });
}

// Shows the takes that are visible now; a filter does not take one away while it is being looked at.
function openLoupe(key) {
  if (loupe) return void showInLoupe(key);
  const keys = [...new Set(visibleTakes().map((figure) => figure.dataset.take))];
  if (!keys.includes(key)) keys.unshift(key);
  const dialog = makeDialog("loupe");
  dialog.tabIndex = -1;
  const stage = make("div", { class: "stage" });
  const strip = make("div", { class: "strip", role: "group", "aria-label": word("takes") });
  loupe = { dialog, keys, index: keys.indexOf(key), stage, strip, side: make("div", { class: "side" }), tiles: new Map(), shown: [0, 0] };
  loupe.lens = makeLens(showPercent);
  loupe.lens.swiped = moveLoupe;
  dialog.querySelector("h2").after(make("span", { class: "marks" }), make("span", { class: "count" }), lensButtons(() => loupe.lens), loupeButtons());
  dialog.append(stage, makeDeciding(key), loupe.side, strip);
  strip.addEventListener("scroll", growStrip);
  strip.addEventListener("click", (event) => {
    const tile = event.target.closest("[data-key]");
    if (tile) showInLoupe(tile.dataset.key);
  });
  dialog.classList.toggle("bare", kept("side") === "off");
  openDialog(dialog, leaveLoupe);
  dialog.focus();
  drawLoupe();
}

function leaveLoupe() {
  keepLoupeNote();
  const figure = figuresByKey.get(loupeTake())?.[0];
  loupe = null;
  if (figure?.isConnected && !isHidden(figure)) moveTo(figure);
  else showCursor();
}

function loupeTake() {
  return loupe.keys[loupe.index];
}

function showInLoupe(key) {
  const index = loupe.keys.indexOf(key);
  if (index < 0) return;
  keepLoupeNote();
  loupe.index = index;
  drawLoupe();
}

function moveLoupe(step) {
  const key = loupe.keys[loupe.index + step];
  if (key) showInLoupe(key);
}

function moveLoupeScene(step) {
  const { scene } = story.takes[loupeTake()];
  let index = loupe.index;
  while (loupe.keys[index] && story.takes[loupe.keys[index]].scene === scene) index += step;
  if (loupe.keys[index]) showInLoupe(loupe.keys[index]);
}

function advanceLoupe() {
  const { keys, index } = loupe;
  const next = [...keys.slice(index + 1), ...keys.slice(0, index)].find(wantsLook);
  if (next) showInLoupe(next);
}

// Drawing.

function drawLoupe() {
  const key = loupeTake();
  const take = story.takes[key];
  loupe.dialog.querySelector("h2").textContent = take.label;
  loupe.dialog.querySelector(".count").textContent = `${loupe.index + 1} / ${loupe.keys.length}`;
  drawStage(loupe.lens, loupe.stage, take);
  aimJudge(loupe.dialog.querySelector(".judge"), key);
  showNote(key, loupe.note);
  loupe.side.replaceChildren(...aboutTake(key));
  loupe.side.scrollTop = 0;
  showMarks(key);
  showTile(key);
  for (const near of [1, -1, 2]) preload(loupe.keys[loupe.index + near]);
  announce(spokenTake(key));
}

function redrawLoupe(keys) {
  for (const key of keys) drawTile(key);
  for (const key of sceneById.get(story.takes[loupeTake()].scene).takes) drawTile(key);
  showMarks(loupeTake());
  if (loupe.note.value === loupe.note.shown) showNote(loupeTake(), loupe.note);
}

function showMarks(key) {
  loupe.dialog.querySelector(".marks").replaceChildren(...marksOf(key).filter((mark) => !mark.matches(".said")));
  loupe.stage.dataset.flag = flagOf(key);
}

// A picture on its stage; a take without one says why.
function drawStage(lens, stage, take) {
  const before = lens.plates.findIndex((plate) => plate.stage === stage);
  if (!take.picture) {
    if (before >= 0) lens.plates.splice(before, 1);
    stage.replaceChildren(make("div", { class: `frame ${take.status}` }, worded(make("p"), `take_${take.status}`), make("bdi", { text: take.reason.slice(0, 500) })));
    return;
  }
  const image = make("img", { class: "plate", src: take.picture, alt: altOf(take), draggable: "false" });
  stage.replaceChildren(image);
  stage.plate ??= addPlate(lens, stage, image, take.width, take.height);
  if (!lens.plates.includes(stage.plate)) lens.plates.push(stage.plate);
  Object.assign(stage.plate, { image, width: take.width, height: take.height });
  drawLens(lens);
}

function altOf(take) {
  const text = take.prompt.filter(([, origin]) => origin !== "style").map(([part]) => part).join("");
  return `${take.label}: ${text.slice(0, 160)}`;
}

function preload(key) {
  const picture = key && story.takes[key].picture;
  if (picture) new Image().src = picture;
}

// What stands beside the picture: the shot's notes as the page has them, the prompts by origin, the settings.
function aboutTake(key) {
  const take = story.takes[key];
  const article = document.getElementById(`scene-${take.number}`);
  const about = [];
  const notes = article?.querySelector(".notes");
  if (notes?.childElementCount) about.push(notes.cloneNode(true));
  if (take.reason) about.push(make("div", { class: "reason" }, make("bdi", { text: take.reason })));
  about.push(promptBlock("prompt", take.prompt));
  if (take.negative.length) about.push(promptBlock("negative", take.negative));
  about.push(settingsList(take));
  for (const text of about.flatMap((block) => [...block.querySelectorAll("[tabindex]")])) text.removeAttribute("tabindex");
  return about;
}

function promptBlock(name, parts) {
  return make("div", { class: "prompt" }, worded(make("h3"), name), make("p", {}, partsOf(parts)));
}

// Deciding, and the buttons above.

function makeDeciding(key) {
  loupe.note = noteField(key);
  loupe.note.rows = 2;
  loupe.note.placeholder = word("note");
  loupe.note.addEventListener("change", keepLoupeNote);
  loupe.note.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" && !(event.key === "Enter" && (event.ctrlKey || event.metaKey))) return;
    event.preventDefault();
    loupe.dialog.focus();
  });
  return make("div", { class: "deciding" }, makeJudge(key), loupe.note);
}

function keepLoupeNote() {
  keepNote(loupeTake(), loupe.note);
}

function focusLoupeNote() {
  loupe.dialog.classList.remove("bare");
  loupe.note.focus();
}

function loupeButtons() {
  const side = worded(make("button", { type: "button", class: "button side-switch" }), "side");
  side.addEventListener("click", toggleSide);
  const compare = worded(make("button", { type: "button", class: "button" }), "compare");
  compare.addEventListener("click", () => openCompare());
  return make("span", { class: "more-buttons" }, side, compare);
}

function toggleSide() {
  const bare = loupe.dialog.classList.toggle("bare");
  keep("side", bare ? "off" : "on");
}

// Smaller, how large, larger: for the loupe and for comparing.
function lensButtons(lensOf) {
  const button = (text, name, run) => {
    const made = make("button", { type: "button", class: "button", "aria-label": word(name), "data-word-label": name, title: word(name), "data-word-title": name, text });
    made.addEventListener("click", run);
    return made;
  };
  const percent = button("100 %", "fit", () => toggleFit(lensOf()));
  percent.classList.add("percent");
  return make("span", { class: "lens", role: "group" }, button("−", "smaller", () => zoomLens(lensOf(), 0.8)), percent, button("+", "larger", () => zoomLens(lensOf(), 1.25)));
}

function showPercent(lens) {
  const percent = openedDialog()?.querySelector(".percent");
  if (percent) percent.textContent = lens.zoom === 1 ? word("fit") : `${percentOf(lens)} %`;
}
