// Shows, under the pointer, every curve's memory at that moment.
const { left, right, seconds, runs } = JSON.parse(document.getElementById("samples").textContent);
const drawing = document.getElementById("curves");
const cursor = document.getElementById("cursor");
const reading = document.getElementById("reading");
const at = (samples, moment) => samples.findLast(([time]) => time <= moment)?.[1];
drawing.addEventListener("pointermove", (event) => {
  const box = drawing.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * drawing.viewBox.baseVal.width;
  const inside = x >= left && x <= right;
  const moment = ((x - left) / (right - left)) * seconds;
  cursor.setAttribute("visibility", inside ? "visible" : "hidden");
  cursor.setAttribute("x1", x);
  cursor.setAttribute("x2", x);
  reading.style.display = inside ? "block" : "none";
  const sizes = runs.map(([name, samples]) => [name, at(samples, moment)]).filter(([, size]) => size);
  sizes.sort(([, one], [, other]) => other - one);
  reading.textContent = [`${moment.toFixed(2)} s`, ...sizes.map(([name, size]) => `${size} MiB  ${name}`)].join("\n");
  const offset = event.clientX - box.left;
  reading.style.left = offset > box.width / 2 ? `${offset - reading.offsetWidth - 14}px` : `${offset + 14}px`;
});
drawing.addEventListener("pointerleave", () => {
  reading.style.display = "none";
  cursor.setAttribute("visibility", "hidden");
});
