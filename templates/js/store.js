// Decisions: which takes are picked, rejected, starred and noted. They live here, in the browser, and in review.json.
// One entry per take, by its key: {scene, seed, flag, stars, note, at}, see entries.js. Whenever two entries of a take meet, the later wins.
// An entry's `scene` is what the scene was called then: where the story still has the take, it belongs to that one's scene.

const STEPS = 500;

const onDisk = new Map(); // by key: when the entry that review.json is known to hold was made
const picksOf = new Map(); // by scene: the keys of its picks; more than one only until they are settled
const sceneById = new Map(story.scenes.map((scene) => [scene.id, scene]));
const repaintedSince = new Set(); // what the takes of decisions were called about pictures that the story no longer has
const listeners = [];
let steps = [];

function startStore() {
  const told = story.decisions ?? {};
  story.decisions = Object.create(null);
  for (const [key, entry] of soundEntries(told)) {
    put(key, entry);
    onDisk.set(key, entry.at);
  }
  for (const [key, entry] of storedEntries()) if (!story.decisions[key] || !isLater(story.decisions[key], entry)) put(key, entry);
  settlePicks(picksOf.keys());
  for (const [key, entry] of Object.entries(story.decisions)) if (!(key in story.takes)) repaintedSince.add(JSON.stringify(calledOf(entry)));
  steps = held("steps") ?? [];
  addEventListener("pagehide", () => hold("steps", steps));
  addEventListener("storage", hearOtherTab);
}

// Calls `listener(keys, here)` after each change; `here` is false for those that came from elsewhere.
function subscribe(listener) {
  listeners.push(listener);
}

// What is asked of an entry.

function flagOf(key) {
  const entry = story.decisions[key];
  return entry ? entry.flag : flagInFile(key);
}

// The file's pick holds until a review says otherwise, of this take or by picking another one of its scene.
function flagInFile(key) {
  const scene = sceneById.get(story.takes[key]?.scene);
  if (scene?.pick !== key) return "none";
  return [...(picksOf.get(scene.id) ?? [])].some((other) => other !== key && other in story.takes) ? "none" : "pick";
}

function starsOf(key) {
  return story.decisions[key]?.stars ?? 0;
}

function noteOf(key) {
  return story.decisions[key]?.note ?? "";
}

function isReviewed(key) {
  const entry = story.decisions[key];
  return Boolean(entry) && !entry.undone;
}

// A picture of the same scene and name was decided upon, but it has been painted anew since.
function isRepainted(key) {
  return !story.decisions[key] && repaintedSince.has(JSON.stringify(calledOf(story.takes[key])));
}

// What one person does: one step, which one undo takes back as a whole.

function decide(key, changes) {
  const now = story.decisions[key];
  const { scene } = story.takes[key];
  const next = { ...calledOf(story.takes[key]), flag: flagOf(key), stars: starsOf(key), note: noteOf(key), ...changes };
  if (now && !now.undone && isSame(now, next)) return false;
  const former = next.flag === "pick" ? picksBeside(key, scene) : [];
  const misfiled = next.flag === "pick" ? misfiledPicks(scene) : [];
  takeStep([[key, next], ...former.map((other) => [other, { ...entryOf(other), flag: "none" }]), ...misfiled]);
  return true;
}

function homeOf(key, entry) {
  return story.takes[key]?.scene ?? entry.scene;
}

// Picks that were made when their scene was called as this one is now: filed anew, or the disk would take them for its.
function misfiledPicks(scene) {
  const filed = ([key, entry]) => entry.flag === "pick" && entry.scene === scene && homeOf(key, entry) !== scene;
  return Object.entries(story.decisions).filter(filed).map(([key, entry]) => [key, { ...entry, scene: homeOf(key, entry) }]);
}

function picksBeside(key, scene) {
  const file = sceneById.get(scene)?.pick;
  const picks = new Set(picksOf.get(scene));
  if (file && flagOf(file) === "pick") picks.add(file);
  picks.delete(key);
  return [...picks];
}

function entryOf(key) {
  return story.decisions[key] ?? { ...calledOf(story.takes[key] ?? {}), flag: flagOf(key), stars: 0, note: "" };
}

