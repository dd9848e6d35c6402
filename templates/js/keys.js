// All keys of the page, in one table: what they do, where, and what the help says of them. Lightroom's, as reviewers know them.

const PAGE = ["page"];
const LOUPE = ["loupe"];
const LOOKING = ["loupe", "compare"];
const DECIDING = ["page", "loupe", "compare"];

const COMMANDS = [
  { keys: ["p"], where: DECIDING, word: "key_pick", run: () => decideHere((key) => flagTake(key, "pick"), true) },
  { keys: ["x"], where: DECIDING, word: "key_reject", run: () => decideHere((key) => flagTake(key, "reject"), true) },
  { keys: ["u"], where: DECIDING, word: "key_neither", run: () => decideHere((key) => flagTake(key, "none")) },
  { keys: ["1", "2", "3", "4", "5"], where: DECIDING, word: "key_stars", run: (key) => decideHere((take) => starTake(take, Number(key))) },
  { keys: ["0"], where: DECIDING, word: "key_no_stars", run: () => decideHere((key) => starTake(key, 0)) },
  { keys: ["n"], where: DECIDING, word: "key_note", run: writeNote },
  { keys: ["z"], where: DECIDING, word: "key_undo", run: undoAndShow },
  { keys: ["arrowleft", "arrowright"], where: DECIDING, word: "key_across", repeats: true, run: (key) => goAcross(key === "arrowright" ? 1 : -1) },
  { keys: ["arrowup", "arrowdown"], where: DECIDING, word: "key_down", repeats: true, run: (key) => goDown(key === "arrowdown" ? 1 : -1) },
  { keys: ["enter", " "], where: PAGE, word: "key_loupe", run: () => openLoupeHere() },
  { keys: ["escape"], where: PAGE, word: "key_back", run: clearMarks },
  { keys: ["m"], where: DECIDING, word: "key_mark", run: () => decideHere(toggleMark) },
  { keys: ["c"], where: ["page", "loupe"], word: "key_compare", run: () => openCompare() },
  { keys: ["b"], where: DECIDING, word: "key_before", run: () => decideHere(openBefore) },
  { keys: ["/"], where: PAGE, word: "key_search", run: focusSearch },
  { keys: ["[", "]"], where: PAGE, word: "key_zoom", repeats: true, run: (key) => zoomBy(key === "]" ? 1 : -1) },
  { keys: ["[", "-", "]", "+", "="], where: LOOKING, word: "key_closer", repeats: true, run: (key) => zoomLens(lensInFront(), "[-".includes(key) ? 1 / 1.25 : 1.25) },
  { keys: ["f", " ", "enter"], where: LOOKING, word: "key_fit", run: () => toggleFit(lensInFront()) },
  { keys: ["shift+arrowleft", "shift+arrowright", "shift+arrowup", "shift+arrowdown"], where: LOOKING, word: "key_pan", repeats: true, run: panByKey },
  { keys: ["i"], where: LOUPE, word: "key_side", run: toggleSide },
  { keys: ["?"], where: DECIDING, word: "key_help", run: openHelp },
];

function startKeys() {
  startCursor();
  document.addEventListener("keydown", pressKey);
}

function pressKey(event) {
  if (event.defaultPrevented || event.isComposing || leaveSearch(event) || isTyping(event.target)) return;
  const key = nameOfKey(event);
  const undoing = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && key === "z";
  if (isModified(event) && !undoing) return;
  const where = openedDialog()?.className.split(" ")[0] ?? "page";
  const command = COMMANDS.find((each) => each.keys.includes(key) && each.where.includes(where));
  if (!command || belongsToElement(event.target, key)) return;
  event.preventDefault();
  if (!event.repeat || command.repeats) command.run(key);
}

// Letters and digits by what is printed on the key; on a keyboard of another script, by where it lies.
function nameOfKey({ key, code, shiftKey }) {
  if (/^Digit\d$/.test(code) && !shiftKey) return code.at(-1);
  if (/^Key[A-Z]$/.test(code) && !/^[\x20-\x7e]$/.test(key)) return code.at(-1).toLowerCase();
  return (shiftKey && key.startsWith("Arrow") ? "shift+" : "") + key.toLowerCase();
}

