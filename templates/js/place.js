// Where the reader is. While painting, the page reloads and stays there: at the same scene, with the same things open.

const RELOAD_SECONDS = 4;
const detailed = () => [...document.querySelectorAll("details")];

function startPlace() {
  addEventListener("beforeprint", loadPictures);
  const place = held("place");
  hold("place", null);
  if (place) findPlace(place);
  if ("painting" in document.body.dataset) setTimeout(reload, RELOAD_SECONDS * 1000);
}

// Pictures that wait to come into view would be missing on paper.
function loadPictures() {
  for (const image of document.querySelectorAll("main img")) image.loading = "eager";
}

function readPlace() {
  const middle = innerHeight / 2;
  const scene = allScenes().find((article) => !article.hidden && article.getBoundingClientRect().bottom > middle);
  return scene && scrollY > 0 ? { scene: scene.id, offset: scene.getBoundingClientRect().top } : {};
}

function keepPlace() {
  const open = detailed().flatMap((details, index) => (details.open ? [index] : []));
  hold("place", { ...readPlace(), top: scrollY, open, focus: readFocus() });
}

// What has the focus, by its scene and its place there among things that are there from the start.
function stops(scene) {
  const within = scene ? `#${scene} ` : "body > :not(main) ";
  return [...document.querySelectorAll(`${within}:is(a, summary, input, select, figure.take, button:not(.copy))`)];
}

function readFocus() {
  const scene = document.activeElement?.closest("article.scene")?.id ?? "";
  return { scene, index: stops(scene).indexOf(document.activeElement) };
}

function findPlace(place) {
  for (const index of place.open) detailed()[index]?.setAttribute("open", "");
  stops(place.focus.scene)[place.focus.index]?.focus({ preventScroll: true });
  if (!findScene(place)) scrollTo({ top: place.top, behavior: "instant" });
  setTimeout(() => { history.scrollRestoration = "auto"; }, 1000);
}

function findScene(place) {
  const scene = place.scene && document.getElementById(place.scene);
  if (scene) settle(scene, place.offset);
  return Boolean(scene);
}

// Cards get their true heights only as they come into view, so one jump would miss.
function settle(scene, offset, frames = 12) {
  scrollBy({ top: scene.getBoundingClientRect().top - offset, behavior: "instant" });
  if (frames > 0) requestAnimationFrame(() => settle(scene, offset, frames - 1));
}

// Nobody loses what they are typing, selecting or looking at closely.
function busy() {
  const typing = document.activeElement?.matches("textarea, [contenteditable], input[type=text], input[type=search]");
  return document.hidden || typing || Boolean(document.querySelector("dialog[open]")) || !getSelection().isCollapsed;
}

function reload() {
  if (busy()) return void setTimeout(reload, 1000);
  keepPlace();
  history.scrollRestoration = "manual";
  location.reload();
}
