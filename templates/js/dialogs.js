// Dialogs: made when they are asked for, gone when they are closed; the focus goes in and comes back.

function makeDialog(name, title) {
  const heading = make("h2", { id: `${name}-title` });
  const close = make("button", { type: "button", class: "button close", "aria-label": word("close"), "data-word-label": "close", text: "✕" });
  const dialog = make("dialog", { class: name, "aria-labelledby": heading.id }, make("header", {}, title ? worded(heading, title) : heading, close));
  close.addEventListener("click", () => closeDialog(dialog));
  return dialog;
}

function openDialog(dialog, closed = () => {}) {
  dialog.addEventListener("close", () => {
    dialog.remove();
    closed();
  }, { once: true });
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    closeDialog(dialog);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog && isOutside(dialog, event)) closeDialog(dialog); });
  document.body.append(dialog);
  dialog.showModal();
}

// At once: the browser tells of a closed dialog only after a while, and the next key may come before that.
function closeDialog(dialog) {
  dialog.close();
  dialog.dispatchEvent(new Event("close"));
}

function isOutside(dialog, { clientX, clientY }) {
  const box = dialog.getBoundingClientRect();
  return clientX < box.left || clientX > box.right || clientY < box.top || clientY > box.bottom;
}

// The dialog that is in front; later ones are further down in the page.
function openedDialog() {
  return [...document.querySelectorAll("dialog[open]")].at(-1) ?? null;
}

// The note of a take. It is kept however the dialog is closed, except by its Cancel; undo takes it back.
function openNote(key) {
  const dialog = makeDialog("noting", "note");
  const field = noteField(key);
  const cancel = worded(make("button", { type: "button", class: "button" }), "cancel");
  const done = worded(make("button", { type: "button", class: "button main" }), "done");
  let cancelled = false;
  cancel.addEventListener("click", () => { cancelled = true; closeDialog(dialog); });
  done.addEventListener("click", () => closeDialog(dialog));
  dialog.append(make("p", { class: "about" }, make("bdi", { text: story.takes[key].label })), field, make("footer", {}, cancel, done));
  openDialog(dialog, () => { if (!cancelled) keepNote(key, field); });
  field.focus();
}

function noteField(key) {
  const field = make("textarea", { rows: 4, maxlength: 20_000, "aria-label": word("note"), "data-word-label": "note", dir: "auto" });
  showNote(key, field);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) field.closest("dialog").querySelector(".main")?.click();
  });
  return field;
}

function showNote(key, field) {
  field.value = noteOf(key);
  field.shown = field.value;
}

// Only what was typed here: another tab may have written another note meanwhile.
function keepNote(key, field) {
  if (field.value === field.shown) return;
  field.shown = field.value;
  const note = field.value.trim();
  if (note !== noteOf(key) && decide(key, { note })) announce(`${word("note_kept")}: ${story.takes[key].label}`);
}
