// What is asked for seldom is made when it is asked for: the takes' settings and records.

const TRAINED = ["loras", "embeddings", "hypernetworks"];

function startDetails() {
  document.addEventListener("toggle", (event) => { if (event.target.matches("details.more")) fill(event.target); }, true);
  document.addEventListener("language:changed", fillAgain);
  for (const article of allScenes()) near.observe(article);
  document.addEventListener("view:changed", nearAgain);
  reachable(document.querySelectorAll("h1"));
  for (const details of document.querySelectorAll("details.more[open]")) fill(details);
}

// A card gets its buttons as it comes near; long texts scroll in their place, which the keyboard must be able to reach.
const near = new IntersectionObserver((entries) => {
  const articles = entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target);
  if (document.documentElement.dataset.view !== "contact") prepare(articles);
}, { rootMargin: "50%" });

function nearAgain() {
  near.disconnect();
  for (const article of allScenes()) near.observe(article);
}

// First all that changes the page, then all that measures it: else each card would be laid out by itself.
function prepare(articles) {
  for (const article of articles) article.querySelectorAll(".words > .prompt").forEach(addCopyButton);
  reachable(articles.flatMap((article) => [...article.querySelectorAll("h2 bdi, .notes dd, .reason, .prompt p, .changed")]));
}

function reachable(elements) {
  const scrolling = [...elements].map((element) => [element, element.scrollHeight > element.clientHeight + 1]);
  for (const [element, scrolls] of scrolling) {
    if (scrolls) element.tabIndex = 0;
    else element.removeAttribute("tabindex");
  }
}

function fill(details) {
  if (!details.open) return;
  if (!details.querySelector(".records")) {
    const scene = storyScene(sceneOf(details));
    const main = story.takes[scene.main];
    details.append(...negativeBlocks(scene, main), settingsList(main), records(scene, main));
    for (const block of details.querySelectorAll(".prompt")) addCopyButton(block);
  }
  reachable(details.querySelectorAll(".prompt p, .differs"));
}

function fillAgain() {
  for (const details of document.querySelectorAll("details.more")) {
    if (!details.querySelector(".records")) continue;
    details.querySelectorAll(".prompt, .settings, .records").forEach((element) => element.remove());
    fill(details);
  }
}

function negativeBlocks(scene, main) {
  if (!main.negative.length) return [];
  const block = (name, text, also = "") => make("div", { class: `prompt ${also}` }, worded(make("h3"), name), make("p", {}, text));
  const blocks = [block("negative", partsOf(main.negative))];
  if (scene.negativeTemplate) blocks.push(block("written", make("bdi", { text: scene.negativeTemplate }), "written"));
  return blocks;
}

// A prompt, its parts marked by origin.
function partsOf(parts) {
  const marked = ([text, origin, name]) => make("span", { class: origin, title: name || undefined, text });
  return make("bdi", {}, ...parts.map((part) => (part[1] === "scene" ? part[0] : marked(part))));
}

function settingsList(take) {
  const list = make("dl", { class: "settings" });
  for (const [name, value] of take.settings) list.append(make("div", {}, make("dt", { text: word(name) }), make("dd", { text: value })));
  for (const name of TRAINED) {
    if (take[name].length) list.append(make("div", { class: "loras" }, make("dt", { text: word(name) }), make("dd", {}, ...take[name].map(trainedLine))));
  }
  return list;
}

// A LoRA or another trained file, what it was trained on and what it came from, as far as it tells.
function trainedLine(lora) {
  const line = make("div", { class: "lora" }, make("bdi", { text: lora.name }), strengthOf(lora));
  for (const [name, text] of lora.lineage ?? []) line.append(make("small", {}, `${word(name)} `, make("bdi", { text })));
  line.append(make("small", {}, make("code", { text: lora.sha256.slice(0, 12), title: lora.sha256 })));
  return line;
}

// An embedding has none.
function strengthOf({ strength }) {
  return strength === undefined ? "" : ` × ${Number(strength.toPrecision(6))}`;
}

function records(scene, main) {
  return make("ol", { class: "records" }, ...scene.takes.map((key) => record(story.takes[key], main)));
}

function record(take, main) {
  const item = make("li", {}, make("p", {}, make("strong", { text: nameInWords(take) }), ` ${happened(take)}`));
  for (const [name, text] of differences(take, main)) item.append(make("p", { class: "differs" }, `${word(name)}: `, make("bdi", { text })));
  const key = make("p", { class: "key" }, `${word("key")} `, make("code", { text: take.key }));
  addCopyButton(key);
  item.append(key);
  return item;
}

function happened(take) {
  if (take.status !== "painted" || take.seconds === null) return word(`take_${take.status}`);
  return [`${word("painted_in")} ${clock(take.seconds)}`, take.device, moment(take.paintedAt)].filter(Boolean).join(" · ");
}

// What a take has otherwise than the one shown large.
function differences(take, main) {
  const text = (parts) => parts.map(([part]) => part).join("");
  const asked = (files) => files.map((file) => `${file.name}${strengthOf(file)}`).join(", ");
  const known = new Map(main.settings);
  const rows = [["prompt", text(take.prompt), text(main.prompt)], ["negative", text(take.negative), text(main.negative)]];
  rows.push(...take.settings.map(([name, value]) => [name, value, known.get(name)]));
  rows.push(...TRAINED.map((name) => [name, asked(take[name]), asked(main[name])]));
  return rows.filter(([, own, shown]) => own !== shown).map(([name, own]) => [name, own || "—"]);
}

function clock(seconds) {
  if (seconds < 59.95) return `${Math.round(seconds * 10) / 10} ${word("seconds")}`;
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (!parts[0]) parts.shift();
  return parts.map((part, index) => (index ? String(part).padStart(2, "0") : part)).join(":");
}

// The reader's own time, written so that every language reads it; other text as it is.
function moment(iso) {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const two = (number) => String(number).padStart(2, "0");
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${two(time.getHours())}:${two(time.getMinutes())}`;
}
