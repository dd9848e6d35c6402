// A lens: how closely, and at which spot, one picture or several are looked at, all alike. By mouse, touch and keys.
// `zoom` 1 fits a picture into its stage; `x` and `y`, 0 … 1 across and down the picture, are the spot in the middle.

function makeLens(changed = () => {}) {
  return { zoom: 1, x: 0.5, y: 0.5, plates: [], changed, swiped: () => {} };
}

// A picture of width × height pixels on its stage.
function addPlate(lens, stage, image, width, height) {
  const plate = { stage, image, width, height, pointers: new Map() };
  lens.plates.push(plate);
  stage.addEventListener("wheel", (event) => turnWheel(lens, plate, event), { passive: false });
  stage.addEventListener("dblclick", (event) => toggleFit(lens, plate, spotOf(plate, event)));
  stage.addEventListener("pointerdown", (event) => touchPlate(lens, plate, event));
  stage.addEventListener("pointermove", (event) => dragPlate(lens, plate, event));
  for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => letGo(lens, plate, event));
  new ResizeObserver(() => drawLens(lens)).observe(stage);
  return plate;
}

function drawLens(lens) {
  for (const { stage, image, ...plate } of lens.plates) {
    const { across, down } = sizeOn({ stage, ...plate }, lens.zoom);
    const offset = (at, size, room) => Math.max(-1, Math.min(1, (0.5 - at) * size / Math.max(1, (size - room) / 2))) * Math.max(0, (size - room) / 2);
    const [left, top] = [offset(lens.x, across, stage.clientWidth), offset(lens.y, down, stage.clientHeight)];
    image.style.transform = `translate(${left}px, ${top}px) scale(${lens.zoom})`;
    stage.classList.toggle("closer", lens.zoom > 1.001);
  }
  lens.changed(lens);
}

function fitOf({ stage, width, height }) {
  return Math.min(stage.clientWidth / width, stage.clientHeight / height) || 1;
}

function sizeOn(plate, zoom) {
  const scale = fitOf(plate) * zoom;
  return { across: plate.width * scale, down: plate.height * scale };
}

// The zoom at which a pixel of the picture is a pixel of the screen.
function trueZoom(plate) {
  return 1 / (fitOf(plate) * devicePixelRatio);
}

function percentOf(lens) {
  const [plate] = lens.plates;
  return plate ? Math.round((lens.zoom / trueZoom(plate)) * 100) : 100;
}

// `spot`: pixels from the middle of the stage to what stays under the pointer.
function zoomLens(lens, factor, plate = lens.plates[0], spot = [0, 0]) {
  if (!plate) return;
  const real = trueZoom(plate);
  const zoom = Math.max(Math.min(1, real), Math.min(Math.max(8, real * 4), lens.zoom * factor));
  const [before, after] = [sizeOn(plate, lens.zoom), sizeOn(plate, zoom)];
  lens.zoom = Math.abs(zoom - 1) < 0.01 ? 1 : zoom;
  lookAt(lens, plate, lens.x + spot[0] / before.across - spot[0] / after.across, lens.y + spot[1] / before.down - spot[1] / after.down);
}

function toggleFit(lens, plate = lens.plates[0], spot = [0, 0]) {
  if (!plate) return;
  const real = trueZoom(plate);
  zoomLens(lens, (lens.zoom === 1 ? (Math.abs(real - 1) < 0.05 ? 2 : real) : 1) / lens.zoom, plate, spot);
}

function panLens(lens, plate, right, down) {
  const size = sizeOn(plate, lens.zoom);
  lookAt(lens, plate, lens.x - right / size.across, lens.y - down / size.down);
}

function panByKey(key) {
  const lens = lensInFront();
  const way = { left: [1, 0], right: [-1, 0], up: [0, 1], down: [0, -1] }[key.slice("shift+arrow".length)];
  if (lens.plates[0]) panLens(lens, lens.plates[0], way[0] * 80, way[1] * 80);
}

function lookAt(lens, plate, x, y) {
  const size = sizeOn(plate, lens.zoom);
  const held = (at, length, room) => (length <= room ? 0.5 : Math.max(room / length / 2, Math.min(1 - room / length / 2, at)));
  lens.x = held(x, size.across, plate.stage.clientWidth);
  lens.y = held(y, size.down, plate.stage.clientHeight);
  drawLens(lens);
}

function spotOf({ stage }, { clientX, clientY }) {
  const box = stage.getBoundingClientRect();
  return [clientX - box.left - box.width / 2, clientY - box.top - box.height / 2];
}

function turnWheel(lens, plate, event) {
  event.preventDefault();
  const turned = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
  zoomLens(lens, Math.exp(-turned * (event.ctrlKey ? 0.01 : 0.002)), plate, spotOf(plate, event));
}

// One finger or the mouse drags, two fingers pinch; a quick stroke over a picture that fits goes on to the next.

function touchPlate(lens, plate, event) {
  if (event.button !== 0 || event.target.closest("button")) return;
  plate.stage.setPointerCapture(event.pointerId);
  plate.pointers.set(event.pointerId, [event.clientX, event.clientY]);
  plate.from = plate.pointers.size === 1 ? [event.clientX, event.clientY] : null;
}

function dragPlate(lens, plate, event) {
  const before = plate.pointers.get(event.pointerId);
  if (!before) return;
  const now = [event.clientX, event.clientY];
  const other = [...plate.pointers].find(([id]) => id !== event.pointerId)?.[1];
  plate.pointers.set(event.pointerId, now);
  if (!other) return void panLens(lens, plate, now[0] - before[0], now[1] - before[1]);
  const apart = (a, b) => Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
  const middle = { clientX: (now[0] + other[0]) / 2, clientY: (now[1] + other[1]) / 2 };
  panLens(lens, plate, (now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  zoomLens(lens, apart(now, other) / apart(before, other), plate, spotOf(plate, middle));
}

function letGo(lens, plate, event) {
  plate.pointers.delete(event.pointerId);
  const stroke = plate.from && event.type === "pointerup" ? event.clientX - plate.from[0] : 0;
  if (event.pointerType === "touch" && lens.zoom <= 1 && Math.abs(stroke) > 50) lens.swiped(stroke < 0 ? 1 : -1);
  plate.from = null;
}
