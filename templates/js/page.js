// The page begins: each module in its turn.

startStore();
startReview();
startKeys();
startLoupe();
startCompare();
startSync();
startPage();

function startPage() {
  startLook();
  startFinding();
  startDetails();
  startCopying();
  startPlace();
}
