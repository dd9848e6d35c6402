// The story as the page's JSON tells it, and what every other module stands on: words, elements, things kept and said.

const story = readStory(JSON.parse(document.getElementById("story").textContent));
let language = story.language;

// Values that takes share stand once in the JSON: parts of prompts, and kinds (size, settings, LoRAs, device).
function readStory(told) {
  const spell = (numbers = []) => numbers.map((number) => told.parts[number]);
  const digits = Math.max(2, String(told.scenes.length).length);
  const numbered = (index) => String(index + 1).padStart(digits, "0");
  const scenes = told.scenes.map((scene, index) => ({ before: null, changed: [], number: numbered(index), ...scene }));
  const takes = {};
  for (const scene of scenes) {
    const article = document.getElementById(`scene-${scene.number}`);
    const figures = [...article.querySelectorAll("figure.take")];
    const shown = figures[scene.main ?? 0];
    scene.takes = scene.takes.map((take, index) => {
      const figure = figures[index];
      const prompt = figure === shown ? promptOn(article) : spell(take.prompt);
      const key = figure.dataset.take;
      takes[key] = { ...readTake(take, scene, told.kinds[take.kind ?? 0], spell), ...readFigure(figure, scene), prompt };
      return key;
    });
  }
  for (const scene of scenes) {
    scene.pick = scene.takes[scene.pick] ?? null;
    scene.main = scene.takes[scene.main ?? 0];
    scene.negativeTemplate = told.texts[scene.negativeTemplate] ?? "";
    scene.template = document.querySelector(`#scene-${scene.number} .written bdi`)?.textContent ?? "";
  }
  const changes = { since: "", at: "", removed: [], ...told.changes };
  for (const before of [...scenes.map((scene) => scene.before), ...changes.removed]) {
    if (before) Object.assign(before, { prompt: spell(before.prompt), negative: spell(before.negative) });
  }
  return { ...told, scenes, takes, changes };
}

function readTake(take, scene, kind, spell) {
  return {
    status: "painted", reason: "", seconds: null, ...kind, ...take,
    scene: scene.id, number: scene.number, negative: spell(take.negative), paintedAt: take.at ?? "",
  };
}

// What stands on the page already is read there; addresses stay true where someone packs the page with its pictures.

function readFigure(figure, scene) {
  const number = (name) => (name in figure.dataset ? Number(figure.dataset[name]) : undefined);
  const name = { seed: number("seed"), strength: number("strength"), step: number("step") };
  const picture = figure.querySelector("a.frame")?.getAttribute("href") ?? "";
  const thumb = figure.querySelector(".frame > img")?.getAttribute("src") ?? "";
  return { key: figure.dataset.take, ...name, label: `${scene.number} ${scene.id} · ${shortName(name)}`, picture, thumb };
}

// A take's name among those of its scene where there is little room: its seed, and of a sweep strength and step.
function shortName({ seed, strength, step }) {
  return [seed, strength === undefined ? "" : `×${strength}`, step === undefined ? "" : `@${step}`].filter((part) => part !== "").join(" ");
}

// The same in words.
function nameInWords(take) {
  return ["seed", "strength", "step"].filter((name) => take[name] !== undefined).map((name) => `${word(name)} ${take[name]}`).join(" · ");
}

function promptOn(article) {
  const bdi = article.querySelector(".words > .prompt:not(.written) bdi");
  return [...bdi.childNodes].map((node) => [node.textContent, node.className || "scene", node.title ?? ""]);
}

function word(name) {
  return story.words[language][name] ?? name;
}

// A word in which {0}, {1} stand for values, as its element names them both.
function filledWord(element) {
  const values = JSON.parse(element.dataset.values ?? "[]");
  return word(element.dataset.word).replace(/\{(\d)\}/g, (place, number) => values[number] ?? place);
}

// A word on an element, which follows the page's language from then on.
function worded(element, name) {
  element.dataset.word = name;
  element.textContent = word(name);
  return element;
}

// An element with attributes (`text` is its text, undefined ones are left out) and children.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

function sceneOf(figure) {
  return figure.closest("article.scene");
}

// Numbers of scenes are those of the story, whatever order the page shows them in.
function storyScene(article) {
  return story.scenes[Number(article.id.slice("scene-".length)) - 1];
}

function allScenes() {
  return [...document.querySelectorAll("article.scene")];
}

function allTakes() {
  return [...document.querySelectorAll("figure.take")];
}

function visibleTakes() {
  return [...document.querySelectorAll("article.scene:not([hidden]) figure.take:not([hidden])")];
}

let silence = 0;
function say(text) {
  const said = document.getElementById("said");
  said.textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => { said.textContent = ""; }, 4000);
}

// What the page remembers: `keep` for good and all stories, `hold` for this tab and this page.

function keep(name, value) {
  try {
    localStorage.setItem(`storyboard:page:${name}`, value);
  } catch {
    // Without storage it lasts until the page is left.
  }
}

function kept(name) {
  try {
    return localStorage.getItem(`storyboard:page:${name}`);
  } catch {
    return null;
  }
}

function hold(name, value) {
  try {
    sessionStorage.setItem(`storyboard:${location.pathname}:${name}`, JSON.stringify(value));
  } catch {
    // As above.
  }
}

function held(name) {
  try {
    return JSON.parse(sessionStorage.getItem(`storyboard:${location.pathname}:${name}`));
  } catch {
    return null;
  }
}