// AltGr, with which some keyboards write brackets, calls itself Ctrl and Alt.
function isModified(event) {
  return (event.ctrlKey || event.altKey || event.metaKey) && !event.getModifierState("AltGraph");
}

function isTyping(element) {
  return element.matches?.("input:not([type=range]), textarea, select, [contenteditable]");
}

// Buttons and links have Enter and Space for themselves, and texts that scroll have the arrows.
function belongsToElement(element, key) {
  if (key === "enter" || key === " ") return Boolean(element.closest?.("a, button, summary"));
  return key.startsWith("arrow") && element.matches?.("input[type=range], p[tabindex], dd[tabindex], .reason[tabindex], h1[tabindex], .side");
}

// Escape leaves the search, once it is empty.
function leaveSearch(event) {
  if (event.key !== "Escape" || event.target.id !== "search" || event.target.value) return false;
  event.target.blur();
  showCursor();
  return true;
}

function takeHere() {
  const front = openedDialog();
  if (front?.matches(".compare")) return comparedTake();
  return front?.matches(".loupe") ? loupeTake() : takeAtCursor();
}

function decideHere(act, goesOn = false) {
  const key = takeHere();
  if (!key) return;
  act(key);
  if (openedDialog()?.matches(".compare")) return;
  if (openedDialog()?.matches(".loupe")) return void (goesOn && advances() && advanceLoupe());
  if (openedDialog()) return;
  if (goesOn && advances()) advanceCursor();
  else settleCursor();
}

function writeNote() {
  if (openedDialog()?.matches(".loupe")) focusLoupeNote();
  else decideHere(openNote);
}

function goAcross(step) {
  const front = openedDialog();
  if (front?.matches(".compare")) focusCompared(step);
  else if (front) moveLoupe(step);
  else moveBy(step);
}

function goDown(step) {
  const front = openedDialog();
  if (front?.matches(".compare")) focusComparedRow(step);
  else if (front) moveLoupeScene(step);
  else moveByRow(step);
}

function openLoupeHere() {
  const key = takeAtCursor();
  if (key) openLoupe(key);
}

function undoAndShow() {
  const [key] = takeBack();
  if (!key) return;
  if (openedDialog()?.matches(".loupe")) return void showInLoupe(key);
  const figure = figuresByKey.get(key)?.[0];
  if (!openedDialog() && figure && !isHidden(figure)) moveTo(figure);
}

function lensInFront() {
  return openedDialog().matches(".compare") ? compared.lens : loupe.lens;
}

// Going on by itself after a pick or a reject.

function advances() {
  return kept("advance") !== "off";
}

function toggleAdvance() {
  keep("advance", advances() ? "off" : "on");
  document.getElementById("advance").setAttribute("aria-pressed", String(advances()));
}

function openHelp() {
  const dialog = makeDialog("help", "help");
  const rows = COMMANDS.map(({ keys, word: name }) => make("div", {}, make("dt", {}, ...capsOf(keys)), worded(make("dd"), name)));
  dialog.append(make("dl", {}, ...rows), worded(make("p", { class: "about" }), "help_mouse"), worded(make("p", { class: "about" }), story.served ? "help_saved" : "help_apply"));
  openDialog(dialog);
}

function capsOf(keys) {
  const signs = { arrowleft: "←", arrowright: "→", arrowup: "↑", arrowdown: "↓", enter: "⏎", escape: "Esc", " ": "␣" };
  const names = keys[0] === "1" ? ["1", "…", "5"] : keys[0].startsWith("shift") ? ["⇧", "← → ↑ ↓"] : keys.filter((key) => key !== "=");
  return names.map((key) => (key === "…" ? key : make("kbd", { text: signs[key] ?? key.toUpperCase() })));
}
