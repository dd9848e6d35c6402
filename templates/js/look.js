// How the page looks: its language, theme, view and the size of its pictures. Each is remembered.

const NOTES = ["shot", "camera", "duration", "action", "dialogue", "note"];
const CARD_WORDS = [
  [".words > .prompt:not(.written) > h3", "prompt"],
  [".words > .written > h3", "written"],
  [".more > summary", "settings"],
  [".notes > .duration span, .facts > .length span", "seconds"],
  ...NOTES.map((name) => [`.notes > .${name} > dt`, name]),
];
const ZOOM = { least: 50, most: 200, step: 10 };

function startLook() {
  const remembered = kept("language");
  if (remembered in story.words && remembered !== language) speak(remembered);
  showTheme(document.documentElement.dataset.theme ?? "auto");
  showView(document.documentElement.dataset.view ?? "cards");
  zoomTo(Number(kept("zoom")) || 100);
  document.getElementById("language").addEventListener("click", () => chooseLanguage(language === "zh" ? "en" : "zh"));
  document.getElementById("theme").addEventListener("change", (event) => chooseTheme(event.target.value));
  document.getElementById("zoom").addEventListener("input", (event) => chooseZoom(Number(event.target.value)));
  document.querySelector(".views").addEventListener("click", (event) => {
    const button = event.target.closest("[data-view]");
    if (button) chooseView(button.dataset.view);
  });
  const fold = document.querySelector(".fold");
  fold.addEventListener("click", () => foldTools(fold.getAttribute("aria-expanded") === "true"));
}

function chooseLanguage(chosen) {
  keep("language", chosen);
  speak(chosen);
  document.dispatchEvent(new CustomEvent("language:changed", { detail: { language } }));
}

// Every word of the page carries its name, so switching is naming anew.
function speak(chosen) {
  language = chosen;
  document.documentElement.lang = word("lang");
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = filledWord(element);
  for (const [selector, name] of CARD_WORDS) {
    for (const element of document.querySelectorAll(selector)) element.textContent = word(name);
  }
  for (const label of document.querySelectorAll("figcaption > .marks + span")) label.textContent = `${word("seed")} ${label.closest("figure").dataset.seed}`;
  for (const [attribute, data] of [["aria-label", "wordLabel"], ["title", "wordTitle"], ["placeholder", "wordPlaceholder"]]) {
    const selector = `[data-${data.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)}]`;
    for (const element of document.querySelectorAll(selector)) element.setAttribute(attribute, word(element.dataset[data]));
  }
  document.getElementById("language").lang = word("other_lang");
}

function chooseTheme(theme) {
  keep("theme", theme);
  showTheme(theme);
}

function showTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  document.getElementById("theme").value = theme;
}

// The scene that one looks at stays where it is when everything around it changes its size.
function chooseView(view) {
  const place = readPlace();
  keep("view", view);
  showView(view);
  document.dispatchEvent(new CustomEvent("view:changed", { detail: { view } }));
  findScene(place);
}

function showView(view) {
  if (view === "contact") document.documentElement.dataset.view = view;
  else delete document.documentElement.dataset.view;
  for (const button of document.querySelectorAll(".views [data-view]")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === view));
  }
}

function chooseZoom(percent) {
  const place = readPlace();
  zoomTo(percent);
  keep("zoom", percent);
  findScene(place);
}

function zoomTo(percent) {
  document.documentElement.style.setProperty("--zoom", percent / 100);
  const slider = document.getElementById("zoom");
  slider.value = percent;
  slider.setAttribute("aria-valuetext", `${percent} %`);
}

function zoomBy(steps) {
  const now = Number(document.getElementById("zoom").value);
  chooseZoom(Math.min(ZOOM.most, Math.max(ZOOM.least, now + steps * ZOOM.step)));
}

// On a phone the tools fold away behind a button.
function foldTools(away) {
  document.querySelector(".fold").setAttribute("aria-expanded", String(!away));
  document.querySelector(".toolbar").classList.toggle("open", !away);
}