function takeStep(entries) {
  const at = stampAfter(entries.map(([key]) => key));
  const step = entries.map(([key, entry]) => {
    const before = story.decisions[key] ?? null;
    const after = plainEntry({ ...entry, at });
    put(key, after);
    shelve(key);
    return [key, before, after];
  });
  steps = [...steps, step].slice(-STEPS);
  tell(step.map(([key]) => key), true);
}

// Later than what it replaces, even where another computer's clock was ahead of this one's.
function stampAfter(keys) {
  const before = keys.map((key) => Date.parse(story.decisions[key]?.at) + 1 || 0);
  return new Date(Math.max(Date.now(), ...before)).toISOString();
}

// Takes the last step back and returns its keys; what has been decided elsewhere since then stays.
function undo() {
  const step = steps.pop();
  if (!step) return [];
  const mine = step.filter(([key, , after]) => story.decisions[key] && isSame(story.decisions[key], after));
  const at = stampAfter(mine.map(([key]) => key));
  for (const [key, before] of mine) {
    if (before) put(key, { ...before, at });
    else if (!story.served) put(key, null);
  }
  // What a server has on disk can't be unsaid, only answered; the mark says that nobody has looked yet.
  for (const [key, before, after] of mine) {
    if (!before && story.served) put(key, { ...calledOf(after), flag: sceneById.get(after.scene)?.pick === key ? "pick" : "none", stars: 0, note: "", at, undone: true });
    shelve(key);
  }
  tell(mine.map(([key]) => key), true);
  return step.map(([key]) => key);
}

// What comes from elsewhere: another tab, the disk, a file.

// Takes over those entries that are later than ours; returns their keys.
function mergeEntries(entries, fromDisk = false) {
  const changed = [];
  for (const [key, entry] of entries) {
    if (fromDisk) onDisk.set(key, entry.at);
    const own = story.decisions[key];
    if (own && !isLater(entry, own)) continue;
    put(key, entry);
    changed.push(key);
  }
  changed.push(...settlePicks(new Set(changed.map((key) => homeOf(key, story.decisions[key])))));
  if (changed.length) tell(changed, false);
  return changed;
}

// The same as one step that can be undone.
function importEntries(entries) {
  const later = entries.filter(([key, entry]) => !story.decisions[key] || isLater(entry, story.decisions[key]));
  const before = new Map(later.map(([key]) => [key, story.decisions[key] ?? null]));
  for (const [key, entry] of later) put(key, entry);
  settlePicks(new Set(later.map(([key, entry]) => homeOf(key, entry))));
  for (const key of before.keys()) shelve(key);
  if (later.length) steps = [...steps, [...before].map(([key, entry]) => [key, entry, story.decisions[key]])].slice(-STEPS);
  tell([...before.keys()], true);
  return later.length;
}

// Of several picks in a scene the latest holds: it un-picked the others when it was set.
function settlePicks(scenes) {
  const changed = [];
  for (const scene of [...scenes]) {
    const picks = [...(picksOf.get(scene) ?? [])];
    if (picks.length < 2) continue;
    picks.sort((a, b) => Date.parse(story.decisions[b].at) - Date.parse(story.decisions[a].at) || (a < b ? 1 : -1));
    for (const key of picks.slice(1)) {
      put(key, { ...story.decisions[key], flag: "none", at: story.decisions[picks[0]].at });
      shelve(key);
      changed.push(key);
    }
  }
  return changed;
}

function hearOtherTab(event) {
  if (event.key === null || !event.key.startsWith(shelf)) return;
  const key = event.key.slice(shelf.length);
  if (event.newValue !== null) return void mergeEntries(soundEntries({ [key]: parsed(event.newValue) }));
  if (!(key in story.decisions) || onDisk.has(key)) return;
  put(key, null);
  tell([key], false);
}

function put(key, entry) {
  const before = story.decisions[key];
  if (before?.flag === "pick") picksOf.get(homeOf(key, before))?.delete(key);
  if (entry === null) delete story.decisions[key];
  else story.decisions[key] = entry;
  if (entry?.flag !== "pick") return;
  const scene = homeOf(key, entry);
  if (!picksOf.has(scene)) picksOf.set(scene, new Set());
  picksOf.get(scene).add(key);
}

function tell(keys, here) {
  for (const listener of listeners) listener(keys, here);
}
