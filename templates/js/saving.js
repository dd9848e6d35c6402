// The review leaves and comes back: download, copy, import; and whether what has been decided is safe.

let away = false; // the server does not take decisions at the moment
let refusal = ""; // what it says about that

function fillReviewTools() {
  const tool = (id, name, run, more = {}) => {
    const button = worded(make("button", { type: "button", class: "button", id, title: word(`${name}_hint`), "data-word-title": `${name}_hint`, ...more }), name);
    button.addEventListener("click", run);
    return button;
  };
  const file = make("input", { type: "file", accept: ".json,application/json", hidden: true, id: "review-file" });
  file.addEventListener("change", () => importFile(file));
  document.getElementById("review-tools").append(
    make("span", { class: "kept", id: "kept" }),
    sign(tool("undo", "undo", undoAndShow), "↶", "undo"),
    tool("compare", "compare", () => openCompare()),
    sign(tool("clear-marks", "clear_marks", clearMarks, { hidden: true }), "✕", "clear_marks"),
    make("span", { class: "files" }, tool("download", "download", downloadReview), tool("copy-review", "copy_review", copyReview), tool("import", "import", () => file.click())),
    tool("advance", "advance", toggleAdvance, { "aria-pressed": String(advances()) }),
    sign(tool("help", "help", openHelp), "?", "help"), file,
  );
  subscribe(showKept);
  document.addEventListener("language:changed", showKept);
  addEventListener("beforeunload", (event) => { if (!storageWorks && waiting().length) event.preventDefault(); });
  showKept();
}

// A button that shows a sign, and says its name to those who don't see it.
function sign(button, text, name) {
  delete button.dataset.word;
  button.textContent = text;
  button.dataset.wordLabel = name;
  button.setAttribute("aria-label", word(name));
  button.classList.add("sign");
  return button;
}

// Keys of decisions that no file has yet: neither the review that the page came with, nor one that was downloaded.
function waiting() {
  const exported = Date.parse(exportedAt()) || 0;
  return Object.entries(story.decisions).flatMap(([key, entry]) => {
    const known = onDisk.get(key);
    const safe = (known && !isLater(entry, { at: known })) || (!story.served && Date.parse(entry.at) <= exported);
    return safe ? [] : [key];
  });
}

function showKept() {
  const left = waiting().length;
  const name = keptWord(left);
  const shown = document.getElementById("kept");
  shown.dataset.state = name === "all_saved" ? "saved" : ["saving", "only_here"].includes(name) ? "waiting" : "away";
  const text = phrase(name, left);
  if (shown.textContent !== text) shown.textContent = text;
  shown.title = refusal || word(`${name}_hint`);
  document.getElementById("undo").disabled = steps.length === 0;
}

function keptWord(left) {
  if (left && !storageWorks) return "not_kept";
  if (away) return left ? "away" : "away_idle";
  if (!left) return "all_saved";
  return story.served ? "saving" : "only_here";
}

// A word with values in their places {0}, {1}.
function phrase(name, ...values) {
  return word(name).replace(/\{(\d)\}/g, (_, index) => values[index]);
}

function reviewText() {
  const entries = Object.keys(story.decisions).sort().map((key) => [key, plainEntry(story.decisions[key])]);
  const { title, source } = story;
  return `${JSON.stringify({ format: 1, kind: "storyboard-review", story: story.story, title, source, decisions: Object.fromEntries(entries) }, null, 1)}\n`;
}

function downloadReview() {
  const url = URL.createObjectURL(new Blob([reviewText()], { type: "application/json" }));
  const link = make("a", { href: url, download: "review.json", hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  noteExport("downloaded");
}

async function copyReview() {
  if (await copyText(reviewText())) noteExport("copied_review");
  else announce(word("copy_failed"));
}

function noteExport(said) {
  const latest = Math.max(0, ...Object.values(story.decisions).map((entry) => Date.parse(entry.at)));
  keep(`exported:${shelf}`, new Date(latest).toISOString());
  showKept();
  announce(word(said));
}

function exportedAt() {
  return kept(`exported:${shelf}`) ?? "";
}

async function importFile(file) {
  const [chosen] = file.files;
  if (!chosen) return;
  const problem = importText(await chosen.text());
  file.value = "";
  if (problem) tellProblem(problem);
}

// Merges a review into this one; returns what is wrong where it can't, and then changes nothing.
function importText(text) {
  const review = parsed(text);
  if (review?.kind !== "storyboard-review" || review.decisions === null || typeof review.decisions !== "object") return word("no_review");
  if (review.format !== 1) return word("newer_review");
  const entries = soundEntries(review.decisions);
  if (entries.length < Object.keys(review.decisions).length) return word("damaged_review");
  if (review.story !== story.story && !entries.some(([key]) => key in story.takes)) return phrase("other_story", String(review.story).slice(0, 200));
  announce(phrase("imported", importEntries(entries)));
  return "";
}

function tellProblem(text) {
  const dialog = makeDialog("problem", "import");
  dialog.append(make("p", { text }));
  openDialog(dialog);
}
