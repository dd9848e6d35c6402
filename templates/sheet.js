"use strict";
// The sheet without this script is whole: it adds buttons that copy, and follows the painting.

const words = document.body.dataset;

// Copying: a page opened from disk may not have the clipboard, so selecting and the old command come second.

const COPIED = ".prompt, .get-back";

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

function copySelected(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "aside";
  document.body.append(field);
  const before = document.activeElement;
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  before?.focus({ preventScroll: true });
  return copied;
}

async function copyFrom(button) {
  const text = button.closest(COPIED).querySelector("p, code").textContent;
  const said = (await copyText(text)) ? words.copiedWord : words.failedWord;
  button.textContent = said;
  document.getElementById("said").textContent = said;
  clearTimeout(button.timer);
  button.timer = setTimeout(() => {
    button.textContent = words.copyWord;
    document.getElementById("said").textContent = "";
  }, 1600);
}

function addCopyButton(block) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = words.copyWord;
  const heading = block.querySelector("h3");
  if (heading) button.setAttribute("aria-label", `${words.copyWord}: ${heading.textContent}`);
  (heading ?? block.lastElementChild).after(button);
}

document.querySelectorAll(COPIED).forEach(addCopyButton);
document.addEventListener("click", (event) => {
  const button = event.target.closest("button.copy");
  if (button) copyFrom(button);
});

// Long texts scroll within their place, which the keyboard must be able to reach.

const LONG = 150;
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    if (target.scrollHeight > target.clientHeight + 1) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
for (const block of document.querySelectorAll("h1, .notes dd, .reason, .prompt p, .differs")) {
  if (block.textContent.length > LONG) seen.observe(block);
}

// While painting, the page reloads and stays where its reader was: at the same scene, with the same things open.

const PLACE = `storyboard:${location.pathname}`;
const RELOAD_SECONDS = 4;
const stops = () => [...document.querySelectorAll("a, button, summary, [tabindex]")];
const detailed = () => [...document.querySelectorAll("details")];

function keepPlace() {
  const middle = innerHeight / 2;
  const scene = [...document.querySelectorAll("article")].find((card) => card.getBoundingClientRect().bottom > middle);
  const open = detailed().flatMap((details, index) => (details.open ? [index] : []));
  const place = { top: scrollY, open, focus: stops().indexOf(document.activeElement) };
  if (scene && scrollY > 0) Object.assign(place, { scene: scene.id, offset: scene.getBoundingClientRect().top });
  sessionStorage.setItem(PLACE, JSON.stringify(place));
}

function findPlace() {
  const place = JSON.parse(sessionStorage.getItem(PLACE));
  if (!place) return;
  sessionStorage.removeItem(PLACE);
  for (const index of place.open) detailed()[index]?.setAttribute("open", "");
  stops()[place.focus]?.focus({ preventScroll: true });
  const scene = place.scene && document.getElementById(place.scene);
  if (scene) settle(scene, place.offset);
  else scrollTo({ top: place.top, behavior: "instant" });
  setTimeout(() => { history.scrollRestoration = "auto"; }, 1000);
}

// Cards get their true heights only as they come into view, so one jump would miss.
function settle(scene, offset, frames = 12) {
  scrollBy({ top: scene.getBoundingClientRect().top - offset, behavior: "instant" });
  if (frames > 0) requestAnimationFrame(() => settle(scene, offset, frames - 1));
}

function reload() {
  if (document.hidden || !getSelection().isCollapsed) return setTimeout(reload, 1000);
  try {
    keepPlace();
  } catch {
    // Without storage the browser's own memory of the place has to do.
  }
  history.scrollRestoration = "manual";
  location.reload();
}

try {
  findPlace();
} catch {
  // As above.
}
if ("painting" in words) setTimeout(reload, RELOAD_SECONDS * 1000);
