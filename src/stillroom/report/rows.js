// Shows the rows that the filters leave, and keeps the filters in the address: #reason=wrong&source=a.jsonl&q=spiders.
// Every text is set as text: nothing that a model has written is ever read as HTML.
"use strict";
const AT_ONCE = 25;
const { outcomes, rows } = JSON.parse(document.getElementById("data").textContent);
const form = document.getElementById("filters");
const list = document.getElementById("rows");
const more = document.getElementById("more");
const fields = ["q", "verdict", "source", "min", "max"];
let found = [];

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== null));
  return made;
}

function option(value, text) {
  const made = element("option", "", text);
  made.value = value;
  return made;
}

function chip(value, text, many) {
  const input = element("input", "");
  input.type = "radio";
  input.name = "reason";
  input.value = value;
  return element("label", "chip", input, element("span", "face", text, element("span", "many", many)));
}

function number(value) {
  return value.toLocaleString("en-US");
}

function fillIn() {
  const shown = outcomes.reduce((sum, one) => sum + one.shown, 0);
  const chips = outcomes.map((one) =>
    chip(one.key, one.name, one.shown < one.rows ? `${number(one.shown)} of ${number(one.rows)}` : number(one.rows))
  );
  document.getElementById("outcomes").append(chip("", "all", number(shown)), ...chips);
  const values = (name) => [...new Set(rows.map((row) => row[name]).filter((value) => value !== null))].sort();
  form.verdict.append(option("", "any"), ...values("verdict").map((value) => option(value, value)), option("-", "none"));
  form.source.append(option("", "any"), ...values("source").map((value) => option(value, value)));
  form.hidden = false;
}

function readAddress() {
  const said = new URLSearchParams(location.hash.slice(1));
  form.reset();
  for (const name of fields) form[name].value = said.get(name) ?? "";
  for (const name of ["verdict", "source"]) if (form[name].selectedIndex < 0) form[name].value = "";
  const wanted = said.get("reason") ?? "";
  const inputs = [...form.querySelectorAll("[name=reason]")];
  (inputs.find((input) => input.value === wanted) ?? inputs[0]).checked = true;
}

function writeAddress() {
  const said = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value !== "") said.append(name, value);
  history.replaceState(null, "", `#${said}`);
}

function isWanted(row, wanted) {
  const text = [row.question, row.reasoning, row.answer].join("\n").toLowerCase();
  return (
    (wanted.reason === "" || row.outcome === wanted.reason) &&
    (wanted.verdict === "" || (row.verdict ?? "-") === wanted.verdict) &&
    (wanted.source === "" || row.source === wanted.source) &&
    (wanted.min === "" || row.length >= Number(wanted.min)) &&
    (wanted.max === "" || row.length <= Number(wanted.max)) &&
    text.includes(wanted.q.toLowerCase())
  );
}

function show() {
  const wanted = { reason: "", ...Object.fromEntries(new FormData(form)) };
  found = rows.filter((row) => isWanted(row, wanted));
  document.getElementById("count").value =
    `${number(found.length)} of the ${number(rows.length)} rows on this page`;
  document.getElementById("why").textContent = outcomes.find((one) => one.key === wanted.reason)?.why ?? "";
  list.replaceChildren();
  if (found.length === 0) list.append(element("p", "nothing", "No row on this page is like that."));
  showMore();
}

function showMore() {
  const from = list.querySelectorAll(".row").length;
  list.append(...found.slice(from, from + AT_ONCE).map(drawn));
  more.hidden = found.length <= from + AT_ONCE;
}

function drawn(row) {
  const outcome = outcomes.find((one) => one.key === row.outcome);
  const about = [row.source, ...row.about, row.tokens === null ? null : `${number(row.tokens)} tokens`];
  const made = element(
    "article",
    `row ${outcome.kept ? "kept" : "lost"}`,
    element(
      "h2",
      "",
      element("span", "state", outcome.name),
      ...about.filter((each) => each !== null).map((each) => element("span", "from", each)),
    ),
    text("div", "question", row.question || "(The question is not there.)"),
    row.expected === null ? null : element("p", "expected", "Expected: ", text("span", "answer-text", row.expected)),
    row.reasoning ? panel(row.reasoning) : element("p", "quiet why-not", "No reasoning."),
    answer(row),
    row.id === null ? null : element("p", "quiet why-not", element("code", "", row.id)),
  );
  return made;
}

function panel(reasoning) {
  const made = text("div", "reasoning", reasoning);
  made.tabIndex = 0;
  made.setAttribute("role", "group");
  made.setAttribute("aria-label", "reasoning");
  return made;
}

function answer(row) {
  const sign = { right: "✓", wrong: "✗" }[row.verdict] ?? "?";
  const by = row.judged_by && row.judged_by !== "verifier" ? ` (by ${row.judged_by})` : "";
  return element(
    "div",
    `answer ${row.verdict === "right" ? "right" : "not-right"}`,
    element("p", "mark", `${sign} ${row.verdict ?? "not judged"}${by}`),
    row.answer ? text("div", "answer-text", row.answer) : element("p", "quiet", "No answer."),
    row.extracted === null ? null : element("p", "quiet why-not", `Read as: ${row.extracted}`),
    row.detail === null ? null : element("p", "quiet why-not", row.detail),
  );
}

function text(tag, className, words) {
  const made = element(tag, className, words);
  made.dir = "auto";
  return made;
}

fillIn();
readAddress();
show();
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", () => { writeAddress(); show(); });
form.addEventListener("reset", () => setTimeout(() => {
  history.replaceState(null, "", "#");
  readAddress();
  show();
}));
more.addEventListener("click", showMore);
addEventListener("hashchange", () => { readAddress(); show(); });
