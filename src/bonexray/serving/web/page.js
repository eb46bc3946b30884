"use strict";

const $ = (id) => document.getElementById(id);
const mostBytes = Number(document.body.dataset.mostBytes);
const RETRIES = 20;
const items = [];
let shown = null;
let working = false;

const percent = (share) => (share < 0.001 ? "< 0.1 %" : share > 0.999 ? "> 99.9 %" : `${(100 * share).toFixed(1)} %`);
const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

function element(name, text, properties = {}) {
  const made = Object.assign(document.createElement(name), properties);
  made.textContent = text;
  return made;
}

async function ask(file) {
  if (file.size > mostBytes) throw new Error(`larger than ${document.body.dataset.mostMb} MB, the most that this server takes`);
  if (file.size === 0) throw new Error("empty file");
  for (let attempt = 0; ; attempt++) {
    let response;
    try {
      const headers = { "Content-Type": "application/octet-stream" };
      response = await fetch("predict", { method: "POST", body: file, headers });
    } catch {
      throw new Error("the server does not answer, or the file cannot be read");
    }
    if (response.ok) return response.json();
    if (response.status === 503 && attempt < RETRIES) {
      await pause(Number(response.headers.get("Retry-After")) || 1);
      continue;
    }
    const said = await response.json().catch(() => ({}));
    throw new Error(typeof said.detail === "string" ? said.detail : `the server answered ${response.status}`);
  }
}

function add(files) {
  for (const file of files) {
    const item = { file, name: file.name, state: "waiting" };
    item.button = element("button", "", { type: "button", title: file.name });
    item.button.append(element("span", "", { className: "thumb" }), element("span", file.name, { className: "name" }));
    item.button.addEventListener("click", () => show(item, true));
    const entry = document.createElement("li");
    entry.append(item.button);
    $("strip").append(entry);
    items.push(item);
  }
  if (items.length) {
    document.body.classList.add("used");
    $("strip").hidden = items.length < 2;
    if (!shown || shown.state === "refused") show(items.find((item) => item.state === "waiting") || items[0]);
  }
  work();
}

async function work() {
  if (working) return;
  working = true;
  for (let item; (item = items.find((one) => one.state === "waiting")); ) {
    item.state = "working";
    update(item);
    try {
      item.prediction = await ask(item.file);
      item.state = "answered";
      const said = item.prediction.answers.map((answer) => answer.predicted);
      $("status").textContent = `${item.name}: ${[...new Set(said)].join(" and ")}`;
    } catch (error) {
      item.state = "refused";
      item.reason = error.message;
      $("status").textContent = `${item.name}: ${item.reason}`;
    }
    item.file = null;
    update(item);
  }
  working = false;
}

function update(item) {
  const thumb = item.button.firstChild;
  item.button.dataset.state = item.state;
  if (item.state === "answered") thumb.replaceChildren(Object.assign(new Image(), { src: item.prediction.answers[0].image, alt: "" }));
  const words = { waiting: "waiting", working: "being read", refused: "refused" };
  const said = words[item.state] || item.prediction.answers.map((answer) => answer.predicted).join(", ");
  item.button.setAttribute("aria-label", `${item.name}: ${said}`);
  if (item === shown) show(item);
}

function show(item, focus = false) {
  shown = item;
  for (const other of items) other.button.setAttribute("aria-current", String(other === item));
  $("shown").hidden = false;
  $("shown").dataset.state = item.state;
  $("shown-name").textContent = item.name;
  const lines = { waiting: "Waiting for its turn.", working: "The network is at work.", refused: `Refused: ${item.reason}.` };
  $("shown-line").textContent = lines[item.state] || "";
  $("shown-line").className = item.state === "refused" ? "refused" : "";
  if (item.state === "answered") {
    const places = document.querySelectorAll(".answer");
    item.prediction.answers.forEach((answer, number) => fill(places[number], answer, item.name));
  }
  if (focus) $("shown-name").focus();
}

function fill(place, answer, name) {
  place.querySelector(".image").src = answer.image;
  place.querySelector(".image").alt = `${name} as the network sees it`;
  const heat = place.querySelector(".heat");
  heat.hidden = !answer.heat;
  if (answer.heat) heat.src = answer.heat;
  place.querySelector(".legend").hidden = !answer.heat;
  place.querySelector(".flat").hidden = Boolean(answer.heat);
  for (const text of place.querySelectorAll(".predicted")) text.textContent = answer.predicted;
  place.querySelector("caption").textContent = answer.calibrated
    ? "Probabilities, calibrated on validation"
    : "The model's own probabilities, not calibrated";
  place.querySelector("tbody").replaceChildren(...answer.classes.map((row) => probabilityRow(row, answer.predicted)));
  const likeliest = answer.classes.reduce((best, row) => (row.probability > best.probability ? row : best));
  const disagrees = place.querySelector(".disagrees");
  disagrees.hidden = likeliest.name === answer.predicted;
  disagrees.textContent = `The network itself decides for ${answer.predicted}, as if all classes were equally common; calibrated, ${likeliest.name} is more probable.`;
  fillSet(place.querySelector(".set"), answer.prediction_set);
  const point = answer.operating_point;
  const operating = place.querySelector(".operating");
  operating.hidden = !point;
  if (point) {
    const [verdict, sign] = point.is_positive ? ["positive", "≥"] : ["negative", "<"];
    operating.replaceChildren(
      element("small", "At the operating point"),
      element("strong", verdict),
      ` for ${point.positive.join(" or ")}: ${point.probability.toFixed(3)} ${sign} ${point.threshold.toFixed(3)}`,
      element("small", "The network's own probability against the threshold fixed on validation."),
    );
  }
}

function fillSet(place, set) {
  place.hidden = !set;
  if (!set) return;
  const names = set.classes.join(" or ") || "no class is probable enough";
  place.replaceChildren(
    element("small", "Prediction set"),
    element("strong", names),
    element("small", `The true class of ${+(100 * set.promised).toFixed(1)} % of patients is to be in the sets of all their images.`),
  );
}

function probabilityRow(row, predicted) {
  const line = document.createElement("tr");
  const bar = element("span", "", { className: "bar" });
  bar.style.setProperty("--share", `${100 * row.probability}%`);
  const value = element("td", "");
  value.append(bar, percent(row.probability));
  line.append(element("th", row.name, { scope: "row" }), value);
  line.classList.toggle("first", row.name === predicted);
  return line;
}

$("files").addEventListener("change", (event) => {
  add([...event.target.files]);
  event.target.value = "";
});
$("opacity").addEventListener("input", (event) => {
  $("answers").style.setProperty("--opacity", event.target.value / 100);
  $("opacity-value").textContent = `${event.target.value} %`;
});
$("pixels").addEventListener("change", (event) => $("answers").classList.toggle("pixels", event.target.checked));
addEventListener("paste", (event) => add([...event.clipboardData.files]));
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  add([...event.dataTransfer.files]);
});
