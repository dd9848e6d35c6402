// An entry of the review: {scene, seed, flag, stars, note, at}, of a sweep strength and step too, by the key of its take. What others have written is read
// with care: what is no entry is left out.

const FLAGS = ["pick", "reject", "none"];
const KEY = /^[0-9a-f]{64}$/;
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/;

function soundEntries(entries) {
  return Object.entries(entries).flatMap(([key, value]) => {
    const entry = KEY.test(key) && readEntry(value);
    return entry ? [[key, entry]] : [];
  });
}

function readEntry(value) {
  if (value === null || typeof value !== "object") return null;
  const { scene, seed, strength, step, flag = "none", stars = 0, note = "", at, undone } = value;
  const named = typeof scene === "string" && Number.isInteger(seed) && seed >= 0 && [strength, step].every((part) => part === undefined || Number.isFinite(part));
  const sound = named && FLAGS.includes(flag)
    && [0, 1, 2, 3, 4, 5].includes(stars) && typeof note === "string" && MOMENT.test(at) && !Number.isNaN(Date.parse(at));
  return sound ? { ...calledOf(value), flag, stars, note, at, ...(undone === true && { undone }) } : null;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// An entry as review.json holds it.
function plainEntry({ flag, stars, note, at, ...take }) {
  return { ...calledOf(take), flag, stars, note, at };
}

// What an entry says of its take: its scene, its seed, and of a sweep its strength and its step.
function calledOf({ scene, seed, strength, step }) {
  return { scene, seed, ...(strength !== undefined && { strength }), ...(step !== undefined && { step }) };
}

function isLater(entry, than) {
  return Date.parse(entry.at) > Date.parse(than.at);
}

function isSame(entry, other) {
  return entry.flag === other.flag && entry.stars === other.stars && entry.note === other.note;
}
