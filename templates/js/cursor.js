// The cursor: the take that keys are about. It moves among the takes that are not hidden, and stays in view.

let cursor = null;
let column = null; // where the cursor wants to be across, while it moves from row to row

function startCursor() {
  document.addEventListener("focusin", (event) => {
    const figure = event.target.closest?.("figure.take");
    if (figure && figure !== cursor) moveTo(figure, { focus: false });
  });
  document.addEventListener("click", clickTake);
}

// A picture opens in the loupe; with Shift it is marked for comparing; with Ctrl or Cmd the browser does as it does.
function clickTake(event) {
  const figure = event.target.closest("figure.take");
  if (!figure || event.target.closest(".judge") || event.ctrlKey || event.metaKey || event.altKey) return;
  const frame = event.target.closest("a.frame");
  if (frame) event.preventDefault();
  moveTo(figure, { focus: !frame });
  if (event.shiftKey) toggleMark(figure.dataset.take);
  else if (frame) openLoupe(figure.dataset.take);
}

function moveTo(figure, { focus = true } = {}) {
  if (cursor && cursor !== figure) {
    cursor.classList.remove("cursor");
    cursor.removeAttribute("aria-current");
    cursor.tabIndex = -1;
  }
  cursor = figure;
  figure.classList.add("cursor");
  figure.setAttribute("aria-current", "true");
  figure.setAttribute("aria-label", spokenTake(figure.dataset.take));
  figure.tabIndex = 0;
  offerButtons(figure);
  if (!focus) return;
  figure.focus({ preventScroll: true });
  keepInView(figure);
}

// Cards get their true heights only as they come into view, so one jump may miss.
function keepInView(figure, frames = 4) {
  figure.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
  const covered = startOfRow(figure) - figure.getBoundingClientRect().left;
  if (covered > 0) figure.closest(".sweep").scrollBy({ left: -covered, behavior: "instant" });
  if (frames > 0) requestAnimationFrame(() => { if (figure === cursor) keepInView(figure, frames - 1); });
}

// The take under the cursor. Where the cursor is out of sight it is shown first: nothing is decided unseen.
function takeAtCursor() {
  if (cursor?.isConnected && !isHidden(cursor) && isOnScreen(cursor)) return cursor.dataset.take;
  showCursor();
  return null;
}

function showCursor() {
  const figure = cursor && !isHidden(cursor) ? cursor : nearestTake();
  if (figure) moveTo(figure);
}

function isHidden(figure) {
  return figure.hidden || sceneOf(figure).hidden;
}

function isOnScreen(figure) {
  const box = figure.getBoundingClientRect();
  const end = figure.closest(".sweep")?.getBoundingClientRect().right ?? innerWidth;
  const isAcross = box.right > startOfRow(figure) && box.left < Math.min(end, innerWidth);
  return isAcross && box.bottom > topOfView() && box.top < innerHeight && box.width > 0;
}

// Where takes of a row begin to be seen: in a sweep's table behind the row's heading, which stays as the table scrolls.
function startOfRow(figure) {
  const heading = figure.closest("tr")?.querySelector("th").getBoundingClientRect();
  return heading?.width ? heading.right : 0;
}

// Below the toolbar where that stays in view.
function topOfView() {
  return Math.max(0, document.querySelector(".toolbar").getBoundingClientRect().bottom);
}

// After a filter took the take from under it, the cursor goes to the next one; at first, to the first one in view.
function nearestTake() {
  const takes = visibleTakes();
  if (cursor?.isConnected) return takes.find((figure) => isAfter(figure, cursor)) ?? takes.at(-1);
  // The scene first: asking where a take is makes the browser lay out a card that it has left for later, above all
  // those thousands that were scrolled past.
  return takes.find((figure) => endsInView(sceneOf(figure)) && endsInView(figure)) ?? takes[0];
}

function endsInView(element) {
  return element.getBoundingClientRect().bottom > 0;
}

function isAfter(figure, other) {
  return Boolean(other.compareDocumentPosition(figure) & Node.DOCUMENT_POSITION_FOLLOWING);
}

function settleCursor() {
  if (cursor && isHidden(cursor)) showCursor();
}

// In reading order.
function moveBy(step) {
  column = null;
  if (!takeAtCursor()) return;
  const takes = visibleTakes();
  const next = takes[takes.indexOf(cursor) + step];
  if (next) moveTo(next);
}

// From row to row on the contact sheet and in a sweep's tables, from scene to scene on cards.
function moveByRow(step) {
  if (!takeAtCursor()) return;
  const onContact = document.documentElement.dataset.view === "contact";
  const next = onContact ? takeInRow(step, visibleTakes()) : takeInTable(step) ?? takeInScene(step);
  if (next) moveTo(next);
}

function takeInTable(step) {
  const article = sceneOf(cursor);
  return article.matches(".swept") ? takeInRow(step, [...article.querySelectorAll("figure.take:not([hidden])")]) : null;
}

function takeInScene(step) {
  let article = sceneOf(cursor);
  do article = step > 0 ? article.nextElementSibling : article.previousElementSibling;
  while (article && (article.hidden || !article.matches("article.scene")));
  return article && (article.querySelector("figure:is(.main, .shown):not([hidden])") ?? article.querySelector("figure.take:not([hidden])"));
}

function takeInRow(step, figures) {
  const here = cursor.getBoundingClientRect();
  column ??= here.left + here.width / 2;
  let best = null;
  let least = Infinity;
  for (const figure of figures) {
    const box = figure.getBoundingClientRect();
    const away = (box.top - here.top) * step;
    if (away < here.height / 2) continue;
    const distance = Math.round(away / (here.height / 2)) * 1e6 + Math.abs(box.left + box.width / 2 - column);
    if (distance < least) [least, best] = [distance, figure];
  }
  return best;
}

// On to the next take that nobody has looked at, from the start again once the end is reached.
function advanceCursor() {
  const open = visibleTakes().filter((figure) => wantsLook(figure.dataset.take));
  const next = open.find((figure) => isAfter(figure, cursor)) ?? open[0];
  if (next) moveTo(next);
  else settleCursor();
}

function wantsLook(key) {
  return !isReviewed(key) && story.takes[key].status === "painted";
}
